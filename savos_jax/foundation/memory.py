"""How much memory this process has needed."""

import pathlib
import resource
import sys


def peak_gib() -> float:
  """Returns the largest resident size of this process so far, GiB."""
  # On Linux what `getrusage` tells begins at the size of the program that
  # started this one.
  try:
    status = pathlib.Path('/proc/self/status').read_text('utf-8')
  except OSError:
    status = ''
  for line in status.splitlines():
    name, _, value = line.partition(':')
    if name == 'VmHWM':
      return int(value.split()[0]) / 2**20
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  # Kilobytes on Linux, bytes on macOS.
  return peak / (2**30 if sys.platform == 'darwin' else 2**20)
