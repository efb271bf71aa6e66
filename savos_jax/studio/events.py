"""Publishes events to all connected pages."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import json
import threading
from typing import Any

_MOST_WAITING = 4096  # Events; a page so far behind begins anew.


class Hub:
  """Distributes events; any thread may publish one."""

  def __init__(self):
    """Starts without listeners."""
    self._lock = threading.Lock()
    self._listeners: dict[asyncio.Queue, asyncio.AbstractEventLoop] = {}

  def tell(self, event: dict[str, Any]) -> None:
    """Publishes an event as JSON."""
    text = json.dumps(event)
    with self._lock:
      listeners = list(self._listeners.items())
    for queue, loop in listeners:
      with contextlib.suppress(RuntimeError):  # Its loop has ended.
        loop.call_soon_threadsafe(_put, queue, text)

  @contextlib.asynccontextmanager
  async def listening(self) -> AsyncIterator[asyncio.Queue]:
    """Yields a queue of messages; None: too slow a listener, or the end."""
    queue: asyncio.Queue = asyncio.Queue(_MOST_WAITING)
    with self._lock:
      self._listeners[queue] = asyncio.get_running_loop()
    try:
      yield queue
    finally:
      with self._lock:
        del self._listeners[queue]

  def end(self) -> None:
    """Ends all listeners."""
    with self._lock:
      listeners = list(self._listeners.items())
    for queue, loop in listeners:
      with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_put, queue, None)


def _put(queue: asyncio.Queue, text: str | None) -> None:
  if text is None or queue.full():
    while not queue.empty():
      queue.get_nowait()
    text = None
  queue.put_nowait(text)
