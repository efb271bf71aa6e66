"""Gradient accumulation: a batch in parts, with the memory of one part."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from savos_jax.training import recurrence


def in_parts(
  gradients: Callable[[Any, Any], tuple[Any, Any]], parts: int
) -> Callable[[Any, Any], tuple[Any, Any]]:
  """Returns the same function, computed one part after another.

  Args:
    gradients: (parameters, batch) -> gradients and metrics, all averaged over
      the examples.
    parts: number of equal parts to split the examples into.
  """
  if parts == 1:
    return gradients

  def mean(params, batch):
    size = jax.tree.leaves(batch)[0].shape[0] // parts
    total = None
    for number in range(parts):
      part = jax.tree.map(
        lambda array, first=number * size: array[first : first + size], batch
      )
      if total is None:
        total = gradients(params, part)
        continue
      # Otherwise XLA might hold all parts in memory at once.
      zero = recurrence.zero_after(total)
      waiting = jax.tree.map(lambda array, zero=zero: array + zero, params)
      total = jax.tree.map(jnp.add, total, gradients(waiting, part))
    return jax.tree.map(lambda array: array / parts, total)

  return mean
