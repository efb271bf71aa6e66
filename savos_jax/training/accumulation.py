"""Gradients of a batch in parts: the memory of one part at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from savos_jax.training import recurrence


def in_parts(
  gradients: Callable[[Any, Any], tuple[Any, Any]], parts: int
) -> Callable[[Any, Any], tuple[Any, Any]]:
  """Returns the same function, computed part after part.

  Args:
    gradients: (parameters, batch) -> gradients and metrics, all of them means
      over the examples.
    parts: into how many equal parts the examples are divided.
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
      # Nothing else would keep XLA from having all parts in memory at once.
      zero = recurrence.zero_after(total)
      waiting = jax.tree.map(lambda array, zero=zero: array + zero, params)
      total = jax.tree.map(jnp.add, total, gradients(waiting, part))
    return jax.tree.map(lambda array: array / parts, total)

  return mean
