"""The processor cores of this process, and their division among several.

A core is a tuple of the CPU numbers that the system counts for it: two where it
runs two threads at once. Products of matrices gain little from the second.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import functools
import itertools
import math
import os
import pathlib
import random

from savos_jax.foundation import cgroups

Core = tuple[int, ...]

_SIBLINGS = '/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list'


def can_bind() -> bool:
  """Whether this system can bind a process to cores (Linux can)."""
  return hasattr(os, 'sched_setaffinity')


def _quota() -> float:
  """Returns how many CPUs' time the control groups grant."""
  least = math.inf
  for folder in cgroups.folders():
    with contextlib.suppress(OSError, ValueError):
      most, period = (folder / 'cpu.max').read_text('utf-8').split()
      if most != 'max':
        least = min(least, int(most) / int(period))
  return least


def _siblings(cpu: int) -> str:
  """Returns what is equal for the CPU numbers of one core."""
  try:
    return pathlib.Path(_SIBLINGS.format(cpu)).read_text('utf-8')
  except OSError:
    return str(cpu)


def _grouped(cpus: Sequence[int]) -> list[Core]:
  groups: dict[str, list[int]] = {}
  for cpu in cpus:
    groups.setdefault(_siblings(cpu), []).append(cpu)
  return [tuple(group) for group in groups.values()]


@functools.cache
def usable() -> tuple[Core, ...]:
  """Returns the cores that this process may use, ascending; at least one.

  Where a control group grants the time of fewer, as to a container, these are
  drawn at random: containers side by side should not all choose the same.
  """
  if not can_bind():
    return tuple((cpu,) for cpu in range(os.cpu_count() or 1))
  found = _grouped(sorted(os.sched_getaffinity(0)))
  granted = max(1, math.floor(_quota())) if _quota() < math.inf else len(found)
  if granted < len(found):
    found = sorted(random.sample(found, granted))
  return tuple(found)


def threads() -> int:
  """Returns how many threads this process can run at once."""
  return sum(map(len, usable()))


def limit() -> int:
  """Returns how many cores a library should use; 0: all, as by itself.

  For libraries that count the machine's cores whatever this process may use.
  """
  return len(usable()) if threads() < (os.cpu_count() or 1) else 0


def jobs(
  cores: int, tasks: int, free_gib: float | None, each_gib: float
) -> int:
  """Returns how many processes to run side by side.

  Several cores on one task do less than each on its own (docs/benchmarks.md),
  so it is one process a core, as far as tasks and memory suffice.

  Args:
    cores: number of cores.
    tasks: number of tasks.
    free_gib: free memory, GiB; None: unknown, and taken to suffice.
    each_gib: memory that a process takes, GiB.

  Returns:
    The number, at least 1.
  """
  fit = tasks if free_gib is None else math.floor(free_gib / each_gib)
  return max(1, min(cores, tasks, fit))


def shares(cores: Sequence[Core], count: int) -> list[frozenset[int]]:
  """Divides cores among processes.

  Args:
    cores: at least one.
    count: number of processes.

  Returns:
    The CPU numbers of each process: disjoint and neighbours, with at most one
    core more for some than for others. With more processes than cores, each has
    one core, and cores have several.
  """
  if count >= len(cores):
    return [frozenset(cores[i % len(cores)]) for i in range(count)]
  ends = [len(cores) * i // count for i in range(count + 1)]
  return [
    frozenset(cpu for core in cores[begin:end] for cpu in core)
    for begin, end in itertools.pairwise(ends)
  ]


@contextlib.contextmanager
def bound(share: frozenset[int]) -> Iterator[None]:
  """Binds the calling thread, and what it starts meanwhile, to CPU numbers.

  A process started in the block stays bound: its libraries count these alone.
  """
  if not can_bind():
    yield
    return
  before = os.sched_getaffinity(0)
  os.sched_setaffinity(0, share)
  try:
    yield
  finally:
    os.sched_setaffinity(0, before)
