"""How much memory this process has needed."""

import resource
import sys


def peak_gib() -> float:
  """Returns the largest resident size of this process so far, GiB."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  # Kilobytes on Linux, bytes on macOS.
  return peak / (2**30 if sys.platform == 'darwin' else 2**20)
