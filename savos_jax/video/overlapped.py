"""Reading ahead and writing behind in threads, while the network works.

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
  """Yields what an iterator yields, having asked it for more already.

  Args:
    iterator: is advanced in one other thread.
    depth: how many items are kept ready at most.

  Yields:
    The items, in order. What the iterator raises is raised in its place.
  """

  def take() -> list[T]:
    """Returns the next item, or nothing."""
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
  """Calls functions in order in another thread; at most a few wait.

  Attributes:
    failed: whether one of them raised.
  """

  def __init__(self, pool: futures.Executor, depth: int):
    """Keeps the thread; see `write_behind`."""
    self._pool = pool
    self._depth = depth
    self._pending: collections.deque[futures.Future] = collections.deque()
    self.failed = False

  def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
    """Has a function called; raises what an earlier one raised."""
    while len(self._pending) >= self._depth:
      self._finish_one()
    self._pending.append(self._pool.submit(function, *arguments))

  def flush(self) -> None:
    """Waits for all; raises what one of them raised."""
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
  """Lends a `WriteBehind`; leaving the block waits for what was submitted.

  Also when the block raises: what was submitted is done before the exception
  goes on.

  Args:
    depth: how many calls may wait.
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
