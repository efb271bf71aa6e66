"""Samples images from a `bank.Bank`, with a placement, rotation and warp."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Rows and columns of the random displacements that warp an image.
_BEND_GRID = (4, 6)


class Placement(NamedTuple):
  """Where an image appears in an example; scalars, or arrays of one shape.

  Attributes:
    source_y: row of the image pixel that is shown at (`y`, `x`).
    source_x: its column.
    y: row in the example, pixels.
    x: column in the example, pixels.
    step: image pixels per example pixel, downwards.
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
  """Draws smooth displacements, float32 [H, W, 2], standard deviation 1."""
  coarse = jax.random.normal(key, (*_BEND_GRID, 2))
  return jax.image.resize(coarse, (*size, 2), 'cubic')


def coordinates(
  placement: Placement, displacements: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns rows and columns of an image for each pixel of an example.

  Args:
    placement: of the image.
    displacements: of the example's pixels, float32 [H, W, 2].

  Returns:
    Two arrays, float32 [H, W].
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
  """Reflects an index at both ends of 0..length - 1."""
  index = index % (2 * length)
  return jnp.where(index >= length, 2 * length - 1 - index, index)


def unpack(pixels: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns RGB, float32 [..., 3] in 0..255, and labels, int32 [...]."""
  channels = [(pixels >> shift) & 0xFF for shift in (0, 8, 16)]
  rgb = jnp.stack(channels, axis=-1).astype(jnp.float32)
  return rgb, (pixels >> 24).astype(jnp.int32)


class Taken(NamedTuple):
  """An image as it appears in an example.

  Attributes:
    rgb: float32 [H, W, 3], 0..255.
    label: of the nearest pixel, int32 [H, W].
    share: coverage of the pixel by the label `only`, float32 [H, W].
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
  """Samples an image bilinearly, reflected beyond its borders.

  Args:
    pixels: of the bank, uint32 [P].
    image: its row in the bank's images: offset, height, width, ....
    ys: rows, float32 [H, W].
    xs: columns, float32 [H, W].
    only: the label whose coverage to compute, a scalar; it is 0 beyond the
      image's borders.

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
