"""Decodes only the surroundings of each object finely.

Most of the network's time goes into the decoder's stages at strides 8 and 4.
With `focus`, they compute a box around the object's previous mask. Its larger
side is `focus` times the object's, and the other has the same margin. Outside
the box, the object's probability is 0. Everything coarser sees the whole view,
so the box costs no context.

An object that reaches the box's edge may continue beyond it, because it moves
fast or comes out from behind another. The whole view is decoded then.
"""

from collections.abc import Sequence
import math
from typing import Any
from typing import NamedTuple

import numpy as np

from savos_jax.inference import zoom
from savos_jax.models import savos_config

STRIDE = savos_config.FINE_STRIDE  # Pixels per cell.


class Box(NamedTuple):
  """Where objects are, in cells.

  Attributes:
    middle: row and column of the box's centre, float32 [K, 2].
    side: rows and columns that the box needs, float32 [K, 2].
  """

  middle: Any
  side: Any


def boxes(masks: Any, focus: float) -> Box:
  """Returns the box around each object; the whole view if it has no pixels.

  The margin is the same on all sides: of an object that comes out from behind
  another, only a narrow strip may be known.

  Computes with NumPy or JAX, whichever the array belongs to.

  Args:
    masks: the objects' probabilities in their views, float32 [K, H, W].
    focus: ratio of the box's larger side to the object's.
  """
  xp = masks.__array_namespace__()
  inside = masks > zoom.INSIDE
  begin, end = (
    xp.stack(ends, axis=1)
    for ends in zip(
      *(
        zoom.extent(
          inside.sum(axis=3 - axis, dtype=xp.int32),
          xp.float32(masks.shape[axis]),
          0.0,
        )
        for axis in (1, 2)
      ),
      strict=True,
    )
  )
  margins = (focus - 1) * (end - begin).max(axis=1, keepdims=True)
  # A cell more, because the box's edges lie between cells.
  side = xp.ceil((end - begin + margins) / STRIDE) + 1
  return Box((begin + end) / (2 * STRIDE), side)


def first(middle: Any, side: int, cells: int) -> Any:
  """Returns the first of `side` cells around a centre, of `cells` in all."""
  xp = middle.__array_namespace__()
  # To the nearest: the cell more that `boxes` adds makes up for it.
  return xp.clip(xp.floor(middle - side / 2 + 0.5), 0, cells - side)


def leaves(found: Any, corner: Sequence[Any], shape: Sequence[int]) -> Any:
  """Returns whether an object may continue outside of its box, bool.

  Args:
    found: its probabilities in the box, float32 [h, w].
    corner: the box's first row and column in the view, pixels.
    shape: height and width of the view, pixels.
  """
  top, left = corner
  height, width = found.shape
  inside = found > zoom.INSIDE
  return (
    (inside[0].any() & (top > 0))
    | (inside[-1].any() & (top + height < shape[0]))
    | (inside[:, 0].any() & (left > 0))
    | (inside[:, -1].any() & (left + width < shape[1]))
  )


def placed(
  found: np.ndarray, corner: Sequence[int], shape: Sequence[int]
) -> np.ndarray:
  """Puts a box's probabilities at their place in the view; 0 around them.

  Args:
    found: as for `leaves`, and so the other two.
    corner: see there.
    shape: see there.

  Returns:
    Float32, of the view's shape.
  """
  view = np.zeros(shape, np.float32)
  top, left = corner
  height, width = found.shape
  view[top : top + height, left : left + width] = found
  return view


# In whole frames, objects are of any size: boxes as in windows with this zoom.
_WHOLE = 2.0


def sizes(
  rows: int, columns: int, focus: float, zoom: float
) -> list[tuple[int, int]]:
  """Returns the sizes of boxes that JAX compiles, smallest first.

  The larger one is enough for all objects of which a window is `zoom` times as
  large; the other has half the columns.

  Args:
    rows: of the view, in cells.
    columns: likewise.
    focus: ratio of the box's larger side to the object's.
    zoom: ratio of the view's side to the object's; 0: the whole frame.
  """

  def most(side, other):
    share = (1 + (focus - 1) * max(1.0, other / side)) / (zoom or _WHOLE)
    return min(side, math.ceil(share * side) + 1)

  high, wide = most(rows, columns), most(columns, rows)
  return [(high, -(-wide // 2)), (high, wide)]
