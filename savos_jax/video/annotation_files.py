"""Reads masks of frames from annotations of other programs."""

from collections.abc import Sequence
import dataclasses

from savos_jax.annotations import reading
from savos_jax.annotations import shapes
from savos_jax.video import first_masks
from savos_jax.video import mask_files
from savos_jax.video import sources


def frames_of(video: sources.Video) -> shapes.Frames:
  """Returns the frames of a video by the names that annotations use."""
  indices = range(video.count())
  numbers = {video.number(index): index for index in indices}
  stems = None
  if video.fps is None:  # A folder of images.
    stems = {video.names(index): index for index in indices}
  return shapes.Frames(video.name, numbers, stems)


def is_annotations(text: str) -> bool:
  """Whether an argument, as for `mask_files.split`, is an annotations file."""
  return reading.is_annotations(mask_files.split(text)[1])


def read(
  video: sources.Video, texts: Sequence[str], *, resize: bool = False
) -> shapes.Found:
  """Reads masks and polygons of COCO, labelme, CVAT or Label Studio.

  Args:
    video: the video they belong to.
    texts: files of one format, each with one or several frames; with a frame in
      front, as for `mask_files.split`, if the name of the picture in the file
      does not identify it.
    resize: see `first_masks.read`.

  Returns:
    Labels of frames, of the size of the video, and the names of the objects.

  Raises:
    SavosError: a file cannot be read, does not identify its frames or objects,
      or has another size or shape.
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
