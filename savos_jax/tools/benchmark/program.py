"""What is known of a program before it runs: operations, bytes, memory."""

from collections.abc import Callable
from typing import Any

import jax


def operations(function: Callable[..., Any], *arguments: Any) -> float | None:
  """Counts the floating-point operations of a function.

  As XLA lowers it for TPUs, before it is optimised: there every convolution is
  plain. On CPUs large ones are taken apart by Winograd's filtering
  (`models.winograd`), in loops of which XLA counts one round.

  Args:
    function: to be jitted; one device's.
    *arguments: arrays, or their shapes.

  Returns:
    Operations, a product and a sum are two; None where they are not counted.
  """
  lowered = (
    jax.jit(function).trace(*arguments).lower(lowering_platforms=('tpu',))
  )
  return _counted(lowered.cost_analysis(), 'flops')


def bytes_accessed(compiled: jax.stages.Compiled) -> float | None:
  """Returns the bytes that a program's instructions read and write.

  As XLA counts them for the device that it was compiled for, one of them if it
  runs on several. What a cache holds is counted as well; of a loop one round.
  """
  return _counted(compiled.cost_analysis(), 'bytes accessed')


def _counted(costs: Any, name: str) -> float | None:
  # Nothing, or less than nothing, where XLA can't tell.
  count = (costs or {}).get(name, 0.0)
  return float(count) if count > 0 else None


def memory_gib(compiled: jax.stages.Compiled) -> dict[str, float | None]:
  """Returns what a program needs of one device's memory, by its compiler.

  Returns:
    GiB: `temporary_gib` beside its inputs and outputs, `total_gib` with them;
    None where the compiler doesn't say.
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
