"""Memory that is freed is kept for what comes next, not given back.

What a compiled function needs besides its arguments is allocated at each call.
Where that is more than glibc keeps, it comes fresh from the system every time,
page after page: a fifth of a training step (docs/benchmarks.md).
"""

import ctypes
import os
import sys

# Of malloc.h: name -> number, value. One arena, as those of other threads are
# too small; no block mapped on its own; the end of the heap stays.
_OPTIONS = {
  'arena_max': (-8, 1),
  'mmap_max': (-4, 0),
  'trim_threshold': (-1, 2**31 - 1),
}


def _chosen() -> bool:
  """Whether the user has set what `keep` would."""
  tunables = os.environ.get('GLIBC_TUNABLES', '')
  # MALLOC_ARENA_MAX, but MALLOC_MMAP_MAX_.
  given = {name.rstrip('_').lower() for name in os.environ}
  return any(
    f'glibc.malloc.{name}' in tunables or f'malloc_{name}' in given
    for name in _OPTIONS
  )


def keep() -> None:
  """Lets this process keep what it frees, for large blocks of all threads.

  To be called before threads are started. Does nothing where the user has
  chosen (GLIBC_TUNABLES, MALLOC_ARENA_MAX and the like), and where the C
  library is not glibc.
  """
  if not sys.platform.startswith('linux') or _chosen():
    return
  library = ctypes.CDLL(None)
  if not hasattr(library, 'gnu_get_libc_version'):
    return
  for number, value in _OPTIONS.values():
    library.mallopt(number, value)
