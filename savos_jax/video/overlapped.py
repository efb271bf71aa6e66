"""Reads ahead and writes behind in threads while the network computes.

Decoding and PNG compression release Python's lock, and so does the network.
"""

import collections
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from concurrent import futures
import contextlib
import itertools
from typing import Any
from typing import TypeVar

T = TypeVar('T')


def read_ahead(iterator: Iterator[T], depth: int = 4) -> Generator[T]:
  """Yields the items of an iterator, prefetched by a thread.

  Args:
    iterator: advanced in another thread.
    depth: largest number of items kept ready.

  Yields:
    The items, in order. An exception of the iterator is raised in its place.
  """

  def take() -> list[T]:
    """Returns the next item, if there is one."""
    return list(itertools.islice(iterator, 1))

  with futures.ThreadPoolExecutor(1, 'read') as pool:
    pending = collections.deque(pool.submit(take) for _ in range(depth))
    try:
      while items := pending.popleft().result():
        pending.append(pool.submit(take))
        yield from items
    finally:
      for future in pending:
        future.cancel()


class WriteBehind:
  """Calls functions in order in another thread, with a short queue.

  Attributes:
    failed: whether a call raised.
  """

  def __init__(self, pool: futures.Executor, depth: int):
    """Uses the thread of `write_behind`."""
    self._pool = pool
    self._depth = depth
    self._pending: collections.deque[futures.Future] = collections.deque()
    self.failed = False

  def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
    """Queues a call; raises the exception of an earlier one."""
    while len(self._pending) >= self._depth:
      self._finish_one()
    self._pending.append(self._pool.submit(function, *arguments))

  def flush(self) -> None:
    """Waits for all calls; raises the exception of one."""
    while self._pending:
      self._finish_one()

  def _finish_one(self) -> None:
    try:
      self._pending.popleft().result()
    except Exception:
      self.failed = True
      raise


@contextlib.contextmanager
def write_behind(depth: int = 8) -> Iterator[WriteBehind]:
  """Yields a `WriteBehind`; leaving the block waits for queued calls.

  That is so even if the block raises: queued calls finish before the exception
  propagates.

  Args:
    depth: largest number of queued calls.
  """
  with futures.ThreadPoolExecutor(1, 'write') as pool:
    writer = WriteBehind(pool, depth)
    try:
      yield writer
    except BaseException:
      # The exception at hand says more than one of a later write.
      with contextlib.suppress(Exception):
        writer.flush()
      raise
    writer.flush()
