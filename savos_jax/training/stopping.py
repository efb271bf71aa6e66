"""Ending a training early without losing a step."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils


@contextlib.contextmanager
def requested() -> Iterator[Callable[[int], bool]]:
  """Yields a function that returns whether to stop after a step.

  SIGTERM or Ctrl-C requests a stop; a second Ctrl-C interrupts. With several
  processes, any of them may receive the SIGTERM: JAX informs the others, and
  all stop after the same step. Call the function after every step in that case.
  """
  if jax.process_count() > 1:
    yield multihost_utils.reached_preemption_sync_point
    return
  event = threading.Event()
  previous: dict[int, Any] = {}

  def handle(number, _):
    event.set()
    signal.signal(number, previous[number])

  for number in (signal.SIGTERM, signal.SIGINT):
    previous[number] = signal.signal(number, handle)
  try:
    yield lambda step: event.is_set()
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
