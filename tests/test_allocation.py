"""Memory that is freed is kept."""

import os
import platform
import subprocess
import sys

import pytest

# Threads, as XLA's, have arenas of their own in glibc.
_FAULTS = """
import resource, threading
import numpy as np
from savos_jax.foundation import allocation

if {keep}:
  allocation.keep()

def touch():
  np.empty(1 << 26, np.uint8).fill(1)

def faults():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  thread = threading.Thread(target=touch)
  thread.start()
  thread.join()
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


def faults(keep: bool, **environment: str) -> int:
  # NumPy would ask for huge pages.
  environment = os.environ | {'NUMPY_MADVISE_HUGEPAGE': '0'} | environment
  done = subprocess.run(
    [sys.executable, '-c', _FAULTS.format(keep=keep)],
    env=environment, capture_output=True, text=True, check=True,
  )  # fmt: skip
  return int(done.stdout)


@pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='another C library'
)
def test_a_thread_gets_the_pages_that_another_freed():
  pages = (1 << 26) // os.sysconf('SC_PAGE_SIZE')
  assert faults(keep=False) > pages / 2
  assert faults(keep=True) < pages / 10
  # The user's word holds.
  assert faults(keep=True, MALLOC_ARENA_MAX='4') > pages / 2
