"""Geometry of images and masks: affine and thin-plate-spline warps.

Points are (x, y) in pixels: (0, 0) is the centre of the top left pixel, x
points right, y down. A warp takes one of two forms:

  matrix  float64 [2, 3], forward: maps input points to output points;
  map     float32 [H, W, 2], backward: for each output pixel, the input point
          to sample.
"""

import cv2
import numpy as np

_BORDERS = {
  'constant': cv2.BORDER_CONSTANT,
  'reflect': cv2.BORDER_REFLECT_101,
  'replicate': cv2.BORDER_REPLICATE,
}

# Pixels between the points at which a spline is evaluated; in between it is
# interpolated, at 1/16 of the cost. Next to a control point that moves by 15 %
# of the distance to the next, the error is 0.1 pixel; on average 0.01.
_STEP = 4


def affine_matrix(
  center: tuple[float, float] | np.ndarray,
  scale: float,
  rotation_degrees: float,
  shift: tuple[float, float] | np.ndarray,
) -> np.ndarray:
  """Makes the matrix that scales and rotates about a point, then shifts.

  Args:
    center: (x, y), the fixed point of scale and rotation.
    scale: factor, > 0.
    rotation_degrees: positive is clockwise on the screen.
    shift: (x, y), pixels.

  Returns:
    Forward matrix, float64 [2, 3].
  """
  angle = np.deg2rad(rotation_degrees)
  cos, sin = scale * np.cos(angle), scale * np.sin(angle)
  linear = np.array([[cos, -sin], [sin, cos]])
  center = np.asarray(center, np.float64)
  offset = center + np.asarray(shift, np.float64) - linear @ center
  return np.concatenate([linear, offset[:, None]], axis=1)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Maps points through a matrix.

  Args:
    matrix: forward, float64 [2, 3].
    points: (x, y), float64 [N, 2].

  Returns:
    float64 [N, 2].
  """
  return points @ matrix[:, :2].T + matrix[:, 2]


def _kernel(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
  """Returns r^2 log r^2 for each pair, float64 [M, N]; 0 at r = 0."""
  squared = np.square(points[:, None, 0] - centers[None, :, 0]) + np.square(
    points[:, None, 1] - centers[None, :, 1]
  )
  return squared * np.log(np.where(squared > 0, squared, 1.0))


def _with_affine(points: np.ndarray) -> np.ndarray:
  return np.concatenate([np.ones((len(points), 1)), points], axis=1)


def _fit_spline(points: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Solves for the spline's weights, float64 [N + 3, 2].

  Args:
    points: float64 [N, 2], near the unit square for a well-posed system.
    values: float64 [N, 2], the spline's values at these points.
  """
  count = len(points)
  system = np.zeros((count + 3, count + 3))
  system[:count, :count] = _kernel(points, points)
  system[:count, count:] = _with_affine(points)
  system[count:, :count] = system[:count, count:].T
  right = np.concatenate([values, np.zeros((3, 2))])
  # Least squares, not `solve`: coincident or collinear points make the system
  # singular, and the smallest solution is then the gentlest warp.
  return np.linalg.lstsq(system, right, rcond=None)[0]


def _coarse_axis(size: int, step: int) -> np.ndarray:
  """Returns centres of cells of `step` pixels, with one extra at each end."""
  return (np.arange(-1, -(-size // step) + 1) + 0.5) * step - 0.5


def thin_plate_spline_map(
  source_points: np.ndarray,
  target_points: np.ndarray,
  height: int,
  width: int,
  step: int = _STEP,
) -> np.ndarray:
  """Makes the map that takes each source point to its target point.

  Between the points the warp bends as little as possible; far from them it is
  almost affine. If points coincide or are collinear, the warp is the
  least-squares fit.

  Args:
    source_points: [N, 2], (x, y) in the input, N >= 3.
    target_points: [N, 2], their positions in the output.
    height: of the output, pixels.
    width: of the output, pixels.
    step: pixels between the points where the spline itself is evaluated; 1
      is exact everywhere.

  Returns:
    Backward map, float32 [height, width, 2], for `warp_image`.

  Raises:
    ValueError: the points are not two [N, 2] arrays with the same N >= 3.
  """
  source = np.asarray(source_points, np.float64)
  target = np.asarray(target_points, np.float64)
  if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
    raise ValueError(f'expected two [N, 2], got {source.shape}, {target.shape}')
  if len(source) < 3:
    raise ValueError(f'expected at least 3 points, got {len(source)}')

  center = target.mean(axis=0)
  spread = max(float(np.abs(target - center).max()), 1e-6)
  knots = (target - center) / spread
  weights = _fit_spline(knots, source)

  x, y = np.meshgrid(_coarse_axis(width, step), _coarse_axis(height, step))
  points = (np.stack([x.ravel(), y.ravel()], axis=1) - center) / spread
  basis = np.concatenate([_kernel(points, knots), _with_affine(points)], axis=1)
  coarse = np.dot(basis, weights).astype(np.float32).reshape(*x.shape, 2)
  if step > 1:
    fine = (x.shape[1] * step, x.shape[0] * step)
    coarse = cv2.resize(coarse, fine, interpolation=cv2.INTER_LINEAR)
  return np.ascontiguousarray(coarse[step : step + height, step : step + width])


def _warp(image, warp, size, interpolation, border, value):
  warp = np.asarray(warp)
  if warp.ndim == 3:
    grid = np.ascontiguousarray(warp, np.float32)
    # OpenCV's types do not know that a two-channel map needs no second one.
    return cv2.remap(  # type: ignore[call-overload]
      image, grid, None, interpolation, None, _BORDERS[border], value
    )
  height, width = image.shape[:2] if size is None else size
  return cv2.warpAffine(
    image,
    warp.astype(np.float64),
    (int(width), int(height)),
    flags=interpolation,
    borderMode=_BORDERS[border],
    borderValue=value,
  )


def warp_image(
  image: np.ndarray,
  warp: np.ndarray,
  size: tuple[int, int] | None = None,
  border: str = 'reflect',
  value: float | tuple[float, ...] = 0,
) -> np.ndarray:
  """Warps an image with bilinear interpolation.

  Args:
    image: uint8 or float32, [H, W] or [H, W, C] with C <= 4.
    warp: matrix float64 [2, 3] or map float32 [H', W', 2], see the module.
    size: (height, width) of the output for a matrix, by default the image's; a
      map has its own.
    border: how to extend the image: 'reflect', 'replicate' or 'constant'.
    value: the constant; a single number sets only the first channel.

  Returns:
    The output, [H', W'] or [H', W', C], of the image's dtype.
  """
  return _warp(image, warp, size, cv2.INTER_LINEAR, border, value)


def warp_labels(
  labels: np.ndarray,
  warp: np.ndarray,
  size: tuple[int, int] | None = None,
  value: int = 0,
) -> np.ndarray:
  """Warps labels with nearest-neighbour sampling, so that no new ids arise.

  Args:
    labels: uint8 or float32 [H, W].
    warp: matrix or map, as in `warp_image`.
    size: as in `warp_image`.
    value: the id outside the image.

  Returns:
    The output, [H', W'], of the labels' dtype.
  """
  return _warp(labels, warp, size, cv2.INTER_NEAREST, 'constant', value)


def outline_points(
  mask: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
  """Picks points on a mask's longest outline, far from each other.

  The first is random, each following one the farthest from those before: a
  spline that moves them by less than half their distances does not fold.

  Args:
    mask: uint8 [H, W], 0 or 1, not empty.
    count: how many.
    rng: source of randomness.

  Returns:
    (x, y), float64 [N, 2]; fewer than `count` where the outline has fewer.
  """
  contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
  outline = max(contours, key=len).reshape(-1, 2).astype(np.float64)
  picked = [outline[rng.integers(len(outline))]]
  distance = np.full(len(outline), np.inf)
  while len(picked) < count:
    to_last = np.square(outline - picked[-1]).sum(axis=1)
    distance = np.minimum(distance, to_last)
    if not distance.any():
      break
    picked.append(outline[distance.argmax()])
  return np.array(picked)


def bend_mask(
  mask: np.ndarray, count: int, strength: float, rng: np.random.Generator
) -> np.ndarray:
  """Warps a mask by moving points of its outline.

  Args:
    mask: uint8 [H, W], 0 or 1; an empty mask, or one of one or two pixels, is
      returned unchanged.
    count: number of points to move.
    strength: they move by +- this share of the object's size, the square root
      of the area of its bounding box, along each axis.
    rng: source of randomness.

  Returns:
    uint8 [H, W], 0 or 1.
  """
  if not strength or not mask.any():
    return mask
  _, _, box_width, box_height = cv2.boundingRect(mask)
  size = np.sqrt(box_width * box_height)
  points = outline_points(mask, count, rng)
  if len(points) < 3:
    return mask
  moved = points + rng.uniform(-strength, strength, points.shape) * size
  # The corners are fixed so that the warp stays local to the object, except
  # for one that the object reaches: a point can't both stay and move.
  right, bottom = mask.shape[1] - 1, mask.shape[0] - 1
  corners = np.array([(0, 0), (right, 0), (0, bottom), (right, bottom)], float)
  apart = np.linalg.norm(corners[:, None] - points[None], axis=-1).min(axis=1)
  corners = corners[apart > size / 4]
  grid = thin_plate_spline_map(
    np.concatenate([points, corners]),
    np.concatenate([moved, corners]),
    *mask.shape,
  )
  return warp_labels(mask, grid)
