"""Takes images out of a `bank.Bank`'s pixels: where, turned, bent."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Rows and columns of random displacements that bend an image.
_BEND_GRID = (4, 6)


class Placement(NamedTuple):
  """Where an image appears in an example; each a scalar or of one shape.

  Attributes:
    source_y: the image's pixel that comes to `y`, `x`.
    source_x: see there.
    y: in the example, pixels.
    x: see there.
    step: pixels of the image for one of the example, downwards.
    step_x: the same to the right; negative: mirrored.
    angle: radians.
  """

  source_y: jax.Array
  source_x: jax.Array
  y: jax.Array
  x: jax.Array
  step: jax.Array
  step_x: jax.Array
  angle: jax.Array


def bend(key: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Draws a smooth field of displacements, float32 [H, W, 2], deviation 1."""
  coarse = jax.random.normal(key, (*_BEND_GRID, 2))
  return jax.image.resize(coarse, (*size, 2), 'cubic')


def coordinates(
  placement: Placement, displacements: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns rows and columns of an image for each pixel of an example.

  Args:
    placement: of the image.
    displacements: by which the example's pixels are moved, float32 [H, W, 2].

  Returns:
    Float32 [H, W] each.
  """
  height, width = displacements.shape[:2]
  rows = jnp.arange(height, dtype=jnp.float32)[:, None]
  columns = jnp.arange(width, dtype=jnp.float32)[None]
  dy = rows - placement.y + displacements[..., 0]
  dx = columns - placement.x + displacements[..., 1]
  cos, sin = jnp.cos(placement.angle), jnp.sin(placement.angle)
  return (
    placement.source_y + placement.step * (cos * dy - sin * dx),
    placement.source_x + placement.step_x * (sin * dy + cos * dx),
  )


def _reflected(index: jax.Array, length: jax.Array) -> jax.Array:
  """Mirrors an index at both borders of 0..length - 1."""
  index = index % (2 * length)
  return jnp.where(index >= length, 2 * length - 1 - index, index)


def unpack(pixels: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns RGB, float32 [..., 3] of 0..255, and labels, int32 [...]."""
  channels = [(pixels >> shift) & 0xFF for shift in (0, 8, 16)]
  rgb = jnp.stack(channels, axis=-1).astype(jnp.float32)
  return rgb, (pixels >> 24).astype(jnp.int32)


class Taken(NamedTuple):
  """An image as an example has it.

  Attributes:
    rgb: float32 [H, W, 3], 0..255.
    label: of the nearest pixel, int32 [H, W].
    share: of `only` in the pixel, float32 [H, W].
  """

  rgb: jax.Array
  label: jax.Array
  share: jax.Array


def take(
  pixels: jax.Array,
  image: jax.Array,
  ys: jax.Array,
  xs: jax.Array,
  only: jax.Array,
) -> Taken:
  """Takes an image's pixels, bilinearly; beyond its borders its mirror image.

  Args:
    pixels: of the bank, uint32 [P].
    image: its row in the bank's images: offset, height, width, ....
    ys: rows, float32 [H, W].
    xs: columns, float32 [H, W].
    only: a label whose share is wanted, a scalar. Beyond the image's borders
      there is nothing of it.

  Returns:
    The image.
  """
  offset, height, width = image[0], image[1], image[2]
  top, left = jnp.floor(ys), jnp.floor(xs)
  part_y, part_x = ys - top, xs - left
  top, left = top.astype(jnp.int32), left.astype(jnp.int32)
  rgb, label = jnp.zeros((*ys.shape, 3)), jnp.zeros(ys.shape, jnp.int32)
  share, most = jnp.zeros(ys.shape), jnp.zeros(ys.shape)
  for down in (0, 1):
    for right in (0, 1):
      weight = (part_y if down else 1 - part_y) * (
        part_x if right else 1 - part_x
      )
      y, x = _reflected(top + down, height), _reflected(left + right, width)
      tap_rgb, tap_label = unpack(pixels[offset + y * width + x])
      rgb += weight[..., None] * tap_rgb
      share += jnp.where(tap_label == only, weight, 0.0)
      label = jnp.where(weight > most, tap_label, label)
      most = jnp.maximum(weight, most)
  rows, columns = height.astype(jnp.float32), width.astype(jnp.float32)
  inside = (ys > -0.5) & (ys < rows - 0.5) & (xs > -0.5) & (xs < columns - 0.5)
  return Taken(rgb, label, jnp.where(inside, share, 0.0))
