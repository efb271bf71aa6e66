"""Batches of scenes for the training loop."""

from collections.abc import Iterator
from collections.abc import Sequence
import functools

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.data import bank as bank_lib
from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import generate


class Scenes:
  """Makes examples on the training device, which holds the bank."""

  def __init__(
    self, bank: bank_lib.Bank, config: config_lib.SceneConfig, seed: int
  ):
    """Copies the bank to the device.

    Args:
      bank: the images.
      config: the ranges.
      seed: of every random choice, at least 0.
    """
    self._bank = jax.device_put(bank.arrays())
    self._config = config
    self._seed = seed

  def names(self, indices: Sequence[int]) -> list[str]:
    """Describes examples for an error message."""
    return [f'scene {int(index)} of seed {self._seed}' for index in indices]

  def batches(
    self, start_step: int, stop_step: int, batch_size: int
  ) -> Iterator[dict[str, jax.Array | np.ndarray]]:
    """Iterates over the batches of steps start_step .. stop_step - 1.

    The batch of step s holds examples s * batch_size to (s + 1) * batch_size -
    1, whichever step is the first.

    Args:
      start_step: the first step.
      stop_step: one past the last.
      batch_size: examples per batch.

    Yields:
      The result of `generate.batch`, and 'index', int64 [B], on the host.
    """
    make = jax.jit(
      functools.partial(generate.batch, config=self._config, count=batch_size)
    )
    for step in range(start_step, stop_step):
      first = step * batch_size
      batch = make(jnp.int32(self._seed), jnp.int32(first), self._bank)
      yield {'index': np.arange(first, first + batch_size), **batch}
