"""Pastes an object into a picture without a visible seam.

`feather` blends along the outline; `poisson_band` solves for the colours of a
thin band around it. Only NumPy and OpenCV are used.
"""

import cv2
import numpy as np

# The correction is smooth and a few grey levels: more rounds change nothing.
_ROUNDS = 40
_TOLERANCE = 0.05  # Grey levels, root mean square of the residual.


def disk(radius: int) -> np.ndarray:
  """Returns a round structuring element, uint8 [2 * radius + 1] * 2."""
  return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def feather(
  background: np.ndarray,
  foreground: np.ndarray,
  alpha: np.ndarray,
  sigma: float,
) -> np.ndarray:
  """Blends two pictures with a softened mask.

  Args:
    background: uint8 [H, W, 3].
    foreground: uint8 [H, W, 3], defined a few pixels beyond the mask as well.
    alpha: uint8 [H, W], 0..255 = share 0..1 of the foreground.
    sigma: of the Gaussian that softens the mask, pixels; 0: no softening.

  Returns:
    uint8 [H, W, 3].
  """
  weight = alpha.astype(np.float32) / 255
  if sigma > 0:
    weight = cv2.GaussianBlur(weight, (0, 0), sigma)
  return cv2.blendLinear(foreground, background, weight, 1 - weight)


def thin_parts(mask: np.ndarray, radius: int) -> np.ndarray:
  """Returns the pixels within `radius` of parts no thicker than twice that.

  Args:
    mask: uint8 [H, W], 0 or 1.
    radius: pixels.

  Returns:
    bool [H, W].
  """
  kernel = disk(radius)
  opened = cv2.dilate(cv2.erode(mask, kernel), kernel)
  return cv2.dilate(mask & (opened == 0), kernel) > 0


def outline_band(mask: np.ndarray, radius: int) -> np.ndarray:
  """Returns the pixels within `radius` of the mask's outline, bool [H, W].

  The picture's border is not an outline: a mask that reaches it is taken to
  continue beyond.

  Args:
    mask: uint8 [H, W], 0 or 1.
    radius: pixels on either side, >= 1.
  """
  kernel = disk(radius)
  return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


def _neighbours(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the four neighbours of each band pixel, and whether they exist.

  Args:
    band: bool [H, W] with N pixels set.

  Returns:
    The index in the band of each neighbour, int [4, N], or N outside the band;
    whether the neighbour is inside the picture, bool [4, N].
  """
  count = np.count_nonzero(band)
  number = np.full((band.shape[0] + 2, band.shape[1] + 2), -1)
  inner = number[1:-1, 1:-1]
  inner[...] = count
  inner[band] = np.arange(count)
  rows, columns = np.nonzero(band)
  found = np.stack(
    [
      number[rows, columns + 1],
      number[rows + 2, columns + 1],
      number[rows + 1, columns],
      number[rows + 1, columns + 2],
    ]
  )
  return np.where(found < 0, count, found), found >= 0


def _dot(a, b) -> np.ndarray:
  """Returns the inner products of the rows, float32 [3, 1]."""
  return np.einsum('cn,cn->c', a, b)[:, None]


def _solve(source, neighbours, degree) -> np.ndarray:
  """Solves degree * e - (sum of e's neighbours) = source; e = 0 off the band.

  Uses conjugate gradients on the three colours in parallel.

  Args:
    source: float32 [3, N].
    neighbours: int [4, N], as from `_neighbours`.
    degree: float32 [N], number of neighbours inside the picture.

  Returns:
    e, float32 [3, N].
  """
  count = source.shape[1]
  solution = np.zeros_like(source)
  residual = source.copy()
  # One extra column: the zero that stands for all pixels off the band.
  direction = np.zeros((3, count + 1), np.float32)
  direction[:, :count] = residual
  power = _dot(residual, residual)
  for _ in range(_ROUNDS):
    if power.max() < _TOLERANCE**2 * count:
      break
    ahead = direction[:, :count]
    image = degree * ahead
    for k in range(4):
      image -= direction.take(neighbours[k], axis=1)
    step = power / np.maximum(_dot(ahead, image), 1e-12)
    solution += step * ahead
    residual -= step * image
    before, power = power, _dot(residual, residual)
    ahead *= power / np.maximum(before, 1e-12)
    ahead += residual
  return solution


def poisson_band(
  background: np.ndarray, foreground: np.ndarray, alpha: np.ndarray, radius: int
) -> np.ndarray:
  """Pastes the foreground and smooths only the step at its outline.

  This is Poisson image editing (Perez et al., SIGGRAPH 2003) whose unknowns are
  the pixels within `radius` of the outline. On the two edges of the band the
  colours are fixed to the foreground and the background, so the object keeps
  its own colours. The target gradients are those of the pasted picture, and
  across the outline the mean of the foreground's and the background's.

  Parts too thin to have an interior beyond the band would dissolve; they are
  blended along the outline instead and left out of the band.

  Args:
    background: uint8 [H, W, 3].
    foreground: uint8 [H, W, 3], defined a pixel beyond the mask as well.
    alpha: uint8 [H, W], 0..255; the foreground is pasted where it is >= 128.
    radius: of the band, pixels, >= 1.

  Returns:
    uint8 [H, W, 3]; away from the outline exactly the pasted picture.
  """
  inside = alpha > 127
  mask = inside.view(np.uint8)
  pasted = np.where(inside[..., None], foreground, background)
  thin = thin_parts(mask, radius)
  if thin.any():
    pasted[thin] = feather(background, foreground, alpha, 0)[thin]
  band = outline_band(mask, radius) & ~thin
  if not band.any():
    return pasted
  neighbours, exists = _neighbours(band)
  # With e = colours - pasted colours, only pairs of neighbours on opposite
  # sides of the outline have a source: elsewhere the pasted picture already has
  # the target gradient. All such pairs are in the band.
  count = neighbours.shape[1]
  sides = np.append(inside[band], False)
  crosses = (neighbours < count) & (sides[neighbours] != sides[:-1])
  jump = np.zeros((3, count + 1), np.float32)
  jump[:, :-1] = (foreground[band].astype(np.float32) - background[band]).T
  source = np.zeros((3, count), np.float32)
  for k in range(4):
    source += crosses[k] * (jump[:, :-1] + jump.take(neighbours[k], axis=1))
  source *= np.where(sides[:-1], np.float32(-0.5), np.float32(0.5))
  degree = exists.sum(axis=0, dtype=np.float32)
  change = _solve(source, neighbours, degree).T
  pasted[band] = np.clip(np.rint(pasted[band] + change), 0, 255)
  return pasted
