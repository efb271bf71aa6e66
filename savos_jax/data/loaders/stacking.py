"""Stacks examples into a batch."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np


def stack(
  examples: Sequence[Mapping[str, np.ndarray]],
  shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
  """Stacks the arrays of each name.

  Args:
    examples: those of a batch.
    shapes: name -> the shape that an example's array must have.

  Returns:
    Name -> array with a leading axis of len(examples).

  Raises:
    ValueError: an array has another shape.
  """
  return {name: _stack(name, s, examples) for name, s in shapes.items()}


def _stack(name, shape, examples) -> np.ndarray:
  arrays = [np.asarray(example[name]) for example in examples]
  for array in arrays:
    if array.shape != shape:
      expected = str(list(shape)).replace(' ', '')
      raise ValueError(f'{name}: {array.shape}, expected {expected}')
  return np.stack(arrays)
