"""A training example as a pure function of (seed, index).

Example `index` is the same on any host, whatever was drawn before it, so a
resumed run sees exactly the examples of an uninterrupted one.

An example is a clip of a video, or a lucid dream of a photo or a video frame.
Either way it has a reference frame with its mask, T frames to segment, and an
imperfect mask of the frame before the first of them.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from savos_jax.data import backgrounds as backgrounds_lib
from savos_jax.data import choices
from savos_jax.data import examples
from savos_jax.data import lucid as lucid_lib
from savos_jax.data import mask_noise
from savos_jax.data import perturb
from savos_jax.data import windows
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import ranges

# Draws before a frame is accepted in which all objects are small.
_FRAME_ATTEMPTS = 20
# The same for a dream whose reference shows no object; dreams are expensive.
_DREAM_ATTEMPTS = 5

_DISTANCE = ranges.whole(1, 10_000, of='frames')
_STEPS = ranges.whole(0, 1_000_000_000, of='steps')


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
  """Ranges of the random choices.

  Attributes:
    crop_size: (height, width) of an example, pixels.
    zoom_range: the window is 1/zoom of the largest one with the crop's aspect
      ratio.
    flip_probability: of mirroring left to right.
    clip_frames: T, the frames to segment.
    max_skip: largest distance between reference and first target, frames.
    max_gap: largest distance between targets, frames.
    curriculum_steps: max_skip and max_gap grow from 1 over this many steps,
      counted from the first step with clips; 0: no curriculum.
    min_object_fraction: smallest share of the reference frame that the object
      covers.
    noise: perturbation of the previous mask.
    dream_fraction: probability that an example is a lucid dream.
    dream_only_steps: all examples are dreams in this many initial steps.
    stills_fraction: probability that a dream is of a photo, if there are both
      photos and videos.
    dream_subsets: largest number of sets of moving objects per frame, for
      frames with more than two objects.
    lucid: ranges of the dreams.

  Raises:
    ValueError: a field is out of range.
  """

  crop_size: tuple[int, int] = ranges.field(
    (480, 864), ranges.items(ranges.whole(1, 16384, of='pixels'), 2)
  )
  zoom_range: tuple[float, float] = ranges.field(
    (1.0, 1.5), ranges.ascending(1, 100)
  )
  flip_probability: float = ranges.field(0.5, ranges.SHARE)
  clip_frames: int = ranges.field(
    1, ranges.whole(1, 1000), 'frames to segment in an example'
  )
  max_skip: int = ranges.field(25, _DISTANCE)
  max_gap: int = ranges.field(1, _DISTANCE)
  curriculum_steps: int = ranges.field(0, _STEPS)
  min_object_fraction: float = ranges.field(0.001, ranges.SHARE)
  noise: mask_noise.MaskNoise = dataclasses.field(
    default_factory=mask_noise.MaskNoise
  )
  dream_fraction: float = ranges.field(0.5, ranges.SHARE)
  dream_only_steps: int = ranges.field(20_000, _STEPS)
  stills_fraction: float = ranges.field(0.5, ranges.SHARE)
  dream_subsets: int = ranges.field(4, ranges.whole(1, 1000))
  lucid: lucid_lib.LucidConfig = dataclasses.field(
    default_factory=lucid_lib.LucidConfig
  )

  def __post_init__(self):
    """Checks every field against its range."""
    ranges.check_fields(self)

  @property
  def dreams(self) -> bool:
    """Whether any example can be a lucid dream."""
    return self.dream_fraction > 0 or self.dream_only_steps > 0


class Sampler:
  """Makes training examples from annotated videos and photos."""

  def __init__(
    self,
    videos: Sequence[sequences.Sequence],
    config: SamplingConfig,
    seed: int,
    examples_per_step: int,
    stills: Sequence[sequences.Sequence] = (),
    backgrounds: backgrounds_lib.BackgroundCache | None = None,
  ):
    """Stores the records; reads no files.

    Args:
      videos: of any length; clips come from those with at least two frames.
      config: the ranges.
      seed: of every random choice, at least 0.
      examples_per_step: over all hosts; determines the step of an example.
      stills: photos, as sequences of one frame each.
      backgrounds: cache of inpainted backgrounds; None: each is computed when
        it is needed, with the same result.

    Raises:
      SavosError: there is nothing to make examples from.
    """
    self._clips = [video for video in videos if len(video) > 1]
    self._videos, self._stills = list(videos), list(stills)
    self._config = config
    self._seed = seed
    self._examples_per_step = examples_per_step
    self._backgrounds = backgrounds
    if config.dream_fraction < 1 and not self._clips:
      raise errors.SavosError(
        f'none of {len(videos)} training sequences has two annotated frames.\n'
        '  Expected videos: a clip has at least two frames. To train on photos '
        'only, use only lucid dreams: config.sampling.dream_fraction=1.'
      )
    if not videos and not stills:
      raise errors.SavosError(
        'nothing to train on: no videos and no photos.\n'
        '  Expected videos in config.data.root, or folders of photos in '
        'config.data.stills.'
      )

  def describe(self, index: int) -> examples.Clip | examples.DreamSource:
    """Returns the source of example `index`; a dream is made to find out."""
    rng = self._generator(index)
    if self._draw_kind(index, rng) == 'dream':
      return self._draw_dream(rng)[0]
    return self._draw_clip(index, rng)[0]

  def names(self, indices: Sequence[int]) -> list[str]:
    """Describes examples for an error message."""
    return [str(self.describe(int(index))) for index in indices]

  def prepare_backgrounds(self, workers: int) -> None:
    """Computes all missing backgrounds that any dream may need.

    Does nothing if there are no dreams, or no cache for backgrounds.

    Args:
      workers: threads.

    Raises:
      SavosError: a file is damaged or malformed, or the backgrounds can't be
        written.
    """
    if not self._config.dreams or self._backgrounds is None:
      return
    share = self._stills_share()
    drawn = (self._videos if share < 1 else []) + (
      self._stills if share > 0 else []
    )
    frames = [
      self._still(sequence, frame)
      for sequence in drawn
      for frame in range(len(sequence))
    ]
    backgrounds_lib.prepare(self._backgrounds, frames, workers)

  def example(self, index: int) -> dict[str, np.ndarray]:
    """Makes example `index`.

    Args:
      index: any number from 0.

    Returns:
      'index' int64; 'reference_frame' RGB uint8 [H, W, 3] and 'reference_mask'
      uint8 [H, W], 0 or 1; 'frames' RGB uint8 [T, H, W, 3] and 'masks' uint8
      [T, H, W], 0 or 1; 'guidance', the perturbed mask of the frame before,
      uint8 [H, W], 0..255 = probability 0..1. The object may be out of sight
      in any of the T frames; its mask is then all 0.

    Raises:
      SavosError: a file is damaged or malformed.
    """
    rng = self._generator(index)
    if self._draw_kind(index, rng) == 'dream':
      arrays = self._make_dream(rng)
    else:
      arrays = self._make_clip(index, rng)
    return {'index': np.array(index, np.int64), **arrays}

  def _generator(self, index: int) -> np.random.Generator:
    return np.random.default_rng((self._seed, index))

  def _step(self, index: int) -> int:
    return index // self._examples_per_step

  def _still(self, sequence, frame) -> examples.Still:
    return examples.Still(
      sequence, frame, self._seed, self._config.dream_subsets
    )

  def _stills_share(self) -> float:
    """Returns the probability that a dream is of a photo."""
    if not self._stills:
      return 0.0
    return self._config.stills_fraction if self._videos else 1.0

  def _draw_kind(self, index, rng) -> str:
    is_dream = rng.random() < self._config.dream_fraction
    first_stage = self._step(index) < self._config.dream_only_steps
    return 'dream' if is_dream or first_stage else 'clip'

  def _draw_frame(self, records, rng):
    """Draws a frame that shows a large enough object.

    If none is found, takes the frame with the largest object seen.

    Returns:
      The record, the frame's index, its labels, the object's id.
    """
    largest = 0.0
    for attempt in range(_FRAME_ATTEMPTS):
      record = records[rng.integers(len(records))]
      # First frames always show an object.
      last = attempt == _FRAME_ATTEMPTS - 1
      frame = 0 if last else int(rng.integers(len(record)))
      labels = record.labels(frame)
      areas = choices.object_areas(labels)
      found = choices.draw_object(areas, self._config.min_object_fraction, rng)
      if found is not None:
        return record, frame, labels, found
      if areas.max() > largest:
        largest = areas.max()
        best = record, frame, labels, int(areas.argmax())
    if not largest:
      raise errors.SavosError(
        f'{record.masks[0]}: empty, like the other {_FRAME_ATTEMPTS - 1} '
        'training masks tried.\n  Expected objects: values other than 0.'
      )
    return best

  def _draw_clip(self, index, rng) -> tuple[examples.Clip, np.ndarray]:
    """Draws frames and an object; returns the reference's labels as well."""
    config = self._config
    video, reference, labels, object_id = self._draw_frame(self._clips, rng)
    step = self._step(index) - config.dream_only_steps
    max_skip, max_gap = (
      choices.curriculum_limit(full, step, config.curriculum_steps)
      for full in (config.max_skip, config.max_gap)
    )
    previous, targets = choices.draw_times(
      len(video), reference, config.clip_frames, max_skip, max_gap, rng
    )
    clip = examples.Clip(video, reference, tuple(targets), previous, object_id)
    return clip, labels

  def _make_clip(self, index, rng) -> dict[str, np.ndarray]:
    config = self._config
    clip, labels = self._draw_clip(index, rng)
    video, size = clip.sequence, config.crop_size

    def foreground(labels):
      return (labels == clip.object_id).astype(np.uint8)

    reference_mask = foreground(labels)
    target_masks = [foreground(video.labels(i)) for i in clip.targets]
    window = windows.draw_window(
      [reference_mask, *target_masks],
      size,
      rng.uniform(*config.zoom_range),
      config.flip_probability,
      rng,
    )
    previous = windows.cut_mask(
      foreground(video.labels(clip.previous)), window, size
    )
    return {
      'reference_frame': windows.cut_image(
        video.frame(clip.reference), window, size
      ),
      'reference_mask': windows.cut_mask(reference_mask, window, size),
      'frames': np.stack(
        [windows.cut_image(video.frame(i), window, size) for i in clip.targets]
      ),
      'masks': np.stack(
        [windows.cut_mask(mask, window, size) for mask in target_masks]
      ),
      'guidance': perturb.perturb_mask(previous, config.noise, rng),
    }

  def _dream(self, still, labels, moving, rng) -> lucid_lib.Dream:
    """Makes one dream of a frame."""
    config = self._config
    frame = still.sequence.frame(still.frame)
    # Inpaint before mirroring, as the cache does: filling a mirrored hole does
    # not give the mirror image of the filled hole.
    if self._backgrounds is None:
      background = lucid_lib.inpaint(frame, labels, moving, config.lucid)
    else:
      background = self._backgrounds.get(frame, labels, moving)
    if rng.random() < config.flip_probability:
      frame, labels, background = (
        np.ascontiguousarray(image[:, ::-1])
        for image in (frame, labels, background)
      )
    return lucid_lib.dream(
      frame,
      labels,
      rng,
      config.lucid,
      moving=moving,
      background=background,
      size=config.crop_size,
      zoom=rng.uniform(*config.zoom_range),
      targets=config.clip_frames,
    )

  def _draw_dream(self, rng) -> tuple[examples.DreamSource, lucid_lib.Dream]:
    """Makes dreams until the reference shows a large enough object.

    After some attempts, takes the dream with the largest one.
    """
    of_still = rng.random() < self._stills_share()
    records = self._stills if of_still else self._videos
    largest = -1.0
    for _ in range(_DREAM_ATTEMPTS):
      record, frame, labels, hidden = self._draw_frame(records, rng)
      still = self._still(record, frame)
      subsets = still.moving(labels)
      moving = subsets[rng.integers(len(subsets))]
      dream = self._dream(still, labels, moving, rng)
      areas = choices.object_areas(dream.reference_labels)
      found = choices.draw_object(areas, self._config.min_object_fraction, rng)
      if found is None and areas.max() <= largest:
        continue
      largest = areas.max()
      object_id = found or (int(areas.argmax()) if largest else hidden)
      best = examples.DreamSource(record, frame, moving, object_id), dream
      if found is not None:
        break
    return best

  def _make_dream(self, rng) -> dict[str, np.ndarray]:
    source, dream = self._draw_dream(rng)

    def foreground(labels):
      return (labels == source.object_id).astype(np.uint8)

    return {
      'reference_frame': dream.reference_frame,
      'reference_mask': foreground(dream.reference_labels),
      'frames': dream.frames,
      'masks': foreground(dream.labels),
      'guidance': perturb.perturb_mask(
        foreground(dream.previous_labels), self._config.noise, rng
      ),
    }
