"""Windows of a frame by NumPy: what `sight.py` does by JAX, to rounding.

`jax.image.scale_and_translate`, bilinear, in which each pixel that gets smaller
averages its area. JAX multiplies by a matrix for each axis; here the few pixels
of which one is made are added up. No threads are used: they would be taken from
those that run the network.
"""

import functools
import operator

import numpy as np

# Weights that add up to less are none: JAX's bound.
_LEAST = 1000 * np.finfo(np.float32).eps
# Half a pixel from the centre of the outermost one, where an axis ends; what is
# rounded a little beyond it is in it: windows often end at a pixel's centre.
_EDGE = 0.5 + 1e-3


def _taps(
  length: int, made: range, scale: float, translation: float
) -> tuple[np.ndarray, np.ndarray]:
  """Returns what each pixel of a resampled axis is made of.

  Args:
    length: of the axis, pixels.
    made: which pixels are made of it.
    scale: what a pixel becomes, pixels.
    translation: where the first one goes.

  Returns:
    Which pixels of the axis, int [taps, n], and by which weights, float32
    [taps, n]; they add up to 1, or to 0 for what is not in the axis.
  """
  inverse = np.float32(1) / np.float32(scale)
  reach = max(inverse, np.float32(1))
  # In JAX's order, so that they are rounded alike.
  centres = (np.array(made, np.float32) + np.float32(0.5)) * inverse
  centres = centres - np.float32(translation) * inverse - np.float32(0.5)
  first = np.ceil(centres - reach).astype(np.int64)
  places = first + np.arange(int(np.ceil(2 * reach)) + 1)[:, None]
  distances = np.abs(centres - places.astype(np.float32)) / reach
  weights = np.maximum(np.float32(0), np.float32(1) - distances)
  weights[(places < 0) | (places >= length)] = 0
  total = weights.sum(axis=0)
  inside = (centres >= -_EDGE) & (centres <= length - 1 + _EDGE)
  some = (total > _LEAST) & inside
  weights = np.where(some, weights / np.where(some, total, 1), 0)
  return np.clip(places, 0, length - 1), weights.astype(np.float32)


def _resampled(
  image: np.ndarray,
  rows: tuple[np.ndarray, np.ndarray],
  columns: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
  """Resamples [H, W, ...] by the taps of both axes: float32."""
  wide = (-1, *[1] * (image.ndim - 1))
  high = (1, *wide[:-1])

  def total(parts):
    return functools.reduce(operator.iadd, parts)

  image = total(
    image[place] * weight.reshape(wide)
    for place, weight in zip(*rows, strict=True)
    if weight.any()
  )
  return total(
    np.take(image, place, axis=1) * weight.reshape(high)
    for place, weight in zip(*columns, strict=True)
    if weight.any()
  )


def into_window(
  image: np.ndarray, box: np.ndarray, height: int, width: int
) -> np.ndarray:
  """Shows what is in a window.

  Args:
    image: a frame [H, W, 3] or a mask [H, W], uint8 or float32.
    box: top, left, height and width, float32 [4], pixels.
    height: of what is returned, pixels.
    width: of it, pixels.

  Returns:
    Float32 [height, width] or [height, width, 3].
  """
  top, left, high, wide = box
  down, across = np.float32(height) / high, np.float32(width) / wide
  rows = _taps(image.shape[0], range(height), down, -top * down)
  columns = _taps(image.shape[1], range(width), across, -left * across)
  # Columns that are not seen are not added up.
  begin, end = columns[0].min(), columns[0].max() + 1
  return _resampled(image[:, begin:end], rows, (columns[0] - begin, columns[1]))


def out_of_window(found: np.ndarray, box: np.ndarray, out: np.ndarray) -> None:
  """Puts what was found in a window where it is.

  Args:
    found: float32 [h, w].
    box: the window, as for `into_window`.
    out: float32 [H, W], zeros; gets it.
  """
  top, left, high, wide = box
  down, across = high / found.shape[0], wide / found.shape[1]
  # The pixels that the window covers, and one more at each side.
  first, last = (
    np.clip(np.array(corner, np.int64), 0, out.shape)
    for corner in (
      np.floor(box[:2]) - 1,
      np.ceil(box[:2] + box[2:]) + 1,
    )
  )
  rows, columns = (
    _taps(length, range(*ends), scale, begin)
    for length, ends, scale, begin in zip(
      found.shape,
      zip(first, last, strict=True),
      (down, across),
      (top, left),
      strict=True,
    )
  )
  out[first[0] : last[0], first[1] : last[1]] = _resampled(found, rows, columns)
