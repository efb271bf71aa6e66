"""Pastes an object into a picture so that its outline does not show.

Two ways: `feather` mixes along the outline, `poisson_band` solves for the
colours of a thin band around it. NumPy and OpenCV alone.
"""

import cv2
import numpy as np

# The correction is a few grey levels and smooth: further rounds change none.
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
  """Mixes both pictures by a softened mask.

  Args:
    background: uint8 [H, W, 3].
    foreground: uint8 [H, W, 3], defined some pixels beyond the mask too.
    alpha: uint8 [H, W], 0..255 = share 0..1 of the foreground.
    sigma: of the Gaussian that softens the mask, pixels; 0 leaves it.

  Returns:
    uint8 [H, W, 3].
  """
  weight = alpha.astype(np.float32) / 255
  if sigma > 0:
    weight = cv2.GaussianBlur(weight, (0, 0), sigma)
  return cv2.blendLinear(foreground, background, weight, 1 - weight)


def thin_parts(mask: np.ndarray, radius: int) -> np.ndarray:
  """Returns what is within `radius` of parts no thicker than twice that.

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

  The picture's border is no outline: a mask that reaches it goes on beyond.

  Args:
    mask: uint8 [H, W], 0 or 1.
    radius: pixels to either side, >= 1.
  """
  kernel = disk(radius)
  return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


def _neighbours(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns numbers and existence of each band pixel's four neighbours.

  Args:
    band: bool [H, W] with N pixels set.

  Returns:
    Number in the band of each neighbour, int [4, N], N for those out of it;
    whether that neighbour is in the picture at all, bool [4, N].
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
  """Inner products of the rows, float32 [3, 1]."""
  return np.einsum('cn,cn->c', a, b)[:, None]


def _solve(source, neighbours, degree) -> np.ndarray:
  """Solves degree * e - (sum of e's neighbours) = source, 0 out of the band.

  By conjugate gradients, the colours side by side.

  Args:
    source: float32 [3, N].
    neighbours: int [4, N], as from `_neighbours`.
    degree: float32 [N], neighbours that exist.

  Returns:
    e, float32 [3, N].
  """
  count = source.shape[1]
  solution = np.zeros_like(source)
  residual = source.copy()
  # One column more than pixels: the zero that stands for all others.
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
  """Pastes the foreground and smooths the step at its outline alone.

  Poisson image editing (Perez et al., SIGGRAPH 2003) whose unknowns are the
  pixels within `radius` of the outline. On the band's two rims the colours are
  those of the foreground and of the background, so the object keeps its own
  colours. Wanted are the gradients of the pasted picture; across the outline,
  where it jumps, the mean of the foreground's and the background's gradient.

  Parts too thin to have an inside beyond the band would dissolve: they are
  mixed along the outline instead, and the band leaves them out.

  Args:
    background: uint8 [H, W, 3].
    foreground: uint8 [H, W, 3], defined a pixel beyond the mask too.
    alpha: uint8 [H, W], 0..255; where it is 128 or more the foreground goes.
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
  # With e = colours - pasted colours, only pairs of neighbours on either side
  # of the outline have a source: where both are on one side the pasted picture
  # has the wanted gradient already. They are all in the band.
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
