"""Static figures of a program: operations, bytes and memory."""

from collections.abc import Callable
from typing import Any

import jax


def operations(function: Callable[..., Any], *arguments: Any) -> float | None:
  """Counts the floating-point operations of a function.

  They are counted in XLA's unoptimised program for TPUs, where every
  convolution is plain. On CPUs large ones are computed by Winograd's filtering
  (`models.winograd`), in loops of which XLA counts a single iteration.

  Args:
    function: the function to jit, for one device.
    *arguments: arrays, or their shapes.

  Returns:
    Operations, where a product and a sum count as two; None if unknown.
  """
  lowered = (
    jax.jit(function).trace(*arguments).lower(lowering_platforms=('tpu',))
  )
  return _counted(lowered.cost_analysis(), 'flops')


def bytes_accessed(compiled: jax.stages.Compiled) -> float | None:
  """Returns the bytes that a program's instructions read and write.

  This is XLA's count for one device. It includes accesses that a cache serves,
  and a single iteration of each loop.
  """
  return _counted(compiled.cost_analysis(), 'bytes accessed')


def _counted(costs: Any, name: str) -> float | None:
  # XLA gives nothing, or a negative number, if it does not know.
  count = (costs or {}).get(name, 0.0)
  return float(count) if count > 0 else None


def memory_gib(compiled: jax.stages.Compiled) -> dict[str, float | None]:
  """Returns the memory that a program needs on one device, by its compiler.

  Returns:
    GiB: `temporary_gib` besides its inputs and outputs, `total_gib` with them;
    None if the compiler does not say.
  """
  found = compiled.memory_analysis()
  if found is None:
    return {'temporary_gib': None, 'total_gib': None}
  temporary = found.temp_size_in_bytes
  total = (
    temporary
    + found.argument_size_in_bytes
    + found.output_size_in_bytes
    - found.alias_size_in_bytes
  )
  return {'temporary_gib': temporary / 2**30, 'total_gib': total / 2**30}
