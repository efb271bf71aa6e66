"""Peak memory of processes, and free memory."""

import contextlib
import math
import multiprocessing
import pathlib
import resource
import sys

from savos_jax.foundation import cgroups

_MEMINFO = pathlib.Path('/proc/meminfo')
_GIB = 2**30


def _peak_gib_of(process: str) -> float | None:
  """Returns a process' peak, or None: another system, or it has ended."""
  try:
    status = pathlib.Path(f'/proc/{process}/status').read_text('utf-8')
  except OSError:
    return None
  for line in status.splitlines():
    name, _, value = line.partition(':')
    if name == 'VmHWM':
      return int(value.split()[0]) / 2**20
  return None


def peak_gib() -> float:
  """Returns the peak resident size of this process so far, GiB."""
  # On Linux what `getrusage` tells begins at the size of the program that
  # started this one.
  peak = _peak_gib_of('self')
  if peak is not None:
    return peak
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  # Kilobytes on Linux, bytes on macOS.
  return peak / (2**30 if sys.platform == 'darwin' else 2**20)


def peak_with_workers_gib() -> float | None:
  """Returns the sum of the peaks of this process and of its workers, GiB.

  Workers are live processes of `multiprocessing`. None if the system does not
  report theirs.
  """
  total = peak_gib()
  for worker in multiprocessing.active_children():
    peak = _peak_gib_of(str(worker.pid))
    if peak is None:
      return None
    total += peak
  return total


def _free_in(group: pathlib.Path) -> float:
  """Returns what a control group may still take, bytes."""
  with contextlib.suppress(OSError, ValueError):
    most = int((group / 'memory.max').read_text('utf-8'))
    used = int((group / 'memory.current').read_text('utf-8'))
    told = (group / 'memory.stat').read_text('utf-8').split()
    # The system gives up pages of files that were not read lately.
    idle = int(told[told.index('inactive_file') + 1])
    return most - used + idle
  return math.inf  # 'max', or there is no such limit.


def free_gib() -> float | None:
  """Returns how much memory this process may still take, GiB.

  The least of what the system and this process' control groups (a container's,
  or a job's of a cluster) have left. None if the system does not tell.
  """
  try:
    told = _MEMINFO.read_text('utf-8').split()
    free = int(told[told.index('MemAvailable:') + 1]) * 1024
  except (OSError, ValueError):
    return None
  return min([free, *map(_free_in, cgroups.folders())]) / _GIB
