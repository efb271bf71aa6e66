"""The ranges of a scene's random choices."""

import dataclasses

from savos_jax.data import sampling
from savos_jax.foundation import ranges

_OF_EXAMPLES = ranges.rules_of(sampling.SamplingConfig)


@dataclasses.dataclass(frozen=True)
class SceneConfig:
  """Ranges of the random choices; all are ours, not the paper's.

  A scene is a photo or frames of a video with its labelled objects, and with
  objects cut out of other photos and pasted in. Sizes and distances without a
  unit are shares of the example's height and width.

  Attributes:
    size: height and width of an example, pixels.
    frames: T, frames to segment.
    objects: K, largest number of objects to segment in an example; all other
      objects are rivals.
    single_probability: that all objects but one are rivals.
    video_fraction: share of the examples from videos; the rest use photos.
    max_skip: largest distance from the reference to the first frame, frames.
    max_gap: largest distance from one frame to the next, frames.
    close_probability: that the window follows the object, as with `eval.zoom`;
      otherwise it shows most of the frame.
    close_range: of the object's longer side in such a window.
    rivals: largest number of pasted objects.
    rival_probability: that each of them appears.
    rival_size: factor relative to the size of the scene's main object.
    same_folder_probability: that a rival is from a photo in the same folder,
      which holds similar objects.
    absent_probability: that a rival enters after the reference.
    gone_probability: that a rival has left after the reference.
    behind_probability: that a rival is behind the objects of the scene.
    min_area: of an object in the reference; smaller ones become rivals.
    rotation: of photos, ± degrees.
    bend: warp of photos and pasted objects, standard deviation.
    flip_probability: of mirroring a scene, or a pasted object.
    guidance_shift: shift of the previous mask, standard deviation as a share of
      the object's size.
    guidance_scale: standard deviation of the logarithm of its scale factor.
    guidance_rival_probability: that it includes part of a rival.
    guidance_part_probability: that part of it is missing.
    guidance_drop_probability: that it is empty.

  Raises:
    ValueError: a field is out of range.
  """

  size: tuple[int, int]
  frames: int
  objects: int = ranges.field(2, ranges.whole(1, 16))
  single_probability: float = ranges.field(0.3, ranges.SHARE)
  video_fraction: float = ranges.field(0.4, ranges.SHARE)
  max_skip: int = ranges.field(60, _OF_EXAMPLES['max_skip'])
  max_gap: int = ranges.field(3, _OF_EXAMPLES['max_gap'])
  close_probability: float = ranges.field(0.7, ranges.SHARE)
  close_range: tuple[float, float] = ranges.field(
    (0.3, 0.7), ranges.ascending(0, 1, above=True)
  )
  rivals: int = ranges.field(3, ranges.whole(1, 16))
  rival_probability: float = ranges.field(0.6, ranges.SHARE)
  rival_size: tuple[float, float] = ranges.field(
    (0.5, 1.5), ranges.ascending(0, 100, above=True)
  )
  same_folder_probability: float = ranges.field(0.6, ranges.SHARE)
  absent_probability: float = ranges.field(0.25, ranges.SHARE)
  gone_probability: float = ranges.field(0.1, ranges.SHARE)
  behind_probability: float = ranges.field(0.35, ranges.SHARE)
  min_area: float = ranges.field(
    0.002, ranges.number(0, 1, above=True, below=True)
  )
  rotation: float = ranges.field(15.0, ranges.number(0, 180, of='degrees'))
  bend: float = ranges.field(0.02, ranges.SHARE)
  flip_probability: float = ranges.field(0.5, ranges.SHARE)
  guidance_shift: float = ranges.field(0.12, ranges.number(0, 10))
  guidance_scale: float = ranges.field(0.1, ranges.number(0, 10))
  guidance_rival_probability: float = ranges.field(0.12, ranges.SHARE)
  guidance_part_probability: float = ranges.field(0.08, ranges.SHARE)
  guidance_drop_probability: float = ranges.field(0.03, ranges.SHARE)

  def __post_init__(self):
    """Checks every field against its range."""
    ranges.check_fields(self)
