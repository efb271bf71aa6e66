"""One thing at a time: the network, or an export, in a thread of its own."""

from collections.abc import Callable
from concurrent import futures
import logging
import threading
import time
from typing import Any

from savos_jax.foundation import errors
from savos_jax.studio import propagation

logger = logging.getLogger(__name__)

Tell = Callable[[dict[str, Any]], None]
_TELL_EVERY = 0.2  # Seconds.


class Busy(errors.SavosError):
  """Something else is being done."""


class Job:
  """Something that is being done; threads may share it."""

  def __init__(self, kind: str, total: int, tell: Tell):
    """It runs.

    Args:
      kind: 'propagate', 'export' or 'upload'.
      total: of what `advance` counts; 0: unknown.
      tell: gets what `view` returns whenever it is another.
    """
    self.kind, self._total, self._tell = kind, total, tell
    self._done = 0
    self._state = 'running'
    self._more: dict[str, Any] = {}
    self._began = time.monotonic()
    self._first: float | None = None  # When the first step was done.
    self._told = 0.0
    self._stop = threading.Event()

  def stop(self) -> None:
    """Has it end at its next step."""
    self._stop.set()

  def check(self) -> None:
    """Raises `Stopped` if that was asked for."""
    if self._stop.is_set():
      raise propagation.Stopped

  def set_total(self, total: int) -> None:
    """Says how much there is to do."""
    self._total = total
    self._say()

  def advance(self, count: int = 1) -> None:
    """Says that so much more is done."""
    now = time.monotonic()
    if self._first is None:
      self._first = now
    self._done += count
    if now - self._told >= _TELL_EVERY:
      self._say()

  def begin(self) -> None:
    """Says that it runs."""
    self._say()

  def end(self, state: str, **more: Any) -> None:
    """Says that it has ended: 'done', 'stopped' or 'failed'."""
    self._state, self._more = state, more
    self._say()

  @property
  def is_running(self) -> bool:
    """Whether it has not ended."""
    return self._state == 'running'

  def _say(self) -> None:
    self._told = time.monotonic()
    self._tell({'type': 'job', **self.view()})

  def view(self) -> dict[str, Any]:
    """Returns what a page is to know of it."""
    # What comes before the first step is loading and compiling.
    since = self._first or self._began
    seconds = time.monotonic() - since
    rate = (self._done - 1) / seconds if self._done > 1 and seconds else 0.0
    left = max(0, self._total - self._done)
    return {
      'kind': self.kind,
      'state': self._state,
      'done': self._done,
      'total': self._total,
      'fps': round(rate, 2),
      'seconds_left': round(left / rate, 1) if rate else None,
      **self._more,
    }


class Worker:
  """The thread."""

  def __init__(self, tell: Tell):
    """Nothing is done yet.

    Args:
      tell: gets events of jobs, and {'type': 'error', 'error'}.
    """
    self._tell = tell
    self._pool = futures.ThreadPoolExecutor(1, 'studio')
    self._lock = threading.Lock()
    self._job: Job | None = None

  @property
  def job(self) -> Job | None:
    """What is being done, or was done last."""
    return self._job

  @property
  def is_busy(self) -> bool:
    """Whether something is being done."""
    return self._job is not None and self._job.is_running

  def start(
    self, kind: str, total: int, work: Callable[[Job], dict[str, Any]]
  ) -> Job:
    """Has something done.

    Args:
      kind: of the job.
      total: see `Job`.
      work: does it; returns what else the page is to know.

    Raises:
      Busy: another is not done.
    """
    with self._lock:
      if self.is_busy:
        assert self._job is not None
        raise Busy(
          f'the studio is busy: {self._job.kind}.\n'
          '  Expected it to be done: wait, or stop it.'
        )
      job = self._job = Job(kind, total, self._tell)
    job.begin()
    self._pool.submit(self._run, job, work)
    return job

  def _run(self, job: Job, work: Callable[[Job], dict[str, Any]]) -> None:
    try:
      more = work(job)
    except propagation.Stopped:
      job.end('stopped')
    except Exception as error:  # The server goes on, whatever it is.
      text = errors.explained(error)
      if text is None:
        logger.exception('%s failed', job.kind)
        text = (
          f'{type(error).__name__}: {error}.\n  Expected no such error: the '
          'program has printed where it happened.'
        )
      job.end('failed', error=text)
      self._tell({'type': 'error', 'error': text})
    else:
      job.end('done', **more)

  def prepare(self, work: Callable[[], Any]) -> None:
    """Has something done that no one waits for; what fails is told later."""
    self._pool.submit(work)

  def stop(self) -> Job | None:
    """Has what is being done end at its next step; returns it."""
    if self._job and self._job.is_running:
      self._job.stop()
    return self._job

  def close(self) -> None:
    """Has it end, and waits."""
    self.stop()
    self._pool.shutdown(wait=True, cancel_futures=True)
