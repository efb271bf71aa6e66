"""Examples a second and peak memory of a loader, in a process of its own."""

from collections.abc import Callable
import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np

from savos_jax.foundation import errors

# Not this package's: what the benchmarks load is no part of the peak. JAX is:
# every training has it. Some batches more than are timed, so that no worker has
# ended when the memory is read.
_PROCESS = """
import json, pickle, sys, time
import jax
from savos_jax.data import pipeline
from savos_jax.foundation import errors
from savos_jax.foundation import memory

make, crop_size, batch_size, steps, workers, loader = pickle.load(
  sys.stdin.buffer
)
with errors.reported():
  started = time.perf_counter()
  batches = pipeline.batches(
    make, crop_size, 1, batch_size, 0, steps + 20, workers, 2, loader=loader
  )
  next(batches)
  first = time.perf_counter()
  for _ in range(1, steps):
    next(batches)
  seconds = time.perf_counter() - first
  print(json.dumps({
    'examples_per_second': (steps - 1) * batch_size / seconds,
    'first_batch_s': first - started,
    'peak_gib': memory.peak_with_workers_gib(),
  }))
  batches.close()
"""


def measure(
  loader: str,
  make_example: Callable[[int], dict[str, np.ndarray]],
  crop_size: tuple[int, int],
  batch_size: int,
  steps: int,
  workers: int,
) -> dict[str, Any]:
  """Times a loader that nothing else competes with.

  Args:
    loader: one of `pipeline.installed_loaders()`.
    make_example: makes examples with one frame to segment; picklable.
    crop_size: (height, width) of the examples, pixels.
    batch_size: examples per batch.
    steps: batches, at least 2.
    workers: of the loader.

  Returns:
    'examples_per_second' from the first batch to the last; 'first_batch_s', the
    time until the first batch, including the start of libraries and processes;
    'peak_gib', the sum of the peak resident sizes of the process, with JAX
    imported, and of its workers, in which shared memory counts repeatedly; None
    if the system does not report it.

  Raises:
    SavosError: as `pipeline.batches`, or the process failed.
  """
  done = subprocess.run(
    [sys.executable, '-c', _PROCESS],
    input=pickle.dumps(
      (make_example, crop_size, batch_size, steps, workers, loader)
    ),
    capture_output=True,
    check=False,
  )
  if done.returncode:
    raise errors.SavosError(
      done.stderr.decode().strip().removeprefix('error: ')
    )
  return json.loads(done.stdout.decode().splitlines()[-1])
