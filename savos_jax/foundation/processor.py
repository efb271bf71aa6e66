"""What this machine's processor can do."""

import functools
import pathlib

_TOLD = pathlib.Path('/proc/cpuinfo')


@functools.cache
def has_avx512() -> bool:
  """Whether its vectors are of 512 bits; False where the system doesn't tell.

  macOS and Windows do not tell, nor does Arm have them.
  """
  try:
    text = _TOLD.read_text('utf-8', 'replace')
  except OSError:
    return False
  return any(
    line.startswith('flags') and 'avx512f' in line.split()
    for line in text.splitlines()
  )
