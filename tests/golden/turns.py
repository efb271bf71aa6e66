"""How two libraries are timed in turn, in one process."""

from collections.abc import Callable
import os
import time

import torch

# The threads of one wait for more work a while, on cores that the other would
# have.
_PAUSE_S = 0.1


def add_argument(parser) -> None:
  """Adds --one_core."""
  parser.add_argument(
    '--one_core',
    action='store_true',
    help='processor time on one core: for machines that do other work',
  )


def clock(one_core: bool) -> Callable[[], float]:
  """Returns what tells the time; to be called before JAX is used.

  Args:
    one_core: binds this process to a core; processor time is told then.
  """
  if not one_core:
    return time.perf_counter
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  torch.set_num_threads(1)
  return time.process_time


def timed(once: Callable[[], object], clock: Callable[[], float]) -> float:
  """Returns the seconds of a turn, after a pause."""
  time.sleep(_PAUSE_S)
  started = clock()
  once()
  return clock() - started
