"""What a scene is: every range of the random choices."""

import dataclasses


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
  """

  size: tuple[int, int] = (256, 448)
  frames: int = 1
  objects: int = 2
  single_probability: float = 0.3
  video_fraction: float = 0.4
  max_skip: int = 60
  max_gap: int = 3
  close_probability: float = 0.7
  close_range: tuple[float, float] = (0.3, 0.7)
  rivals: int = 3
  rival_probability: float = 0.6
  rival_size: tuple[float, float] = (0.5, 1.5)
  same_folder_probability: float = 0.6
  absent_probability: float = 0.25
  gone_probability: float = 0.1
  behind_probability: float = 0.35
  min_area: float = 0.002
  rotation: float = 15.0
  bend: float = 0.02
  flip_probability: float = 0.5
  guidance_shift: float = 0.12
  guidance_scale: float = 0.1
  guidance_rival_probability: float = 0.12
  guidance_part_probability: float = 0.08
  guidance_drop_probability: float = 0.03
