"""Perturbed previous masks that resemble a tracker's own predictions."""

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import sampling

_BLUR_CELL = 8  # Pixels.


def _blob(key, size) -> jax.Array:
  """Draws a smooth region covering about half the frame, bool [H, W]."""
  return sampling.bend(key, size)[..., 0] > 0


def _moved(key, mask, config):
  """Shifts, scales and warps a mask in proportion to its size."""
  shift_key, scale_key, bend_key = jax.random.split(key, 3)
  height, width = mask.shape
  total = jnp.maximum(mask.sum(), 1.0)
  extent = jnp.sqrt(total)
  rows = jnp.arange(height, dtype=jnp.float32)[:, None]
  columns = jnp.arange(width, dtype=jnp.float32)[None]
  y, x = (mask * rows).sum() / total, (mask * columns).sum() / total
  shift = jax.random.normal(shift_key, (2,)) * config.guidance_shift * extent
  scale = jnp.exp(jax.random.normal(scale_key) * config.guidance_scale)
  bent = sampling.bend(bend_key, mask.shape) * 0.05 * extent
  ys = y + (rows - y - shift[0]) * scale + bent[..., 0]
  xs = x + (columns - x - shift[1]) * scale + bent[..., 1]
  return ndimage.map_coordinates(mask, [ys, xs], order=1)


def _softened(key, mask):
  """Blurs a mask, and erodes or dilates its outline."""
  level_key, sharp_key = jax.random.split(key)
  height, width = mask.shape
  cells = -(-height // _BLUR_CELL), -(-width // _BLUR_CELL)
  small = jax.image.resize(mask, cells, 'linear')
  blurred = jax.image.resize(small, mask.shape, 'linear')
  level = jax.random.uniform(level_key, minval=0.3, maxval=0.7)
  sharpness = jnp.exp(jax.random.uniform(sharp_key, minval=1.5, maxval=3.5))
  return jax.nn.sigmoid((blurred + mask) / 2 * sharpness - level * sharpness)


def perturb(
  key: jax.Array,
  masks: jax.Array,
  others: jax.Array,
  config: config_lib.SceneConfig,
) -> jax.Array:
  """Perturbs masks.

  Args:
    key: of the random choices.
    masks: one per object, float32 [K, H, W], 0 or 1.
    others: the union of all objects, rivals included, float32 [H, W], 0 or 1.
    config: the ranges.

  Returns:
    Probabilities, float32 [K, H, W].
  """

  def one(key, mask):
    keys = iter(jax.random.split(key, 9))

    def coin(probability):
      return jax.random.uniform(next(keys)) < probability

    size = mask.shape
    rival = jnp.where(_blob(next(keys), size), others * (1.0 - mask), 0.0)
    wrong = jnp.where(coin(config.guidance_rival_probability), rival, 0.0)
    lacking = coin(config.guidance_part_probability) & _blob(next(keys), size)
    mask = jnp.where(lacking, 0.0, mask)
    mask = jnp.maximum(_moved(next(keys), mask, config), wrong)
    mask = _softened(next(keys), mask)
    return jnp.where(coin(config.guidance_drop_probability), 0.0, mask)

  return jax.vmap(one)(jax.random.split(key, masks.shape[0]), masks)
