"""Shows the network a window around each object, not the whole frame.

An object that fills a small part of a frame is a few cells of the network's
coarsest features; a window that follows it keeps it large, and keeps out what
looks like it elsewhere. Each object has a window of its own: the network sees
frame and mask together, so nothing that objects could share is lost.

A window has the frame's proportions. It is `zoom` times as wide or as high as
the box around the object in the frame before, at least `SMALLEST` of the frame
and at most the frame itself; that it is, too, where there is no object, so that
it is found wherever it comes back.

The box is around the pixels above one half. After Eq. 5, or where the winner
takes all, no pixel is that for two objects: a window is made for none but its
own.
"""

import dataclasses

import jax
import jax.numpy as jnp

from savos_jax.inference import aggregation

# Of the frame's sides. A smaller one is mostly enlarged pixels.
SMALLEST = 0.25
_INSIDE = 0.5  # Probability from which on a pixel is the object's.


@dataclasses.dataclass(frozen=True)
class Windows:
  """How windows are placed; see `options.InferenceConfig`.

  Attributes:
    zoom: the window's side over the object's, where that is the longer.
    lost_confidence: the window of an object that is less sure is the frame.
    stray: share of an object's pixels, at each side, that are left out of its
      box.
  """

  zoom: float
  lost_confidence: float = 0.0
  stray: float = 0.0


def _extent(
  counts: jax.Array, length: jax.Array, stray: float
) -> tuple[jax.Array, jax.Array]:
  """Begin and end of the pixels counted in [K, N]; 0, length if there are none.

  At each end a share of `stray` of them is left out at most.
  """
  total = counts.sum(axis=1, keepdims=True)
  # Whole numbers, and so exact. Without strays: from the first to the last.
  left_out = stray * total.astype(jnp.float32)

  def first(x):
    gone = jnp.cumsum(x, axis=1).astype(jnp.float32)
    return jnp.argmax(gone > left_out, axis=1)

  end = counts.shape[1] - first(counts[:, ::-1])
  some = total[:, 0] > 0
  begin = jnp.where(some, first(counts).astype(jnp.float32), 0.0)
  return begin, jnp.where(some, end.astype(jnp.float32), length)


def windows(masks: jax.Array, size: jax.Array, how: Windows) -> jax.Array:
  """Places a window around each object.

  Args:
    masks: probabilities, float32 [K, H, W].
    size: int32 [2]; the true height and width, without padding.
    how: to place them.

  Returns:
    top, left, height and width of each, float32 [K, 4], pixels.
  """
  inside = masks > _INSIDE
  if how.lost_confidence:
    sure = aggregation.confidence(masks, size) >= how.lost_confidence
    inside &= sure[:, None, None]
  size = size.astype(jnp.float32)
  top, bottom = _extent(inside.sum(axis=2), size[0], how.stray)
  left, right = _extent(inside.sum(axis=1), size[1], how.stray)
  share = how.zoom * jnp.maximum(
    (bottom - top) / size[0], (right - left) / size[1]
  )
  share = jnp.clip(share, SMALLEST, 1.0)
  height, width = share * size[0], share * size[1]
  top = jnp.clip((top + bottom - height) / 2, 0.0, size[0] - height)
  left = jnp.clip((left + right - width) / 2, 0.0, size[1] - width)
  return jnp.stack([top, left, height, width], axis=1)


def _resample(x, shape, scale, translation):
  """Bilinear, each pixel that gets smaller averaging its area: [H, W, ...]."""
  return jax.image.scale_and_translate(
    x, (*shape, *x.shape[2:]), (0, 1), scale, translation, 'linear'
  )


def look(x: jax.Array, boxes: jax.Array, height: int, width: int) -> jax.Array:
  """Shows what is in the windows.

  Args:
    x: a frame [1, H, W, 3], the same for all, or masks [K, H, W]; float32.
    boxes: the windows, from `windows`.
    height: of what is returned, pixels.
    width: of it, pixels.

  Returns:
    [K, height, width, ...].
  """

  def one(image, box):
    scale = jnp.array([height, width], jnp.float32) / box[2:]
    return _resample(image, (height, width), scale, -box[:2] * scale)

  if x.ndim == 4:
    return jax.vmap(one, in_axes=(None, 0))(x[0], boxes)
  return jax.vmap(one)(x, boxes)


def back(
  probabilities: jax.Array, boxes: jax.Array, height: int, width: int
) -> jax.Array:
  """Puts what was found in the windows where they are: 0 outside of them.

  Args:
    probabilities: float32 [K, h, w].
    boxes: the windows, from `windows`.
    height: of the frame, padding included, pixels.
    width: of it, pixels.

  Returns:
    float32 [K, height, width].
  """

  def one(image, box):
    scale = box[2:] / jnp.array(image.shape, jnp.float32)
    return _resample(image, (height, width), scale, box[:2])

  return jax.vmap(one)(probabilities, boxes)
