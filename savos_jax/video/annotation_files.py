"""Masks of a video's frames from annotations of other programs."""

from collections.abc import Sequence
import dataclasses

from savos_jax.annotations import reading
from savos_jax.annotations import shapes
from savos_jax.video import first_masks
from savos_jax.video import mask_files
from savos_jax.video import sources


def frames_of(video: sources.Video) -> shapes.Frames:
  """Returns a video's frames, as annotations name them."""
  indices = range(video.count())
  numbers = {video.number(index): index for index in indices}
  stems = None
  if video.fps is None:  # A folder of images.
    stems = {video.names(index): index for index in indices}
  return shapes.Frames(video.name, numbers, stems)


def is_annotations(text: str) -> bool:
  """Whether a file, as `mask_files.split` takes it, is one of annotations."""
  return reading.is_annotations(mask_files.split(text)[1])


def read(
  video: sources.Video, texts: Sequence[str], *, resize: bool = False
) -> shapes.Found:
  """Reads masks and polygons of COCO, labelme, CVAT or Label Studio.

  Args:
    video: they are of.
    texts: files of one format, of one frame or several each; with a frame in
      front, as `mask_files.split` takes it, where the file's own name of its
      picture does not tell.
    resize: see `first_masks.read`.

  Returns:
    Labels of frames, of the video's size, and the objects' names.

  Raises:
    SavosError: a file can't be read, does not tell what is meant, or has
      another size or shape.
  """
  if not texts:
    return shapes.Found({}, {})
  pairs = [mask_files.split(text) for text in texts]
  given = [video.find(frame) if frame else None for frame, _ in pairs]
  found = reading.read([path for _, path in pairs], frames_of(video), given)
  size = video.height, video.width
  labels = {
    index: first_masks.fit(pairs[0][1], drawn, size, resize)
    for index, drawn in found.labels.items()
  }
  return dataclasses.replace(found, labels=labels)
