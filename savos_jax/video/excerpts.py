"""Parts of videos and reversed videos, which are videos as well."""

from collections.abc import Generator
import contextlib
import dataclasses
import fractions
import pathlib

import numpy as np

from savos_jax.foundation import errors
from savos_jax.video import sources
from savos_jax.video import video_file

# What is held of a video that is read backwards.
_CHUNK_BYTES = 1 << 28
_CHUNK_FRAMES = 256


@dataclasses.dataclass(frozen=True)
class _Part(sources.Video):
  """Every so many frames of a video, `first` .. `last`."""

  whole: sources.Video
  first: int
  last: int
  every: int

  @property
  def pixel_aspect(self) -> fractions.Fraction:
    return self.whole.pixel_aspect

  @property
  def sound(self) -> pathlib.Path | None:
    return self.whole.sound

  def number(self, index: int) -> int:
    return self.whole.number(self.first + index * self.every)

  def names(self, index: int) -> str:
    return self.whole.names(self.first + index * self.every)

  def file_name(self, index: int) -> str:
    return self.whole.file_name(self.first + index * self.every)

  def find(self, name: str) -> int:
    index, rest = divmod(self.whole.find(name) - self.first, self.every)
    if rest or not 0 <= index < self.length:
      raise self._no_frame(name)
    return index

  def frame(self, index: int) -> np.ndarray:
    return self.whole.frame(self.first + index * self.every)

  def numbered(self, start: int = 0) -> Generator[video_file.Shown]:
    begin = self.first + start * self.every
    if begin > self.last:
      return
    expected = start
    missing: list[int] = []
    with contextlib.closing(self.whole.numbered(begin)) as frames:
      for shown in frames:
        if shown.index > self.last:
          break
        index, rest = divmod(shown.index - self.first, self.every)
        if rest:
          continue
        missing += range(expected, index)
        expected = index + 1
        yield dataclasses.replace(shown, index=index)
        if shown.index + self.every > self.last:
          break
    if missing:
      numbers = [self.number(index) for index in missing]
      raise video_file.incomplete(self.path, expected, numbers)


def part(
  video: sources.Video, first: int = 0, last: int | None = None, every: int = 1
) -> sources.Video:
  """Returns some frames of a video, with their names.

  Args:
    video: the whole.
    first: number of the first frame, 0 or more.
    last: number of the last one, at least `first`; None: the video's.
    every: keep every n-th frame from `first` on; at least 1.

  Raises:
    SavosError: the video has no frame `first` or `last`.
  """
  if last is None and not first and every == 1:
    return video
  count = video.count()
  for name, number in (('first', first), ('last', last)):
    if number is not None and number >= count:
      raise errors.SavosError(
        f'{video.path}: no frame {number}, which was to be the {name} one.\n'
        f'  Expected one of its {count} frames, 0 to {count - 1}.'
      )
  last = count - 1 if last is None else last
  return _Part(
    video.path,
    video.name,
    video.fps and video.fps / every,
    video.height,
    video.width,
    (last - first) // every + 1,
    video,
    first,
    last,
    every,
  )


@dataclasses.dataclass(frozen=True)
class _Backwards(sources.Video):
  """The frames up to one of them, that one first."""

  forwards: sources.Video

  def _turned(self, index: int) -> int:
    return self.length - 1 - index

  def number(self, index: int) -> int:
    return self.forwards.number(self._turned(index))

  def names(self, index: int) -> str:
    return self.forwards.names(self._turned(index))

  def frame(self, index: int) -> np.ndarray:
    return self.forwards.frame(self._turned(index))

  def numbered(self, start: int = 0) -> Generator[video_file.Shown]:
    size = min(_CHUNK_FRAMES, _CHUNK_BYTES // (3 * self.height * self.width))
    end = self._turned(start) + 1
    while end > 0:
      begin = max(0, end - max(1, size))
      for shown in reversed(self._chunk(begin, end)):
        yield dataclasses.replace(shown, index=self._turned(shown.index))
      end = begin

  def _chunk(self, begin: int, end: int) -> list[video_file.Shown]:
    chunk = []
    # What is missing is told by who reads the video forwards.
    with (
      contextlib.suppress(errors.Incomplete),
      contextlib.closing(self.forwards.numbered(begin)) as frames,
    ):
      for shown in frames:
        if shown.index >= end:
          break
        chunk.append(shown)
        if shown.index == end - 1:
          break
    return chunk


def backwards(video: sources.Video, last: int) -> sources.Video:
  """Returns the frames from `last` back to the first.

  They are decoded in chunks of at most 256 MiB, one in memory at a time.

  Args:
    video: the video. Missing frames are skipped without a message.
    last: the frame to start from, 0 or more.
  """
  return _Backwards(
    video.path,
    video.name,
    video.fps,
    video.height,
    video.width,
    last + 1,
    video,
  )
