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
from typing import Any

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


def _extent(counts: Any, length: Any, stray: float) -> tuple[Any, Any]:
  """Begin and end of the pixels counted in [K, N]; 0, length if there are none.

  At each end a share of `stray` of them is left out at most.
  """
  xp = counts.__array_namespace__()
  total = counts.sum(axis=1, keepdims=True)
  # Whole numbers, and so exact. Without strays: from the first to the last.
  left_out = xp.float32(stray) * total.astype(xp.float32)

  def first(x):
    gone = xp.cumsum(x, axis=1).astype(xp.float32)
    return xp.argmax(gone > left_out, axis=1)

  end = counts.shape[1] - first(counts[:, ::-1])
  some = total[:, 0] > 0
  begin = xp.where(some, first(counts).astype(xp.float32), xp.float32(0))
  return begin, xp.where(some, end.astype(xp.float32), length)


def windows(masks: Any, size: Any, how: Windows) -> Any:
  """Places a window around each object.

  Of NumPy's arrays it is computed by NumPy, of JAX's by JAX.

  Args:
    masks: probabilities, float32 [K, H, W].
    size: int32 [2]; the true height and width, without padding.
    how: to place them.

  Returns:
    top, left, height and width of each, float32 [K, 4], pixels.
  """
  xp = masks.__array_namespace__()
  inside = masks > _INSIDE
  if how.lost_confidence:
    sure = aggregation.confidence(masks, size) >= how.lost_confidence
    inside &= sure[:, None, None]
  size = size.astype(xp.float32)
  top, bottom = _extent(inside.sum(axis=2), size[0], how.stray)
  left, right = _extent(inside.sum(axis=1), size[1], how.stray)
  share = how.zoom * xp.maximum(
    (bottom - top) / size[0], (right - left) / size[1]
  )
  share = xp.clip(share, SMALLEST, 1.0)
  height, width = share * size[0], share * size[1]
  top = xp.clip((top + bottom - height) / 2, 0.0, size[0] - height)
  left = xp.clip((left + right - width) / 2, 0.0, size[1] - width)
  return xp.stack([top, left, height, width], axis=1)
