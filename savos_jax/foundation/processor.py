"""Detects features of this machine's processor."""

import functools
import pathlib

_TOLD = pathlib.Path('/proc/cpuinfo')


@functools.cache
def has_avx512() -> bool:
  """Returns whether the processor supports AVX-512.

  False if this is unknown, as on macOS and Windows, and on Arm.
  """
  try:
    text = _TOLD.read_text('utf-8', 'replace')
  except OSError:
    return False
  return any(
    line.startswith('flags') and 'avx512f' in line.split()
    for line in text.splitlines()
  )
