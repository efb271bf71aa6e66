"""Maps frames and masks to the network's views, and predictions back.

The network sees one or several views (`scales.py`) of the frame, or of a window
around each object (`zoom.py`).
"""

import jax
import jax.numpy as jnp

from savos_jax.inference import scales
from savos_jax.inference import zoom


class Sight:
  """How the network sees one frame."""

  def __init__(self, masks, size, static_size, windows: zoom.Windows | None):
    """Places the windows from the objects' masks.

    Args:
      masks: probabilities, float32 [K, H, W], padded.
      size: int32 [2], height and width without padding.
      static_size: the same as Python integers; may be None if all views are
        plain or show windows.
      windows: how the windows are placed; None if the views show the whole
        frame.
    """
    self._shape, self._size = masks.shape[1:], static_size
    self._boxes = zoom.windows(masks, size, windows) if windows else None

  def look(self, x: jax.Array, view: scales.View) -> jax.Array:
    """Returns a view of padded frames or masks [N, H, W, ...]."""
    if view.plain:
      return x
    if self._boxes is None:
      height, width = self._size
      return resized(x[:, :height, :width], view)
    x = into_windows(x, self._boxes, view.height, view.width)
    return resized(x, view)

  def back(self, probabilities: jax.Array, view: scales.View) -> jax.Array:
    """Inverts `look`: maps [N, h, w] back to the padded [N, H, W]."""
    if view.plain:
      return probabilities
    if self._boxes is None:
      x = resized_back(probabilities, view, *self._size)
      height, width = self._shape
      bottom, right = height - self._size[0], width - self._size[1]
      return jnp.pad(x, ((0, 0), (0, bottom), (0, right)))
    x = resized_back(probabilities, view, view.height, view.width)
    return out_of_windows(x, self._boxes, *self._shape)


def _resize(x: jax.Array, height: int, width: int) -> jax.Array:
  """Resizes [N, H, W, ...] bilinearly, without antialiasing."""
  if x.shape[1:3] == (height, width):
    return x
  shape = (x.shape[0], height, width, *x.shape[3:])
  return jax.image.resize(x, shape, 'bilinear', antialias=False)


def resized(x: jax.Array, view: scales.View) -> jax.Array:
  """Resizes frames or masks [N, H, W, ...] to a view, mirrored if it is."""
  x = _resize(x, view.height, view.width)
  return jnp.flip(x, axis=2) if view.flip else x


def resized_back(
  x: jax.Array, view: scales.View, height: int, width: int
) -> jax.Array:
  """Inverts `resized`: maps probabilities [N, h, w] to [N, height, width]."""
  x = jnp.flip(x, axis=2) if view.flip else x
  return _resize(x, height, width)


def _resample(x, shape, scale, translation):
  """Resamples [H, W, ...] bilinearly, with antialiasing when shrinking."""
  return jax.image.scale_and_translate(
    x, (*shape, *x.shape[2:]), (0, 1), scale, translation, 'linear'
  )


def into_windows(
  x: jax.Array, boxes: jax.Array, height: int, width: int
) -> jax.Array:
  """Resamples the content of each window.

  Args:
    x: one frame for all windows [1, H, W, 3], or masks [K, H, W]; float32.
    boxes: the windows, from `zoom.windows`.
    height: of the output, pixels.
    width: of the output, pixels.

  Returns:
    [K, height, width, ...].
  """

  def one(image, box):
    scale = jnp.array([height, width], jnp.float32) / box[2:]
    return _resample(image, (height, width), scale, -box[:2] * scale)

  if x.ndim == 4:
    return jax.vmap(one, in_axes=(None, 0))(x[0], boxes)
  return jax.vmap(one)(x, boxes)


def out_of_windows(
  probabilities: jax.Array, boxes: jax.Array, height: int, width: int
) -> jax.Array:
  """Maps predictions in the windows back to the frame; 0 outside the windows.

  Args:
    probabilities: float32 [K, h, w].
    boxes: the windows, from `zoom.windows`.
    height: of the frame including padding, pixels.
    width: of the frame including padding, pixels.

  Returns:
    float32 [K, height, width].
  """

  def one(image, box):
    scale = box[2:] / jnp.array(image.shape, jnp.float32)
    return _resample(image, (height, width), scale, box[:2])

  return jax.vmap(one)(probabilities, boxes)
