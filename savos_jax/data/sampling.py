"""What a training example is: a pure function of (seed, index).

Example `index` is the same whatever was drawn before it, on any host, so a
resumed run sees exactly the examples that it would have seen.
"""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from savos_jax import errors
from savos_jax.data import perturb
from savos_jax.data import sequences

# How often another sequence and pair are drawn before a reference in which
# the object is small or absent is accepted.
_ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
  """Ranges of the random choices.

  Attributes:
    crop_size: (height, width) of an example, pixels.
    zoom_range: the window is 1/zoom of the largest one of the crop's shape.
    flip_probability: of a left-right mirror.
    max_skip: largest distance between reference and target, frames.
    min_object_fraction: of the reference frame's area that the object covers.
    noise: of the previous mask.
  """

  crop_size: tuple[int, int] = (480, 864)
  zoom_range: tuple[float, float] = (1.0, 1.5)
  flip_probability: float = 0.5
  max_skip: int = 25
  min_object_fraction: float = 0.001
  noise: perturb.MaskNoise = dataclasses.field(
    default_factory=perturb.MaskNoise
  )


@dataclasses.dataclass(frozen=True)
class Pair:
  """Which frames of which sequence, and which object.

  Attributes:
    sequence: the video.
    reference: frame index of the reference.
    target: frame index of the frame to segment.
    previous: frame index of the previous mask.
    object_id: the foreground.
  """

  sequence: sequences.Sequence
  reference: int
  target: int
  previous: int
  object_id: int


def _generator(seed: int, index: int) -> np.random.Generator:
  return np.random.default_rng((seed, index))


class Sampler:
  """Makes training examples from annotated videos."""

  def __init__(
    self,
    videos: Sequence[sequences.Sequence],
    config: SamplingConfig,
    seed: int,
  ):
    """Keeps the records; reads nothing.

    Args:
      videos: at least one, of two frames or more.
      config: the ranges.
      seed: of every random choice.
    """
    self._videos = [video for video in videos if len(video) > 1]
    self._config = config
    self._seed = seed
    if not self._videos:
      raise errors.SavosError(
        f'none of the {len(videos)} training sequences has two frames.\n'
        '  Expected videos: a training example is a pair of frames.'
      )

  def pair(self, index: int) -> Pair:
    """Returns what example `index` is made of."""
    return self._draw_pair(_generator(self._seed, index))[0]

  def names(self, indices: Sequence[int]) -> list[str]:
    """Describes examples for an error message."""
    pairs = [self.pair(int(index)) for index in indices]
    return [
      f'{p.sequence.name} (object {p.object_id}, frames '
      f'{p.sequence.frames[p.reference].stem} -> '
      f'{p.sequence.frames[p.target].stem})'
      for p in pairs
    ]

  def example(self, index: int) -> dict[str, np.ndarray]:
    """Makes example `index`.

    Args:
      index: any number from 0.

    Returns:
      'index' int64; 'reference_frame' and 'frame' RGB uint8 [H, W, 3];
      'reference_mask' and 'mask' uint8 [H, W] of 0 and 1; 'guidance', the
      perturbed previous mask, uint8 [H, W], 0..255 = probability 0..1.

    Raises:
      SavosError: a file is damaged or malformed.
    """
    rng = _generator(self._seed, index)
    pair, reference_mask = self._draw_pair(rng)
    video = pair.sequence
    target_mask = _foreground(video.labels(pair.target), pair.object_id)
    previous_mask = _foreground(video.labels(pair.previous), pair.object_id)
    window = self._draw_window(reference_mask, target_mask, rng)
    flip = rng.random() < self._config.flip_probability

    def cut(image):
      return _resize_window(image, window, self._config.crop_size, flip)

    def cut_mask(mask):
      return (cut(mask * np.uint8(255)) > 127).astype(np.uint8)

    return {
      'index': np.int64(index),
      'reference_frame': cut(video.frame(pair.reference)),
      'reference_mask': cut_mask(reference_mask),
      'frame': cut(video.frame(pair.target)),
      'mask': cut_mask(target_mask),
      'guidance': perturb.perturb_mask(
        cut_mask(previous_mask), self._config.noise, rng
      ),
    }

  def _draw_pair(self, rng) -> tuple[Pair, np.ndarray]:
    """Draws frames and object, and returns the reference mask with them."""
    for _ in range(_ATTEMPTS):
      video = self._videos[rng.integers(len(self._videos))]
      reference = int(rng.integers(len(video)))
      target = _draw_target(reference, len(video), self._config.max_skip, rng)
      # The mask of the frame before the target, on the way from the reference.
      previous = target - (1 if target > reference else -1)
      object_id = int(rng.choice(video.object_ids))
      mask = _foreground(video.labels(reference), object_id)
      if mask.mean() >= self._config.min_object_fraction:
        break
    return Pair(video, reference, target, previous, object_id), mask

  def _draw_window(self, reference_mask, target_mask, rng):
    """Draws (top, left, height, width), source pixels, that shows the object.

    The window contains one random pixel of the object in the reference and,
    where that fits, one in the target.
    """
    height, width = reference_mask.shape
    crop_height, crop_width = self._config.crop_size
    zoom = rng.uniform(*self._config.zoom_range)
    ratio = min(height / crop_height, width / crop_width) / zoom
    window_height = max(1, min(height, round(crop_height * ratio)))
    window_width = max(1, min(width, round(crop_width * ratio)))
    points = [
      point
      for mask in (reference_mask, target_mask)
      if (point := _random_point(mask, rng)) is not None
    ]
    top = _draw_start([p[0] for p in points], window_height, height, rng)
    left = _draw_start([p[1] for p in points], window_width, width, rng)
    return top, left, window_height, window_width


def _foreground(labels: np.ndarray, object_id: int) -> np.ndarray:
  return (labels == object_id).astype(np.uint8)


def _draw_target(reference, length, max_skip, rng) -> int:
  low = max(0, reference - max_skip)
  high = min(length - 1, reference + max_skip)
  # One number fewer than frames in reach: the reference itself is left out.
  drawn = int(rng.integers(low, high))
  return drawn + (drawn >= reference)


def _random_point(mask, rng):
  """Returns (row, column) of a random pixel of the mask, None if empty."""
  pixels = np.flatnonzero(mask)
  if not pixels.size:
    return None
  return divmod(int(pixels[rng.integers(pixels.size)]), mask.shape[1])


def _draw_start(points, window, size, rng) -> int:
  """Draws where a window of the axis begins so that it holds the points.

  Args:
    points: coordinates, the more important first.
    window: length of the window.
    size: length of the axis.
    rng: where the randomness comes from.
  """
  low, high = 0, size - window
  for point in points:
    new_low, new_high = max(low, point - window + 1), min(high, point)
    if new_low <= new_high:
      low, high = new_low, new_high
  return int(rng.integers(low, high + 1))


def _resize_window(image, window, crop_size, flip):
  top, left, height, width = window
  cut = image[top : top + height, left : left + width]
  shrinks = height > crop_size[0]
  resized = cv2.resize(
    cut,
    (crop_size[1], crop_size[0]),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  return np.ascontiguousarray(resized[:, ::-1] if flip else resized)
