"""Shared by the benchmarks: the network, times, memory, profiles."""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
import statistics
import sys
import time
from typing import Any

import jax
import numpy as np

from savos_jax import network
from savos_jax.foundation import errors
from savos_jax.foundation import memory
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools import flags
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import state as state_lib


def architecture(
  arguments: argparse.Namespace, compute_dtype: str = 'float32'
) -> savos_config.SavosConfig:
  """Returns the network that the flags describe.

  Raises:
    SavosError: there is no such checkpoint.
  """
  if arguments.checkpoint:
    found = network.load(arguments.checkpoint).model.config
    return dataclasses.replace(found, compute_dtype=compute_dtype)
  return savos_config.SavosConfig(
    compute_dtype=compute_dtype,
    **flags.values(arguments, shared.ARCHITECTURE),
  )


def draw_params(model: savos.SAVOS) -> Any:
  """Draws a network's parameters with NumPy: nothing is to be compiled.

  Returns:
    float32 arrays: kernels keep the variance, scales are 1, biases 0.
  """
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    name = path[-1].key
    if name != 'kernel':
      return np.full(leaf.shape, float(name == 'scale'), np.float32)
    deviation = np.sqrt(2.0 / np.prod(leaf.shape[:-1]), dtype=np.float32)
    return deviation * rng.standard_normal(leaf.shape, np.float32)

  return jax.tree_util.tree_map_with_path(draw, state_lib.param_shapes(model))


def identity(case: Any) -> dict[str, Any]:
  """Returns the columns that tell what a row is for.

  Args:
    case: a dataclass; a `shared.Size` in it becomes text.
  """
  return {
    name: str(value) if isinstance(value, shared.Size) else value
    for name, value in vars(case).items()
  }


def times(once: Callable[[], Any], repeats: int) -> list[float]:
  """Returns the seconds of each of several calls.

  Args:
    once: what is timed; waits for the device.
    repeats: calls.
  """
  seconds = []
  for _ in range(repeats):
    started = time.perf_counter()
    once()
    seconds.append(time.perf_counter() - started)
  return seconds


def spread(seconds: Sequence[float]) -> dict[str, float]:
  """Returns the columns of repeated times."""
  return {
    'median_s': statistics.median(seconds),
    'fastest_s': min(seconds),
    'slowest_s': max(seconds),
  }


def peak_gib() -> float:
  """Returns the most memory in use so far, of all rows.

  Of the first device where it counts it; else, as on CPUs, of this process.
  """
  counted = (jax.local_devices()[0].memory_stats() or {}).get(
    'peak_bytes_in_use'
  )
  return memory.peak_gib() if counted is None else counted / 2**30


@contextlib.contextmanager
def memory_may_run_out(what: str) -> Iterator[None]:
  """Goes on behind the block where the device has too little memory for it.

  Args:
    what: told on standard error.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    print(f'{what}: the device has too little memory.', file=sys.stderr)


def make_trace_folder(folder: pathlib.Path | None) -> None:
  """Makes the folder for profiles before anything is measured for them.

  Raises:
    SavosError: it can't be made.
  """
  if folder is None:
    return
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.SavosError(
      f'{folder}: could not be made: {error}.\n'
      '  Expected a folder that can be written to: another --trace.'
    ) from None


def trace(
  folder: pathlib.Path | None, name: str, once: Callable[[], Any]
) -> None:
  """Profiles some more rounds of what was timed: profiling slows them.

  Args:
    folder: for the profiles; None makes none.
    name: of a folder in it.
    once: a round; waits for the device.
  """
  if folder is None:
    return
  with jax.profiler.trace(folder / name, create_perfetto_trace=True):
    for number in range(shared.TRACED_ROUNDS):
      with jax.profiler.StepTraceAnnotation('round', step_num=number):
        once()


def tell_trace(folder: pathlib.Path | None) -> None:
  """Prints how to look at the profiles, if there are any."""
  if folder is not None:
    print(
      f'\nprofiles: tensorboard --logdir={folder} (Profile; needs the package '
      'xprof), or a perfetto_trace.json.gz below it in https://ui.perfetto.dev'
    )
