"""Shows the network a window around each object, not the whole frame.

A small object covers only a few cells of the network's coarsest features. A
window that follows the object keeps it large and hides similar objects
elsewhere in the frame. Each object has its own window. No shared computation is
lost, because the network encodes the frame together with each object's mask:
objects have no features in common.

A window has the frame's aspect ratio. Its size is `zoom` times that of the
object's bounding box in the previous frame, at least `SMALLEST` of the frame
and at most the whole frame. An object that has disappeared gets the whole
frame, so that it is found wherever it reappears.

The bounding box encloses the pixels with a probability above 0.5. After Eq. 5
or winner-takes-all, no pixel exceeds this for two objects, so a window follows
only its own object.
"""

import dataclasses
from typing import Any

from savos_jax.inference import aggregation

# Share of the frame's sides. Smaller windows would mostly show enlarged pixels.
SMALLEST = 0.25
INSIDE = 0.5  # Probability above which a pixel belongs to the object.


@dataclasses.dataclass(frozen=True)
class Windows:
  """How windows are placed; see `options.InferenceConfig`.

  Attributes:
    zoom: ratio of the window's side to the object's, along the axis on which
      the object takes up more of the frame.
    lost_confidence: an object with a lower confidence gets the whole frame.
    stray: largest share of an object's pixels cut off at each side of its
      bounding box.
  """

  zoom: float
  lost_confidence: float = 0.0
  stray: float = 0.0


def extent(counts: Any, length: Any, stray: float) -> tuple[Any, Any]:
  """Returns the first and the end index of the pixels counted in [K, N].

  0 and `length` if there are none. At each end, at most a share of `stray` of
  the pixels is cut off.
  """
  xp = counts.__array_namespace__()
  total = counts.sum(axis=1, keepdims=True)
  # Counts are integers, hence exact in float32. With `stray` 0 nothing is cut.
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

  Computes with NumPy or JAX, whichever the arrays belong to.

  Args:
    masks: probabilities, float32 [K, H, W].
    size: int32 [2]; height and width without padding.
    how: how to place the windows.

  Returns:
    Top, left, height and width of each window, float32 [K, 4], pixels.
  """
  xp = masks.__array_namespace__()
  inside = masks > INSIDE
  if how.lost_confidence:
    sure = aggregation.confidence(masks, size) >= how.lost_confidence
    inside &= sure[:, None, None]
  size = size.astype(xp.float32)
  # NumPy counts in 64 bits otherwise, in twice the time.
  down, across = (inside.sum(axis=k, dtype=xp.int32) for k in (2, 1))
  top, bottom = extent(down, size[0], how.stray)
  left, right = extent(across, size[1], how.stray)
  share = how.zoom * xp.maximum(
    (bottom - top) / size[0], (right - left) / size[1]
  )
  share = xp.clip(share, SMALLEST, 1.0)
  height, width = share * size[0], share * size[1]
  top = xp.clip((top + bottom - height) / 2, 0.0, size[0] - height)
  left = xp.clip((left + right - width) / 2, 0.0, size[1] - width)
  return xp.stack([top, left, height, width], axis=1)
