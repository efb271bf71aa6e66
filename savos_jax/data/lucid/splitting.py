"""Step 2: a frame's objects, and the background without them."""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from savos_jax.data import lucid_config as config_lib
from savos_jax.data.lucid import blending
from savos_jax.data.lucid import inpainting

# An object cut by the frame's border is extended with its mirror image by this
# share of its size, so that small motions do not expose the cut.
_BEYOND_CUT = 0.2
# An object's colours are extended this far beyond its mask, pixels, so that
# soft edges do not contain its old background.
_SPREAD = 4


@dataclasses.dataclass(frozen=True)
class Layer:
  """A partly transparent picture of one object, placed in a frame.

  Attributes:
    object_id: 1..255.
    image: RGB and opacity (255: the object), uint8 [h, w, 4]. The colours are
      defined beyond the object as well.
    left: column of the frame where the picture begins; may be negative.
    top: row of the frame; may be negative.
  """

  object_id: int
  image: np.ndarray
  left: int
  top: int


@dataclasses.dataclass(frozen=True)
class Cutout(Layer):
  """An object as it was cut out of its frame.

  Attributes:
    box: (left, top, width, height) of the object itself in the picture.
    cuts: for the (left, top, right, bottom) border of the frame, the two ends
      (x, y) of the line along which it cuts the object, float64 [2, 2]; None
      where it does not.
  """

  box: tuple[int, int, int, int]
  cuts: tuple[np.ndarray | None, ...]


def _moving_mask(labels, moving) -> np.ndarray:
  return np.isin(labels, np.asarray(moving, np.uint8)).astype(np.uint8)


def hole(
  labels: np.ndarray, moving: Sequence[int], config: config_lib.LucidConfig
) -> np.ndarray:
  """Returns the region to fill once the objects `moving` are cut out.

  It is their masks, dilated by `hole_dilation`, but not into other objects.

  Args:
    labels: uint8 [H, W].
    moving: the objects' ids.
    config: hole_dilation.

  Returns:
    uint8 [H, W], 0 or 1.
  """
  mask = _moving_mask(labels, moving)
  grown = cv2.dilate(mask, blending.disk(config.hole_dilation))
  return grown & ((labels == 0) | (mask > 0)).astype(np.uint8)


def inpaint(
  frame: np.ndarray,
  labels: np.ndarray,
  moving: Sequence[int],
  config: config_lib.LucidConfig,
) -> np.ndarray:
  """Removes the objects `moving` from a frame; the slow part of a dream.

  The hole is filled from its surroundings, but not with other objects, which
  would then appear without a label. The result depends only on the arguments,
  so it can be cached.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: uint8 [H, W].
    moving: ids of the objects to remove.
    config: hole_dilation.

  Returns:
    RGB uint8 [H, W, 3]; the mean colour if the hole is the whole frame.
  """
  others = (labels > 0) & (_moving_mask(labels, moving) == 0)
  return inpainting.fill(
    frame, hole(labels, moving, config), others.astype(np.uint8)
  )


def inpaint_settings(config: config_lib.LucidConfig) -> tuple:
  """Returns everything that `inpaint` depends on besides its pictures."""
  return (inpainting.VERSION, config.hole_dilation)


def _cut_out(frame, labels, object_id) -> Cutout | None:
  """Cuts one object out; returns None if it does not occur."""
  mask = (labels == object_id).astype(np.uint8)
  if not mask.any():
    return None
  height, width = mask.shape
  cuts = _find_cuts(mask)
  x, y, box_width, box_height = cv2.boundingRect(mask)
  left, top = max(0, x - _SPREAD), max(0, y - _SPREAD)
  right = min(width, x + box_width + _SPREAD)
  bottom = min(height, y + box_height + _SPREAD)
  mask = mask[top:bottom, left:right]
  image = _spread(frame[top:bottom, left:right], mask)
  rgba = np.dstack([image, mask * np.uint8(255)])
  beyond = round(_BEYOND_CUT * max(box_width, box_height))
  by = [0 if line is None else beyond for line in cuts]
  rgba = cv2.copyMakeBorder(
    rgba, by[1], by[3], by[0], by[2], cv2.BORDER_REFLECT
  )
  left, top = left - by[0], top - by[1]
  box = (x - left, y - top, box_width, box_height)
  return Cutout(object_id, rgba, left, top, box, cuts)


def _find_cuts(mask) -> tuple[np.ndarray | None, ...]:
  """Returns the lines along which the picture's border cuts a mask."""
  right, bottom = mask.shape[1] - 1, mask.shape[0] - 1
  cuts: list[np.ndarray | None] = []
  for vertical, at in ((True, 0), (False, 0), (True, right), (False, bottom)):
    on = np.flatnonzero(mask[:, at] if vertical else mask[at])
    if not on.size:
      cuts.append(None)
      continue
    ends = [(at, i) if vertical else (i, at) for i in (on[0], on[-1])]
    cuts.append(np.array(ends, np.float64))
  return tuple(cuts)


def _spread(image, mask) -> np.ndarray:
  """Extends an object's colours to the pixels around it."""
  window = (2 * _SPREAD + 1,) * 2
  weight = cv2.boxFilter(mask.astype(np.float32), -1, window)
  colours = cv2.boxFilter(
    image * mask[..., None].astype(np.float32), -1, window
  )
  around = (mask == 0) & (weight > 0)
  spread = image.copy()
  spread[around] = np.rint(colours[around] / weight[around, None])
  return spread


def split(
  frame: np.ndarray,
  labels: np.ndarray,
  moving: Sequence[int],
  config: config_lib.LucidConfig,
  rng: np.random.Generator,
  background: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, list[Cutout]]:
  """Splits a frame into the background and the objects `moving`.

  At random, the background is mirrored with the objects that stay in it.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: uint8 [H, W].
    moving: ids; those that do not occur are ignored.
    config: hole_dilation, mirror_probability.
    rng: source of randomness.
    background: from `inpaint`; None computes it.

  Returns:
    The background, RGB uint8 [H, W, 3]; its labels, uint8 [H, W]; the objects.
  """
  if background is None:
    background = inpaint(frame, labels, moving, config)
  layers = [
    layer
    for i in dict.fromkeys(moving)
    if (layer := _cut_out(frame, labels, i)) is not None
  ]
  staying = np.where(_moving_mask(labels, moving), np.uint8(0), labels)
  if rng.random() < config.mirror_probability:
    background, staying = background[:, ::-1], staying[:, ::-1]
  return (
    np.ascontiguousarray(background),
    np.ascontiguousarray(staying),
    layers,
  )
