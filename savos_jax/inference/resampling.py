"""Resamples windows of a frame with NumPy, as `sight.py` does with JAX.

Equals a bilinear `jax.image.scale_and_translate` with antialiasing, up to
rounding. JAX multiplies by a matrix per axis; here only the few input pixels
that contribute to each output pixel are summed. No threads are used, because
they would compete with those that run the network.
"""

import cv2
import numpy as np

# Weights with a smaller sum count as zero; JAX's threshold.
_LEAST = 1000 * np.finfo(np.float32).eps
# An axis ends half a pixel beyond the centre of its outermost pixel. The
# tolerance absorbs rounding: windows often end exactly at a pixel's centre.
_EDGE = 0.5 + 1e-3


def _taps(
  length: int, made: range, scale: float, translation: float
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the input pixels and weights of each output pixel of an axis.

  Args:
    length: of the input axis, pixels.
    made: indices of the output pixels.
    scale: output pixels per input pixel.
    translation: offset of the input's origin in the output, pixels.

  Returns:
    Indices of input pixels, int [taps, n], and their weights, float32
    [taps, n]; weights sum to 1, or to 0 for pixels outside the input.
  """
  inverse = np.float32(1) / np.float32(scale)
  reach = max(inverse, np.float32(1))
  # In the same order as JAX, for identical rounding.
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
  """Resamples [H, W, ...] with the taps of both axes, to float32.

  Columns are summed as rows of the transposed image: whole rows are copied
  several times faster than single pixels of each.
  """
  image = image.astype(np.float32, copy=False)
  found = cv2.transpose(_summed_rows(image, *rows))
  return cv2.transpose(_summed_rows(found, *columns))


def _summed_rows(
  image: np.ndarray, places: np.ndarray, weights: np.ndarray
) -> np.ndarray:
  """Returns weighted sums of rows, [n, W, ...], float32; see `_taps`."""
  flat = image.reshape(len(image), -1)
  found = np.zeros((places.shape[1], flat.shape[1]), np.float32)
  for place, weight in zip(places, weights, strict=True):
    if weight.any():
      part = flat[place]
      part *= weight[:, None]
      found += part
  return found.reshape(-1, *image.shape[1:])


def into_window(
  image: np.ndarray, box: np.ndarray, height: int, width: int
) -> np.ndarray:
  """Resamples the content of a window.

  Args:
    image: a frame [H, W, 3] or a mask [H, W], uint8 or float32.
    box: top, left, height and width, float32 [4], pixels.
    height: of the output, pixels.
    width: of the output, pixels.

  Returns:
    Float32 [height, width] or [height, width, 3].
  """
  top, left, high, wide = box
  down, across = np.float32(height) / high, np.float32(width) / wide
  rows = _taps(image.shape[0], range(height), down, -top * down)
  columns = _taps(image.shape[1], range(width), across, -left * across)
  # Only the pixels in the window.
  begin = [int(places.min()) for places, _ in (rows, columns)]
  end = [int(places.max()) + 1 for places, _ in (rows, columns)]
  rows, columns = (
    (places - first, weights)
    for (places, weights), first in zip((rows, columns), begin, strict=True)
  )
  return _resampled(image[begin[0] : end[0], begin[1] : end[1]], rows, columns)


def out_of_window(found: np.ndarray, box: np.ndarray, out: np.ndarray) -> None:
  """Writes a window's prediction back to its place in the frame.

  Args:
    found: the prediction in the window, float32 [h, w].
    box: the window, as for `into_window`.
    out: zeros, float32 [H, W]; written in place.
  """
  top, left, high, wide = box
  down, across = high / found.shape[0], wide / found.shape[1]
  # The pixels covered by the window, plus one on each side.
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
