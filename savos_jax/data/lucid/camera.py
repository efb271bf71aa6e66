"""Step 4: what the camera sees of the background in every frame."""

import numpy as np

from savos_jax.data import lucid_config as config_lib
from savos_jax.data import warp


def _half_extent(size, angle) -> np.ndarray:
  """Returns half the extent (x, y) of a rotated picture, to pixel centres."""
  cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
  height, width = size[0] - 1, size[1] - 1
  return np.array([width * cos + height * sin, width * sin + height * cos]) / 2


def camera_path(
  frame_size: tuple[int, int],
  size: tuple[int, int],
  scale: float,
  config: config_lib.LucidConfig,
  rng: np.random.Generator,
  targets: int = 1,
) -> list[np.ndarray]:
  """Draws the camera's view in each frame, always inside the background.

  If a view would extend beyond the border, all views are zoomed in by a common
  factor until none does.

  Args:
    frame_size: of the background.
    size: of the output.
    scale: smallest number of output pixels per background pixel.
    config: turn*, camera_*.
    rng: source of randomness.
    targets: T, the frames after the reference.

  Returns:
    Forward matrices, float64 [2, 3], from background to output, for the
    reference frame and the T frames after it.
  """
  turned = rng.random() < config.turn_probability
  turn = rng.uniform(-1, 1) * config.turn * turned
  # The views: degrees, scale and centre; the last two relative to the first.
  turns, scales, centers = [turn], [1.0], [np.zeros(2)]
  for _ in range(targets):
    turns.append(turns[-1] + rng.uniform(-1, 1) * config.camera_rotation)
    scales.append(scales[-1] * rng.uniform(*config.camera_scale))
    shift = rng.uniform(-1, 1, 2) * config.camera_shift * (size[1], size[0])
    centers.append(centers[-1] + shift)
  half = [
    _half_extent(size, np.deg2rad(t)) / s
    for t, s in zip(turns, scales, strict=True)
  ]
  ends = list(zip(centers, half, strict=True))
  low = np.array([c - e for c, e in ends]).min(axis=0)
  high = np.array([c + e for c, e in ends]).max(axis=0)
  last = np.array([frame_size[1] - 1, frame_size[0] - 1], np.float64)
  scale = max(scale, ((high - low) / np.maximum(last, 0.5)).max())
  nearest = -low / scale
  first = rng.uniform(nearest, np.maximum(nearest, last - high / scale))

  middle = (np.array([size[1], size[0]]) - 1) / 2
  matrices = []
  for t, s, c in zip(turns, scales, centers, strict=True):
    center = first + c / scale
    matrices.append(warp.affine_matrix(center, scale * s, t, middle - center))
  return matrices


def move_camera(
  background: np.ndarray,
  labels: np.ndarray,
  size: tuple[int, int],
  scale: float,
  config: config_lib.LucidConfig,
  rng: np.random.Generator,
  targets: int = 1,
) -> list[tuple[np.ndarray, np.ndarray]]:
  """Moves the camera over the background; its border never comes into view.

  Args:
    background: RGB uint8 [h, w, 3].
    labels: uint8 [h, w], the objects that are part of the background.
    size: of the output.
    scale: smallest number of output pixels per background pixel.
    config: turn*, camera_*.
    rng: source of randomness.
    targets: T, the frames after the reference.

  Returns:
    (picture RGB uint8 [H, W, 3], labels uint8 [H, W]) for the reference frame
    and the T frames after it.
  """
  path = camera_path(labels.shape, size, scale, config, rng, targets)
  seen = []
  for matrix in path:
    picture = warp.warp_image(background, matrix, size, border='replicate')
    staying = (
      warp.warp_labels(labels, matrix, size)
      if labels.any()
      else np.zeros(size, np.uint8)
    )
    seen.append((picture, staying))
  return seen
