"""What a scene is: every range of the random choices."""

import dataclasses

from savos_jax.data import sampling
from savos_jax.foundation import ranges

_OF_EXAMPLES = ranges.rules_of(sampling.SamplingConfig)


@dataclasses.dataclass(frozen=True)
class SceneConfig:
  """Ranges of the random choices; all are ours.

  A scene is a photo or frames of a video, with the objects that are labelled in
  it, and objects that are cut out of other photos and pasted in. Sizes and
  distances are shares of the example's height and width, where no unit is said.

  Attributes:
    size: height and width of an example, pixels.
    frames: T, frames to segment.
    objects: K, objects to segment in an example, at most. Others are rivals.
    single_probability: that all but one are rivals.
    video_fraction: of the examples, from videos; the others are from photos.
    max_skip: largest distance from the reference to the first frame, frames.
    max_gap: largest distance from one frame to the next, frames.
    close_probability: that the window follows the object, as `eval.zoom` has
      it; otherwise it shows most of the frame.
    close_range: of the object's longer side in the window then.
    rivals: objects that are pasted, at most.
    rival_probability: that each of them is.
    rival_size: factor of the size of the object that the scene is about.
    same_folder_probability: that one is from a photo of the same folder, where
      like objects are.
    absent_probability: that one enters after the reference.
    gone_probability: that one has left after the reference.
    behind_probability: that one is behind the objects of the scene.
    min_area: of an object in the reference; smaller ones are rivals.
    rotation: of photos, ± degrees.
    bend: of photos and what is pasted, standard deviation.
    flip_probability: that a scene, or what is pasted, is mirrored.
    guidance_shift: of the previous mask, standard deviation, of the object's
      size.
    guidance_scale: of it, standard deviation of the factor's logarithm.
    guidance_rival_probability: that it has a part of a rival.
    guidance_part_probability: that a part of it lacks.
    guidance_drop_probability: that it is empty.

  Raises:
    ValueError: a field is out of its range.
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
    """Refuses what no scene can be made from."""
    ranges.check_fields(self)
