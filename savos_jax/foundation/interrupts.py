"""Keeps a Ctrl-C that arrives while Python collects garbage."""

import _thread
from collections.abc import Iterator
import contextlib
import sys
import threading

_SECONDS = 0.1  # Until it is raised again, after the collection.


@contextlib.contextmanager
def kept() -> Iterator[None]:
  """Raises KeyboardInterrupt in the main thread even if a callback drops it.

  JAX is called back at every garbage collection, and Python drops what is
  raised there. It is raised again a moment later.
  """
  before = sys.unraisablehook

  def hear(dropped: 'sys.UnraisableHookArgs') -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
      again = threading.Timer(_SECONDS, _thread.interrupt_main)
      again.daemon = True
      again.start()
    else:
      before(dropped)

  sys.unraisablehook = hear
  try:
    yield
  finally:
    sys.unraisablehook = before
