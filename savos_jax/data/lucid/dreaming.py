"""All five steps, and the previous mask."""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from savos_jax.data import lucid_config as config_lib
from savos_jax.data import warp
from savos_jax.data.lucid import blending
from savos_jax.data.lucid import camera
from savos_jax.data.lucid import illumination
from savos_jax.data.lucid import merging
from savos_jax.data.lucid import motion
from savos_jax.data.lucid import splitting

# Frames shown at a smaller scale are first downsampled by averaging: bilinear
# sampling would skip pixels.
_SMALLEST_SCALE = 0.6


@dataclasses.dataclass(frozen=True)
class Dream:
  """A reference frame and the T frames after it.

  Attributes:
    reference_frame: RGB uint8 [H, W, 3].
    reference_labels: uint8 [H, W], the ids of the input.
    frames: RGB uint8 [T, H, W, 3].
    labels: uint8 [T, H, W].
    previous_labels: uint8 [H, W], a perturbed version of the first of `labels`:
      like a tracker's mask of the frame before.
  """

  reference_frame: np.ndarray
  reference_labels: np.ndarray
  frames: np.ndarray
  labels: np.ndarray
  previous_labels: np.ndarray


def previous_labels(
  labels: np.ndarray, config: config_lib.LucidConfig, rng: np.random.Generator
) -> np.ndarray:
  """Warps and dilates every mask, to resemble a tracker's previous masks.

  Where dilated masks overlap, the objects keep their warped masks.

  Args:
    labels: uint8 [H, W].
    config: spline_points, mask_spline, mask_dilation.
    rng: source of randomness.

  Returns:
    uint8 [H, W], with the ids of the input.
  """
  kernel = blending.disk(config.mask_dilation)
  bent, grown = np.zeros_like(labels), np.zeros_like(labels)
  for object_id in np.unique(labels[labels > 0]):
    mask = (labels == object_id).astype(np.uint8)
    mask = warp.bend_mask(mask, config.spline_points, config.mask_spline, rng)
    bent[mask > 0] = object_id
    grown[cv2.dilate(mask, kernel) > 0] = object_id
  return np.where(bent > 0, bent, grown)


def _shrink(image, factor, interpolation):
  height, width = image.shape[:2]
  size = (max(1, round(width * factor)), max(1, round(height * factor)))
  return cv2.resize(image, size, interpolation=interpolation)


def draw_moving(
  ids: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> tuple[int, ...]:
  """Draws which objects move: a random non-empty subset.

  Args:
    ids: of the objects in the frame.
    rng: source of randomness.

  Returns:
    Ascending ids; empty if there are no objects.
  """
  if not len(ids):
    return ()
  count = rng.integers(1, len(ids) + 1)
  return tuple(sorted(int(i) for i in rng.choice(ids, count, replace=False)))


def dream(
  frame: np.ndarray,
  labels: np.ndarray,
  rng: np.random.Generator,
  config: config_lib.LucidConfig | None = None,
  *,
  moving: Sequence[int] | None = None,
  background: np.ndarray | None = None,
  size: tuple[int, int] | None = None,
  zoom: float = 1.0,
  targets: int = 1,
) -> Dream:
  """Makes a reference frame and the T frames after it.

  Objects that do not move stay in the background and move with the camera. An
  empty mask gives a dream of the background alone. If a mask fills the frame,
  the background is its mean colour.

  Args:
    frame: RGB uint8 [h, w, 3], of any size.
    labels: uint8 [h, w].
    rng: source of randomness; the same state gives the same bytes.
    config: the ranges, by default `LucidConfig()`.
    moving: ids of the objects to cut out and move independently; None draws a
      non-empty subset. Ids that do not occur are ignored.
    background: from `inpaint`, for the same `moving`; None computes it.
    size: of the output, by default the frame's.
    zoom: 1 shows the largest part of the frame with the output's aspect ratio,
      2 half its height and width.
    targets: T, at least 1.

  Returns:
    The dream. An object may be out of sight or occluded in any of its frames.

  Raises:
    ValueError: frame, labels and background differ in size, or zoom or
      targets is below 1.
  """
  config = config or config_lib.LucidConfig()
  shape = labels.shape
  if frame.shape != (*shape, 3) or (
    background is not None and background.shape != frame.shape
  ):
    raise ValueError(
      f'frame {frame.shape}, labels {shape}, background '
      f'{None if background is None else background.shape}: sizes differ'
    )
  if zoom < 1 or targets < 1:
    raise ValueError(f'zoom {zoom}, targets {targets}: expected 1 or more')
  if moving is None:
    moving = draw_moving(np.unique(labels[labels > 0]), rng)
  if background is None:
    background = splitting.inpaint(frame, labels, moving, config)
  size = size or shape
  scale = zoom * max(size[0] / shape[0], size[1] / shape[1])
  if scale < _SMALLEST_SCALE:
    # Not down to 1: the camera may enlarge the background up to twofold.
    factor = 1.5 * scale
    frame = _shrink(frame, factor, cv2.INTER_AREA)
    background = _shrink(background, factor, cv2.INTER_AREA)
    labels = _shrink(labels, factor, cv2.INTER_NEAREST_EXACT)
    scale = zoom * max(size[0] / labels.shape[0], size[1] / labels.shape[1])

  background, staying, layers = splitting.split(
    frame, labels, moving, config, rng, background
  )
  background = illumination.change_illumination(background, config, rng)
  seen = camera.move_camera(
    background, staying, size, scale, config, rng, targets
  )
  order = rng.permutation(len(layers))
  tracks = [
    motion.move_object(layers[k], size, scale, config, rng, targets)
    for k in order
  ]
  frames, frame_labels = [], []
  for t, (picture, ids) in enumerate(seen):
    picture, ids = merging.merge(
      picture, ids, [track[t] for track in tracks], config
    )
    frames.append(illumination.change_illumination(picture, config, rng))
    frame_labels.append(ids)
  return Dream(
    reference_frame=frames[0],
    reference_labels=frame_labels[0],
    frames=np.stack(frames[1:]),
    labels=np.stack(frame_labels[1:]),
    previous_labels=previous_labels(frame_labels[1], config, rng),
  )
