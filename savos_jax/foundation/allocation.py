"""Makes the process reuse freed memory instead of returning it to the system.

A compiled function allocates its temporary buffers at every call. Buffers
larger than glibc's thresholds are mapped afresh each time, and the page faults
take a fifth of a training step (docs/benchmarks.md).
"""

import ctypes
import os
import sys

# From malloc.h: name -> number, value. A single arena, because those of other
# threads are too small; no blocks mapped separately; no trimming of the heap.
_OPTIONS = {
  'arena_max': (-8, 1),
  'mmap_max': (-4, 0),
  'trim_threshold': (-1, 2**31 - 1),
}


def _chosen() -> bool:
  """Returns whether the user has set any of the options that `keep` sets."""
  tunables = os.environ.get('GLIBC_TUNABLES', '')
  # Some names end in an underscore: MALLOC_ARENA_MAX, but MALLOC_MMAP_MAX_.
  given = {name.rstrip('_').lower() for name in os.environ}
  return any(
    f'glibc.malloc.{name}' in tunables or f'malloc_{name}' in given
    for name in _OPTIONS
  )


def keep() -> None:
  """Makes this process keep freed memory, including large blocks of any thread.

  Call this before starting threads. It does nothing if the user has configured
  malloc (GLIBC_TUNABLES, MALLOC_ARENA_MAX and the like) or if the C library is
  not glibc.
  """
  if not sys.platform.startswith('linux') or _chosen():
    return
  library = ctypes.CDLL(None)
  if not hasattr(library, 'gnu_get_libc_version'):
    return
  for number, value in _OPTIONS.values():
    library.mallopt(number, value)
