"""How close a program comes to the limits of its device (the roofline).

Two rates of the device are measured in the same process: operations per second
in a large matrix product, and bytes per second when a large array is read and
written. A program takes at least the time of its operations at the first rate
and of its bytes at the second. This limit divided by the measured time is the
program's share, which can be compared between devices (Williams, Waterman and
Patterson, "Roofline", 2009).

Operations are those of the network with plain convolutions, each counted once:
recomputation that saves memory only adds time. On CPUs Winograd's filtering
saves half the operations of large convolutions, so the share can exceed 100 %.
Bytes are those of the compiled program; in small programs caches serve most of
them, so that share can exceed 100 % as well.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import time

import jax
import jax.numpy as jnp

from savos_jax.tools.benchmark.flags import shared

_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Peaks:
  """The measured rates of one device.

  Attributes:
    flops: floating-point operations per second of a matrix product, by dtype.
    bytes: read and written per second.
  """

  flops: dict[str, float]
  bytes: float

  def block(self) -> dict[str, float]:
    """Returns the rates for printing, by name."""
    rates = {
      f'{name}_product_gflop_per_s': rate / 1e9
      for name, rate in self.flops.items()
    }
    return rates | {'copy_gb_per_s': self.bytes / 1e9}

  def best_flops(self, dtype: str) -> float:
    """Returns the rate for a dtype: what is narrower can be widened."""
    return max(self.flops[dtype], self.flops['float32'])


def measure_for(arguments: argparse.Namespace) -> Peaks:
  """Measures the rates for the dtypes and sizes of the flags."""
  return measure(
    arguments.compute_dtype, arguments.product_size, arguments.copy_mib
  )


def measure(
  dtypes: Sequence[str], product_size: int | None = None, copy_mib: int = 256
) -> Peaks:
  """Measures the rates of the first device.

  Args:
    dtypes: of matrix products; 'float32' is measured in any case.
    product_size: rows and columns; None for the backend's default.
    copy_mib: MiB of the array that is read and written.
  """
  size = product_size or shared.PRODUCT_SIZES.get(
    jax.default_backend(), shared.PRODUCT_SIZE
  )
  names = list(dict.fromkeys(['float32', *dtypes]))
  return Peaks(
    {name: _product_rate(name, size) for name in names}, _copy_rate(copy_mib)
  )


def _fastest(once: Callable[[], jax.Array], calls: int) -> float:
  """Returns seconds a call, of several without a pause between them."""
  once().block_until_ready()  # Compiles.
  seconds = []
  for _ in range(_REPEATS):
    started = time.perf_counter()
    for _ in range(calls):
      result = once()
    result.block_until_ready()
    seconds.append((time.perf_counter() - started) / calls)
  return min(seconds)


def _product_rate(dtype: str, size: int) -> float:
  """Measures operations a second, as the network multiplies in a dtype.

  Inputs and result are of the dtype, in the precision that JAX takes by
  default (on accelerators float32 may be rounded on its way, and bfloat16 is
  added up in float32).
  """
  # Random: equal numbers take less power, which accelerators turn into speed.
  draw = jax.jit(lambda key: jax.random.normal(key, (size, size)).astype(dtype))
  matrix = draw(jax.random.key(0))
  product = jax.jit(jnp.matmul)
  return 2 * size**3 / _fastest(lambda: product(matrix, matrix), calls=2)


def _copy_rate(mib: int) -> float:
  """Measures bytes read and written a second.

  In place: a CPU would spend its time on getting fresh pages from the system.
  """
  negate = jax.jit(jnp.negative, donate_argnums=0)
  array = jnp.ones((mib * 2**18,), jnp.float32)
  size = 2 * array.nbytes

  def once():
    nonlocal array
    array = negate(array)
    return array

  return size / _fastest(once, calls=4)


def limit_seconds(
  flops: float | None, bytes_accessed: float | None, peaks: Peaks, dtype: str
) -> tuple[float | None, str | None]:
  """Returns the least time that a program can take on a device.

  Args:
    flops: operations on it; None where they are not known.
    bytes_accessed: read and written by it; None where they are not known.
    peaks: the device's rates.
    dtype: in which the operations are done.

  Returns:
    Seconds, and what bounds them: 'operations' or 'bytes'; None and None where
    the operations are not known.
  """
  if flops is None:
    return None, None
  by_operations = flops / peaks.best_flops(dtype)
  by_bytes = (bytes_accessed or 0.0) / peaks.bytes
  if by_bytes > by_operations:
    return by_bytes, 'bytes'
  return by_operations, 'operations'


def columns(
  seconds: float | None,
  flops: float | None,
  bytes_accessed: float | None,
  peaks: Peaks | None,
  dtype: str,
  devices: int = 1,
) -> dict[str, float | str | None]:
  """Returns the columns of a row about its limit.

  Args:
    seconds: that were measured; None where it didn't run.
    flops: operations of all devices together.
    bytes_accessed: by each device.
    peaks: of a device; None where nothing ran.
    dtype: of the operations.
    devices: that share the work.

  Returns:
    `gflop`, `gbyte` (of all devices), `gflop_per_s`, `share_of_limit`,
    `limited_by`; None for what isn't known.
  """
  total = None if bytes_accessed is None else bytes_accessed * devices
  # The devices that a CPU is divided into share its cores and its memory.
  units = 1 if jax.default_backend() == 'cpu' else devices
  limit, bound = None, None
  if peaks is not None and flops is not None:
    limit, bound = limit_seconds(
      flops / units, total and total / units, peaks, dtype
    )
  return {
    'gflop': flops and flops / 1e9,
    'gbyte': total and total / 1e9,
    'gflop_per_s': flops / 1e9 / seconds if flops and seconds else None,
    'share_of_limit': limit / seconds if limit and seconds else None,
    'limited_by': bound,
  }
