"""Step 3: where an object is in every frame."""

import numpy as np

from savos_jax.data import lucid_config as config_lib
from savos_jax.data import warp
from savos_jax.data.lucid import splitting


def _limits(cuts, center, matrix, size) -> tuple[np.ndarray, np.ndarray]:
  """Returns the positions of the centre that keep every cut outside the frame.

  Args:
    cuts: as in `splitting.Cutout`.
    center: (x, y) in the frame, like the cuts.
    matrix: float64 [2, 3], the motion without its shift.
    size: of the output.

  Returns:
    Smallest and largest (x, y) in the output; infinite without a cut. If
    opposite cuts can't both stay outside, the middle.
  """
  lower, upper = np.full(2, -np.inf), np.full(2, np.inf)
  last = np.array([size[1] - 1, size[0] - 1], np.float64)
  for side, line in enumerate(cuts):
    if line is None:
      continue
    axis = side % 2
    beside = ((line - center) @ matrix[:, :2].T)[:, axis]
    if side < 2:
      upper[axis] = -beside.max()
    else:
      lower[axis] = last[axis] - beside.min()
  clash = lower > upper
  middle = (lower[clash] + upper[clash]) / 2
  lower[clash] = upper[clash] = middle
  return lower, upper


def _render(cutout, matrix, knots, bent, size, margin) -> splitting.Layer:
  """Renders a layer at its place in the output, no larger than necessary.

  Args:
    cutout: the object, in the frame.
    matrix: float64 [2, 3], frame to output.
    knots: float64 [N, 2], control points in the frame, or None for no warp.
    bent: float64 [N, 2], the same points in the output.
    size: of the output.
    margin: pixels around the object, output.
  """
  height, width = cutout.image.shape[:2]
  origin = np.array([cutout.left, cutout.top], np.float64)
  corners = np.array([(0, 0), (width, 0), (0, height), (width, height)])
  corners = warp.apply(matrix, origin + corners)
  low = np.floor(corners.min(axis=0) - margin).astype(int)
  high = np.ceil(corners.max(axis=0) + margin).astype(int)
  left, top = np.clip(low, 0, (size[1], size[0]))
  right, bottom = np.clip(high, 0, (size[1], size[0]))
  shape = (int(bottom - top), int(right - left))
  if min(shape) < 1:
    nothing = np.zeros((0, 0, 4), np.uint8)
    return splitting.Layer(cutout.object_id, nothing, 0, 0)
  corner = np.array([left, top], np.float64)
  if knots is None:
    offset = matrix[:, :2] @ origin + matrix[:, 2] - corner
    local = np.column_stack([matrix[:, :2], offset])
  else:
    local = warp.thin_plate_spline_map(knots - origin, bent - corner, *shape)
  image = warp.warp_image(cutout.image, local, shape, border='constant')
  return splitting.Layer(cutout.object_id, image, int(left), int(top))


def move_object(
  cutout: splitting.Cutout,
  size: tuple[int, int],
  scale: float,
  config: config_lib.LucidConfig,
  rng: np.random.Generator,
  targets: int = 1,
) -> list[splitting.Layer]:
  """Places an object at random, scaled, rotated and warped, and moves it.

  Its centre may be at any pixel of the output. An object that is cut by the
  frame's border stays cut by that border. Objects may be arbitrarily small: one
  of a few pixels is not warped, and one of a single pixel may vanish.

  Args:
    cutout: the object, from `split`.
    size: of the output.
    scale: output pixels per pixel of the frame.
    config: scale, rotation, spline*, next_*.
    rng: source of randomness.
    targets: T, the frames after the reference.

  Returns:
    The object in the reference frame and in the T frames after it.
  """
  x, y, width, height = cutout.box
  corner = np.array([cutout.left + x, cutout.top + y], np.float64)
  center = corner + np.array([width - 1, height - 1]) / 2
  extent = np.sqrt(width * height)
  factor = scale * rng.uniform(*config.scale)
  turn = rng.uniform(-1, 1) * config.rotation
  place = rng.uniform(0, [size[1] - 1, size[0] - 1])
  matrix = warp.affine_matrix(center, factor, turn, (0, 0))
  limits = _limits(cutout.cuts, center, matrix, size)

  inside = cutout.image[y : y + height, x : x + width, 3] > 127
  knots = corner + warp.outline_points(
    inside.astype(np.uint8), config.spline_points, rng
  )
  bends = rng.random() < config.spline_probability
  strength = config.spline * extent * bends
  moved = np.zeros_like(knots)
  placed = []
  for frame in range(1 + targets):
    if frame:
      shift = rng.uniform(-1, 1, 2) * config.next_shift * extent * factor
      place = place + shift
      strength = config.next_spline * extent
    moved = moved + rng.uniform(-1, 1, knots.shape) * strength
    place = np.clip(place, *limits)
    matrix = warp.affine_matrix(center, factor, turn, place - center)
    rigid = len(knots) < 3 or not moved.any()
    margin = config.band + 2 + 2 * factor * np.abs(moved).max(initial=0)
    placed.append(
      _render(
        cutout,
        matrix,
        None if rigid else knots,
        warp.apply(matrix, knots + moved),
        size,
        margin,
      )
    )
  return placed
