"""Writes masks for other programs: one sink for each format."""

from collections.abc import Mapping
import pathlib

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import formats
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.video import sinks
from savos_jax.video import sources


def clip_of(video: sources.Video, objects: Mapping[int, str]) -> clip_lib.Clip:
  """Describes a video for the annotation writers.

  Args:
    video: the video.
    objects: id of each followed object -> its name; '': unnamed.
  """
  named = {
    object_id: clip_lib.printable(name) or f'object_{object_id}'
    for object_id, name in sorted(objects.items())
  }
  return clip_lib.Clip(video.name, video.height, video.width, named)


class Annotations(sinks.Sink):
  """Writes the folder of a format, named after it.

  After an interruption it needs all frames again, because some files describe
  all of them.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    kind: str,
    video: sources.Video,
    objects: Mapping[int, str],
  ):
    """Prepares the writer; writes nothing yet.

    Args:
      folder: the results folder, in which the folder of the format is made.
      kind: a name of `formats.FORMATS`.
      video: the video.
      objects: see `clip_of`.

    Raises:
      SavosError: the format needs a library that is not installed.
    """
    self.name = kind
    self._folder, self._video = folder / kind, video
    self._clip = clip_of(video, objects)
    self._writer = formats.writer(kind, self._clip)

  def begin(self, done: int) -> int:
    """Requests all frames."""
    if not done:
      there = self._folder.rglob('*')
      manifests.remove_own(path for path in there if path.is_file())
    self._writer = formats.writer(self.name, self._clip)
    return 0

  def write(self, segmented: sinks.Segmented) -> None:
    """Writes the files of a frame."""
    index = segmented.index
    frame = clip_lib.Frame(
      self._video.number(index),
      self._video.names(index),
      self._video.file_name(index),
      segmented.shown.seconds,
      segmented.frame,
      segmented.labels,
      segmented.confidence,
    )
    self._write(self._writer.add(frame))

  def finish(self) -> None:
    """Writes the files about the whole video."""
    self._write(self._writer.end())

  def _write(self, made: clip_lib.Files) -> None:
    for name, content in made.items():
      path = self._folder / name
      with files.replacing(path) as partial, partial.open('wb') as file:
        file.writelines(content)
