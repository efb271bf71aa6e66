"""Runs one job at a time, such as an export, in a separate thread."""

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
  """Another job is running."""


class Job:
  """A running job; threads may share it."""

  def __init__(self, kind: str, total: int, tell: Tell):
    """Starts as running.

    Args:
      kind: 'propagate', 'export' or 'upload'.
      total: number of steps that `advance` counts; 0: unknown.
      tell: called with `view()` whenever it changes.
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
    """Requests that it stop at its next step."""
    self._stop.set()

  def check(self) -> None:
    """Raises `Stopped` if a stop was requested."""
    if self._stop.is_set():
      raise propagation.Stopped

  def set_total(self, total: int) -> None:
    """Sets the total number of steps."""
    self._total = total
    self._say()

  def advance(self, count: int = 1) -> None:
    """Records steps as done."""
    now = time.monotonic()
    if self._first is None:
      self._first = now
    self._done += count
    if now - self._told >= _TELL_EVERY:
      self._say()

  def begin(self) -> None:
    """Marks it as running."""
    self._say()

  def end(self, state: str, **more: Any) -> None:
    """Marks it as ended: 'done', 'stopped' or 'failed'."""
    self._state, self._more = state, more
    self._say()

  @property
  def is_running(self) -> bool:
    """Whether it is still running."""
    return self._state == 'running'

  def _say(self) -> None:
    self._told = time.monotonic()
    self._tell({'type': 'job', **self.view()})

  def view(self) -> dict[str, Any]:
    """Returns its state for the page."""
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
  """The thread that runs jobs."""

  def __init__(self, tell: Tell):
    """Starts without a job.

    Args:
      tell: called with events of jobs and {'type': 'error', 'error'}.
    """
    self._tell = tell
    self._pool = futures.ThreadPoolExecutor(1, 'studio')
    self._lock = threading.Lock()
    self._job: Job | None = None

  @property
  def job(self) -> Job | None:
    """The current or the last job."""
    return self._job

  @property
  def is_busy(self) -> bool:
    """Whether a job is running."""
    return self._job is not None and self._job.is_running

  def start(
    self, kind: str, total: int, work: Callable[[Job], dict[str, Any]]
  ) -> Job:
    """Starts a job.

    Args:
      kind: of the job.
      total: see `Job`.
      work: does it; returns further state for the page.

    Raises:
      Busy: another job is running.
    """
    with self._lock:
      if self.is_busy:
        assert self._job is not None
        raise Busy(
          f'the studio is busy: {self._job.kind}.\n'
          '  Expected it to finish: wait, or stop it.'
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
          f'{type(error).__name__}: {error}.\n'
          '  This is a bug: the program has printed where it happened.'
        )
      job.end('failed', error=text)
      self._tell({'type': 'error', 'error': text})
    else:
      job.end('done', **more)

  def prepare(self, work: Callable[[], Any]) -> None:
    """Runs something in the background; errors are reported later."""
    self._pool.submit(work)

  def stop(self) -> Job | None:
    """Requests that the current job stop at its next step; returns it."""
    if self._job and self._job.is_running:
      self._job.stop()
    return self._job

  def close(self) -> None:
    """Stops the thread and waits for it."""
    self.stop()
    self._pool.shutdown(wait=True, cancel_futures=True)
