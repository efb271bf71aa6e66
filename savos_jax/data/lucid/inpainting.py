"""Fills a hole in a picture with texture from its surroundings.

Exemplar-based, after Criminisi et al. (2004), but with large patches matched in
a small copy of the picture, which takes tens of milliseconds. Diffusion alone
(cv2.inpaint) leaves smears that give away where an object was.
"""

import cv2
import numpy as np

# Version of the algorithm: results cached under another number are stale.
VERSION = 2

_SMALL = 160  # Pixels, long side of the copy in which patches are matched.
_PATCH = 16  # Pixels of that copy, side of a patch.
_RADIUS = 3.0  # Pixels, neighbourhood for diffusion.
# Widths of the colour correction from the edge of the hole, in pixels of the
# quarter-size picture: the narrowest that reaches a pixel is used.
_MEMBRANE = (0.5, 2, 8)
# Grey levels, largest correction: a larger one means a wrong match.
_CORRECTION = 40


def _next_patch(known: np.ndarray, hole: np.ndarray) -> tuple[int, int]:
  """Returns (top, left) of the patch on the hole with most known pixels."""
  height, width = known.shape
  side = (min(_PATCH, height), min(_PATCH, width))
  share = cv2.boxFilter(
    known.astype(np.float32), -1, side[::-1], borderType=cv2.BORDER_CONSTANT
  )
  row, column = np.unravel_index(
    np.where(hole & ~known, share, -1).argmax(), known.shape
  )
  return (
    int(np.clip(row - side[0] // 2, 0, height - side[0])),
    int(np.clip(column - side[1] // 2, 0, width - side[1])),
  )


def _find_match(image, known, usable, top, left) -> tuple[int, int] | None:
  """Returns (top, left) of the patch most similar in the known pixels.

  Args:
    image: float32 [h, w, 3].
    known: bool [h, w], pixels to compare.
    usable: bool [h - side + 1, w - side + 1], where patches may come from.
    top: row of the patch.
    left: column of the patch.
  """
  height = image.shape[0] - usable.shape[0] + 1
  width = image.shape[1] - usable.shape[1] + 1
  window = (slice(top, top + height), slice(left, left + width))
  weight = known[window].astype(np.float32)
  if not weight.any():
    return None
  error = cv2.matchTemplate(
    image, image[window], cv2.TM_SQDIFF, mask=np.dstack([weight] * 3)
  )
  row, column = np.unravel_index(
    np.where(usable, error, np.inf).argmin(), error.shape
  )
  return int(row), int(column)


def _patch_sums(mask: np.ndarray, side: tuple[int, int]) -> np.ndarray:
  """Returns the number of mask pixels in each patch, by (top, left), int."""
  table = cv2.integral(mask.astype(np.uint8))
  return (
    table[side[0] :, side[1] :]
    - table[: -side[0], side[1] :]
    - table[side[0] :, : -side[1]]
    + table[: -side[0], : -side[1]]
  )


def _plan(
  image: np.ndarray, hole: np.ndarray, avoid: np.ndarray
) -> list[tuple[int, ...]] | None:
  """Plans which patch of a small picture goes where.

  Args:
    image: float32 [h, w, 3].
    hole: bool [h, w].
    avoid: bool [h, w], pixels to copy from as little as possible.

  Returns:
    (top, left, from top, from left, height, width) in pasting order; None if
    every patch overlaps the hole.
  """
  side = (min(_PATCH, hole.shape[0]), min(_PATCH, hole.shape[1]))
  usable = _patch_sums(hole, side) == 0
  if not usable.any():
    return None
  avoided = _patch_sums(avoid, side)
  usable &= avoided == avoided[usable].min()
  image, known = image.copy(), ~hole
  plan: list[tuple[int, ...]] = []
  while not known.all():
    top, left = _next_patch(known, hole)
    match = _find_match(image, known, usable, top, left)
    if match is None:
      return None
    plan.append((top, left, *match, *side))
    into = (slice(top, top + side[0]), slice(left, left + side[1]))
    source = (
      slice(match[0], match[0] + side[0]),
      slice(match[1], match[1] + side[1]),
    )
    gaps = ~known[into]
    image[into][gaps] = image[source][gaps]
    known[into] = True
  return plan


def _tent(count: int) -> np.ndarray:
  rising = np.arange(1, count + 1, dtype=np.float32)
  return np.minimum(rising, rising[::-1]) ** 4


def _paste(image, plan, factor) -> tuple[np.ndarray, np.ndarray]:
  """Pastes the planned patches at full size, blended where they overlap.

  Args:
    image: float32 [H, W, 3].
    plan: from `_plan`.
    factor: (rows, columns), pixels per pixel of the small picture.

  Returns:
    Colours, float32 [H, W, 3], and where they are defined, bool [H, W].
  """
  height, width = image.shape[:2]
  total = np.zeros_like(image)
  weights = np.zeros((height, width), np.float32)
  for patch in plan:
    place = np.array(patch) * (*factor, *factor, *factor)
    top, left, row, column, tall, wide = np.rint(place).astype(int)
    tall = min(tall + 1, height - max(top, row))
    wide = min(wide + 1, width - max(left, column))
    # The middle of a patch weighs by far the most, which avoids ghosting.
    weight = np.outer(_tent(tall), _tent(wide))
    into = (slice(top, top + tall), slice(left, left + wide))
    source = image[row : row + tall, column : column + wide]
    total[into] += source * weight[..., None]
    weights[into] += weight
  found = weights > 0
  total[found] /= weights[found, None]
  return total, found


def _membrane(difference, there) -> np.ndarray:
  """Extrapolates differences smoothly from where they are known.

  Args:
    difference: float32 [H, W, 3].
    there: bool [H, W].
  """
  height, width = there.shape
  # It is smooth, so a quarter of the size is enough, at 1/16 of the cost.
  small = (-(-width // 4), -(-height // 4))
  weight = there.astype(np.float32)
  total = difference * weight[..., None]
  weight = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
  total = cv2.resize(total, small, interpolation=cv2.INTER_AREA)
  spread = np.zeros_like(total)
  for sigma in reversed(_MEMBRANE):
    around = cv2.GaussianBlur(weight, (0, 0), sigma)
    mean = cv2.GaussianBlur(total, (0, 0), sigma)
    reached = around > 1e-3
    spread[reached] = mean[reached] / around[reached, None]
  return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)


def fill(image: np.ndarray, hole: np.ndarray, avoid: np.ndarray) -> np.ndarray:
  """Fills a hole.

  Args:
    image: RGB uint8 [H, W, 3].
    hole: uint8 [H, W], 1 where the picture is unknown.
    avoid: uint8 [H, W], 1 for pixels to copy from only as a last resort.

  Returns:
    RGB uint8 [H, W, 3], unchanged outside the hole. If the hole is the whole
    picture, its mean colour.
  """
  if not hole.any():
    return image.copy()
  if hole.all():
    mean = np.rint(image.mean(axis=(0, 1)))
    return np.broadcast_to(mean.astype(np.uint8), image.shape).copy()
  filled = cv2.inpaint(image, hole, _RADIUS, cv2.INPAINT_TELEA)
  height, width = hole.shape
  shrink = min(1.0, _SMALL / max(height, width))
  small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
  unknown, avoided = (
    cv2.resize(mask.astype(np.float32), small, None, 0, 0, cv2.INTER_AREA) > 0
    for mask in (hole, avoid)
  )
  plan = _plan(
    cv2.resize(filled, small, None, 0, 0, cv2.INTER_AREA).astype(np.float32),
    unknown,
    avoided,
  )
  if plan is None:
    return filled
  factor = (height / small[1], width / small[0])
  colours, found = _paste(image.astype(np.float32), plan, factor)
  empty = hole.view(bool)
  difference = np.clip(image - colours, -_CORRECTION, _CORRECTION)
  colours += _membrane(difference, found & ~empty)
  use = empty & found
  filled[use] = np.clip(np.rint(colours[use]), 0, 255)
  return filled
