"""Tasks side by side, in processes that are each bound to their own cores.

A task whose process is lost, to the system's memory killer for instance, is
given to another once. Ctrl-C interrupts every process once, so that it can keep
what it has done; so does the end of this process, however it ends.
"""

import collections
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import logging
import logging.handlers
import multiprocessing
from multiprocessing import connection as connections
import os
import pickle
import signal
import threading
import time
import traceback
from typing import Any

from savos_jax.foundation import cores
from savos_jax.foundation import errors

_ATTEMPTS = 2  # A task is lost when its process was lost so often.
_PATIENCE = 60.0  # Seconds that interrupted processes get to end.

Report = Callable[[Any], None]
# Called with a task, and with what reports to the process that gave it.
Handle = Callable[[Any, Report], Any]


@dataclasses.dataclass(frozen=True)
class Begun:
  """A process begins with a task; again, if its process was lost."""

  task: int


@dataclasses.dataclass(frozen=True)
class Told:
  """What a task in progress reported."""

  task: int
  value: Any


@dataclasses.dataclass(frozen=True)
class Ended:
  """What a task returned."""

  task: int
  result: Any


@dataclasses.dataclass(frozen=True)
class Lost:
  """A task whose processes were lost.

  Attributes:
    task: its index.
    why: how the last of them ended.
  """

  task: int
  why: str


Event = Begun | Told | Ended | Lost


# --- In a worker. -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Here:
  """A process has started, and waits for what it is to begin with."""


@dataclasses.dataclass(frozen=True)
class _Ready:
  """A process has begun, and waits for tasks."""


@dataclasses.dataclass(frozen=True)
class _Raised:
  error: BaseException


class _Sender:
  """Sends from any thread."""

  def __init__(self, connection):
    self._connection = connection
    self._lock = threading.Lock()

  def __call__(self, message: Any) -> None:
    with self._lock:
      self._connection.send(message)


class _Logs(logging.handlers.QueueHandler):
  """Hands log records to the process that started this one."""

  def __init__(self, send: _Sender):
    super().__init__(None)  # type: ignore[arg-type]
    self._send = send

  def enqueue(self, record: logging.LogRecord) -> None:
    self._send(record)


def _interrupt_once(number: int, frame: Any) -> None:
  """Raises KeyboardInterrupt; what comes after it does not disturb the end."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  raise KeyboardInterrupt


def _end_with_parent() -> None:
  """Waits for the parent's end, then interrupts this process, and ends it."""
  parent = multiprocessing.parent_process()
  assert parent is not None
  connections.wait([parent.sentinel])
  os.kill(os.getpid(), signal.SIGINT)
  time.sleep(_PATIENCE)
  os._exit(1)


def _work(connection: connections.Connection) -> None:
  """Runs in a worker, which has SIGINT blocked when it starts."""
  signal.signal(signal.SIGINT, _interrupt_once)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  send = _Sender(connection)
  # Nobody listens to a process that is interrupted, or whose parent is gone.
  with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
      send(_Here())
      _handle_tasks(connection, send)
    except (EOFError, BrokenPipeError):
      raise
    except Exception as error:
      error.add_note(traceback.format_exc())
      send(_Raised(_sendable(error)))
    finally:  # Nor does one disturb the end.
      signal.signal(signal.SIGINT, signal.SIG_IGN)


def _handle_tasks(connection, send: _Sender) -> None:
  level, begin, setup = connection.recv()
  logger = logging.getLogger('savos_jax')
  logger.setLevel(level)
  logger.propagate = False
  logger.addHandler(_Logs(send))
  handle: Handle = begin(setup)
  send(_Ready())
  while True:
    index, task = connection.recv()
    send(Ended(index, handle(task, functools.partial(_tell, send, index))))


def _tell(send: _Sender, index: int, value: Any) -> None:
  send(Told(index, value))


def _sendable(error: Exception) -> Exception:
  """Returns the error, or one with its text where it can't be pickled."""
  try:
    pickle.loads(pickle.dumps(error))
  except Exception:  # Pickling may raise anything.
    return RuntimeError(''.join(error.__notes__))
  return error


# --- In the process that starts them. -----------------------------------------


@dataclasses.dataclass(eq=False)
class _Worker:
  """A process, and the index of its task, if it has one."""

  share: frozenset[int]
  process: Any
  connection: connections.Connection
  is_ready: bool = False
  task: int | None = None

  def receive(self) -> Any:
    """Returns what it sends; None: it has ended."""
    try:
      return self.connection.recv()
    except (EOFError, OSError, pickle.UnpicklingError):
      return None

  def send(self, pickled: bytes) -> None:
    # Of one that has ended, the next `receive` tells.
    with contextlib.suppress(OSError):
      self.connection.send_bytes(pickled)

  def why(self) -> str:
    """Says how it ended."""
    self.process.join(1)
    code = self.process.exitcode
    if code is None or code >= 0:
      return f'its process ended with status {code}'
    name = signal.strsignal(-code) or f'signal {-code}'
    memory = ', perhaps for lack of memory' * (code == -signal.SIGKILL)
    return f'its process was ended by a signal ({name}{memory})'


def _start(share: frozenset[int]) -> _Worker:
  context = multiprocessing.get_context('spawn')
  ours, its = context.Pipe()
  process = context.Process(target=_work, args=(its,), daemon=True)
  # It inherits both; so Ctrl-C can't meet it before it is prepared.
  blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    with cores.bound(share):
      process.start()
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
  its.close()
  return _Worker(share, process, ours)


def _end(crew: list[_Worker]) -> None:
  """Interrupts processes, and waits until all have ended."""
  try:
    for worker in crew:
      with contextlib.suppress(ProcessLookupError):
        if worker.process.is_alive():
          os.kill(worker.process.pid, signal.SIGINT)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and any(w.process.is_alive() for w in crew):
      # What they still tell must not fill the pipe.
      alive = [w.connection for w in crew if w.process.is_alive()]
      for ready in connections.wait(alive, 0.1):
        _discard(ready)
  finally:
    for worker in crew:
      worker.process.kill()
      worker.process.join()
      worker.connection.close()


def _discard(connection: Any) -> None:
  try:
    connection.recv_bytes()
  except (EOFError, OSError):
    time.sleep(0.01)  # Its process is about to end.


class _Crew:
  """The processes and the tasks of one `run`."""

  def __init__(self, setup: bytes, tasks: Sequence[Any]):
    self._setup = setup
    self._tasks = tasks
    self._waiting = collections.deque(range(len(tasks)))
    self._lost: collections.Counter[int] = collections.Counter()
    self.workers: list[_Worker] = []

  @property
  def is_busy(self) -> bool:
    return bool(self._waiting) or any(w.task is not None for w in self.workers)

  def hand_out(self) -> Iterator[Event]:
    for worker in self.workers:
      if self._waiting and worker.is_ready and worker.task is None:
        worker.task = index = self._waiting.popleft()
        worker.send(pickle.dumps((index, self._tasks[index])))
        yield Begun(index)

  def listen(self) -> Iterator[Event]:
    by_connection: dict[Any, _Worker] = {w.connection: w for w in self.workers}
    for ready in connections.wait(list(by_connection)):
      yield from self._take(by_connection[ready])

  def _take(self, worker: _Worker) -> Iterator[Event]:
    match worker.receive():
      case _Here():
        worker.send(self._setup)
      case _Ready():
        worker.is_ready = True
      case logging.LogRecord() as record:
        logging.getLogger(record.name).handle(record)
      case _Raised(error):
        raise error
      case Ended() as ended:
        worker.task = None
        yield ended
      case Told() as told:
        yield told
      case _:
        yield from self._replace(worker)

  def _replace(self, worker: _Worker) -> Iterator[Event]:
    """Starts another process in the place of one that was lost."""
    why, index = worker.why(), worker.task
    worker.connection.close()
    self.workers.remove(worker)
    if index is not None:
      self._lost[index] += 1
      if self._lost[index] < _ATTEMPTS:
        self._waiting.append(index)
      else:
        yield Lost(index, f'{why}, {_ATTEMPTS} times')
    if worker.is_ready and self._waiting:
      self.workers.append(_start(worker.share))
    if not self.workers and self._waiting:
      raise errors.SavosError(
        f'no process for the work could be started: {why}.\n'
        '  Expected memory for one: ask for fewer jobs, or for one.'
      )


def run(
  begin: Callable[[Any], Handle],
  setup: Any,
  tasks: Sequence[Any],
  shares: Sequence[frozenset[int]],
) -> Generator[Event]:
  """Handles tasks side by side.

  The package's log records of the processes are handled in this one. Closing
  the generator ends the processes, as any exception does.

  Args:
    begin: called in each process with `setup`; returns what handles tasks. A
      function of a module, as it is pickled.
    setup: pickled once; sent to every process.
    tasks: pickled; handed out in order, each to the first process that is free.
    shares: the CPU numbers of each process (`cores.shares`).

  Yields:
    What happens to the tasks, as it happens; in the end each is `Ended` or
    `Lost`.

  Raises:
    SavosError: processes can't be started.
    Exception: what `begin` or a task raised.
  """
  level = logging.getLogger('savos_jax').getEffectiveLevel()
  crew = _Crew(pickle.dumps((level, begin, setup)), tasks)
  try:
    for share in shares[: len(tasks)]:
      crew.workers.append(_start(share))
    while crew.is_busy:
      yield from crew.hand_out()
      yield from crew.listen()
  finally:
    _end(crew.workers)
