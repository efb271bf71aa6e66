"""Sinks: write the results of a video, frame by frame.

A sink receives each frame once, in order. After an interruption it says from
which frame on it needs them again; its final output is byte for byte that of an
uninterrupted run.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import fractions
import pathlib
from typing import Any

import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import manifests
from savos_jax.pictures import overlay
from savos_jax.video import video_file
from savos_jax.video import video_writer

# Frame RGB uint8 [H, W, 3], labels uint8 [H, W] -> picture uint8 [H, W, 3|4].
Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
Names = Callable[[int], str]  # Index of a frame -> stem of its files.

_PART_FRAMES = 50  # What an interruption makes a video encode again, at most.


@dataclasses.dataclass(frozen=True)
class Segmented:
  """A frame with its masks.

  Attributes:
    shown: the frame, with its number and timestamp.
    labels: uint8 [H, W], 0 = background.
    probabilities: of each object, float32 [K, h, w] at the size the network
      saw; None if no sink needs them (`Sink.soft`), before the first mark, and
      if labels are read back from files.
    confidence: id -> confidence of the mask, 0..1, see `Tracker.confidences`;
      without objects before their first mark.
  """

  shown: video_file.Shown
  labels: np.ndarray
  probabilities: Any = None
  confidence: Mapping[int, float] = dataclasses.field(default_factory=dict)

  @property
  def index(self) -> int:
    """The number of the frame, from 0."""
    return self.shown.index

  @property
  def frame(self) -> np.ndarray:
    """The frame, RGB uint8 [H, W, 3]."""
    return self.shown.image


class Sink(contextlib.AbstractContextManager):
  """Receives the results of a video; called by one thread at a time.

  Leaving its block discards partial output.

  Attributes:
    name: of its output in the folder, unique among the sinks of a video.
    soft: whether it needs the probabilities.
  """

  name: str
  soft: bool = False

  @abc.abstractmethod
  def begin(self, done: int) -> int:
    """Resumes after a number of frames; later output is made again.

    Args:
      done: number of segmented frames; 0: a new video, ignoring existing
        output.

    Returns:
      The first frame it needs, 0..done.

    Raises:
      SavosError: it cannot be written.
    """

  @abc.abstractmethod
  def write(self, segmented: Segmented) -> None:
    """Receives the next frame.

    Raises:
      SavosError: it cannot be written.
    """

  def finish(self) -> None:
    """Completes its output after the last frame."""

  def __exit__(self, kind, error, trace) -> bool | None:
    return None


class Record(Sink):
  """A sink that stores labels, which can be read back after an interruption."""

  @abc.abstractmethod
  def path(self, index: int) -> pathlib.Path:
    """Returns the file of a frame."""

  @abc.abstractmethod
  def read(self, index: int) -> np.ndarray:
    """Reads back the labels of a frame, uint8 [H, W]."""


class Masks(Record):
  """Writes an indexed PNG for each frame."""

  name = 'masks'

  def __init__(self, folder: pathlib.Path, names: Names):
    """Sets folder and names; writes nothing yet.

    Args:
      folder: receives the files.
      names: of the frames.
    """
    self._folder, self._names = folder, names

  def path(self, index: int) -> pathlib.Path:
    """Returns the file of a frame."""
    return self._folder / f'{self._names(index)}.png'

  def read(self, index: int) -> np.ndarray:
    """Reads back the labels of a frame, uint8 [H, W]."""
    return masks.read_mask(self.path(index))

  def begin(self, done: int) -> int:
    """Keeps the files of finished frames."""
    if not done:
      manifests.remove_own(list(self._folder.glob('*.png')))
    return done

  def write(self, segmented: Segmented) -> None:
    """Writes a file."""
    masks.write_mask(self.path(segmented.index), segmented.labels)


class Pictures(Sink):
  """Writes a PNG for each frame, drawn from frame and labels."""

  def __init__(self, folder: pathlib.Path, names: Names, draw: Draw):
    """Sets folder, names and drawing; writes nothing yet.

    Args:
      folder: receives the files.
      names: of the frames.
      draw: returns the picture.
    """
    self.name = folder.name
    self._folder, self._names, self._draw = folder, names, draw

  def _path(self, index: int) -> pathlib.Path:
    return self._folder / f'{self._names(index)}.png'

  def begin(self, done: int) -> int:
    """Resumes at the first frame without a file."""
    there = (self._path(index).is_file() for index in range(done))
    return next((i for i, is_there in enumerate(there) if not is_there), done)

  def write(self, segmented: Segmented) -> None:
    """Writes a file."""
    picture = self._draw(segmented.frame, segmented.labels)
    overlay.write_png(self._path(segmented.index), picture)


class Film(Sink):
  """Writes a video drawn from frames and labels, with the original sound.

  It is encoded in parts of equal length by separate encoders, in a hidden
  folder beside it, which are finally joined without re-encoding. Frames keep
  their timestamps; where some are missing, the previous one is held.
  """

  def __init__(
    self,
    path: pathlib.Path,
    fps: float,
    draw: Draw,
    pixel_aspect: fractions.Fraction = fractions.Fraction(1),
    sound: pathlib.Path | None = None,
  ):
    """Checks name and rate; writes nothing yet.

    Args:
      path: named .mp4, .mov or .webm (`video_writer.FORMATS`).
      fps: frames a second, above 0, at most 1000; used if frames have no
        timestamps.
      draw: returns the picture: RGB, for .mov and .webm RGBA.
      pixel_aspect: width of a pixel as shown, by its height.
      sound: the file to take the sound from, on the clock of the timestamps.

    Raises:
      SavosError: the name or rate is not supported.
    """
    video_writer.check(path, fps)
    self.name = path.name
    self._path, self._fps, self._draw = path, fps, draw
    self._aspect, self._sound = pixel_aspect, sound
    self._parts = path.with_name(f'.{path.name}.parts')
    self._number = -1  # Of the part that is written.
    self._writer: video_writer.VideoWriter | None = None
    self._open = contextlib.ExitStack()

  def _part(self, number: int) -> pathlib.Path:
    return self._parts / f'{number:06d}{self._path.suffix}'

  def _made(self) -> list[pathlib.Path]:
    return sorted(self._parts.glob(f'[0-9]*{self._path.suffix}'))

  def begin(self, done: int) -> int:
    """Keeps the complete parts, up to the first missing one."""
    whole = 0
    while whole < done // _PART_FRAMES and self._part(whole).is_file():
      whole += 1
    for path in self._made():
      if path >= self._part(whole):
        path.unlink()
    return whole * _PART_FRAMES

  def write(self, segmented: Segmented) -> None:
    """Encodes a picture."""
    number, seconds = segmented.index // _PART_FRAMES, segmented.shown.seconds
    if self._writer is None or number != self._number:
      self._end_part()
      part = video_writer.VideoWriter(
        self._part(number), self._fps, self._aspect
      )
      self._number, self._writer = number, self._open.enter_context(part)
    if seconds is None:
      seconds = segmented.index / self._fps
    picture = self._draw(segmented.frame, segmented.labels)
    self._writer.write(picture, seconds)

  def _end_part(self) -> None:
    self._writer = None
    self._open.close()

  def finish(self) -> None:
    """Joins the parts."""
    self._end_part()
    parts = self._made()
    if not parts:  # All frames are missing.
      return
    video_writer.join(parts, self._path, self._fps, self._sound)
    for path in parts:
      path.unlink()
    with contextlib.suppress(OSError):  # Something else is in it.
      self._parts.rmdir()

  def __exit__(self, kind, error, trace) -> bool | None:
    return self._open.__exit__(kind, error, trace)
