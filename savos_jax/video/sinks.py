"""Where the masks of a video go, frame by frame, as they are made.

A sink is told each frame once, in order. After an interruption it is asked from
which frame on it must be told again: what it has made in the end is, byte for
byte, what it had made without one.
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
    shown: the frame, with its number and time.
    labels: uint8 [H, W], 0 = background.
    probabilities: each object's, float32 [K, h, w] at the size at which the
      network saw the frame; None where nobody asks for them (`Sink.soft`),
      before the first mark, and where labels are told again from their files.
    confidence: how sure each object's mask is, by its id, 0..1: see
      `Tracker.confidences`; no object before its first mark.
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
  """Takes what is made of a video; called from one thread at a time.

  Leaving its block drops what is half written.

  Attributes:
    name: of what it makes, in its folder: unique among a video's sinks.
    soft: whether it needs the probabilities.
  """

  name: str
  soft: bool = False

  @abc.abstractmethod
  def begin(self, done: int) -> int:
    """Goes on after so many frames; what it made of others is made again.

    Args:
      done: so many frames are segmented; 0: a new video, nothing is trusted.

    Returns:
      The first frame that it must be told, 0..done.

    Raises:
      SavosError: it can't be written.
    """

  @abc.abstractmethod
  def write(self, segmented: Segmented) -> None:
    """Takes the next frame.

    Raises:
      SavosError: it can't be written.
    """

  def finish(self) -> None:
    """Completes what it made: there are no more frames."""

  def __exit__(self, kind, error, trace) -> bool | None:
    return None


class Record(Sink):
  """A sink that keeps labels, to be read again after an interruption."""

  @abc.abstractmethod
  def path(self, index: int) -> pathlib.Path:
    """Returns the file of a frame."""

  @abc.abstractmethod
  def read(self, index: int) -> np.ndarray:
    """Returns what was written of a frame, uint8 [H, W]."""


class Masks(Record):
  """An indexed PNG a frame."""

  name = 'masks'

  def __init__(self, folder: pathlib.Path, names: Names):
    """Nothing is written yet.

    Args:
      folder: gets the files.
      names: of the frames.
    """
    self._folder, self._names = folder, names

  def path(self, index: int) -> pathlib.Path:
    """Returns the file of a frame."""
    return self._folder / f'{self._names(index)}.png'

  def read(self, index: int) -> np.ndarray:
    """Returns what was written of a frame, uint8 [H, W]."""
    return masks.read_mask(self.path(index))

  def begin(self, done: int) -> int:
    """Keeps the files of frames that are done."""
    if not done:
      manifests.remove_own(list(self._folder.glob('*.png')))
    return done

  def write(self, segmented: Segmented) -> None:
    """Writes a file."""
    masks.write_mask(self.path(segmented.index), segmented.labels)


class Pictures(Sink):
  """A PNG a frame, drawn from frame and labels."""

  def __init__(self, folder: pathlib.Path, names: Names, draw: Draw):
    """Nothing is written yet.

    Args:
      folder: gets the files.
      names: of the frames.
      draw: makes a picture.
    """
    self.name = folder.name
    self._folder, self._names, self._draw = folder, names, draw

  def _path(self, index: int) -> pathlib.Path:
    return self._folder / f'{self._names(index)}.png'

  def begin(self, done: int) -> int:
    """Goes on at the first frame that has no file."""
    there = (self._path(index).is_file() for index in range(done))
    return next((i for i, is_there in enumerate(there) if not is_there), done)

  def write(self, segmented: Segmented) -> None:
    """Writes a file."""
    picture = self._draw(segmented.frame, segmented.labels)
    overlay.write_png(self._path(segmented.index), picture)


class Film(Sink):
  """A video, drawn from frames and labels, with the sound of the one it is of.

  It is encoded in parts of equal length, each by an encoder of its own, in a
  hidden folder beside it; in the end they are joined without encoding again.
  Frames keep their times; where some are missing, the one before stands still.
  """

  def __init__(
    self,
    path: pathlib.Path,
    fps: float,
    draw: Draw,
    pixel_aspect: fractions.Fraction = fractions.Fraction(1),
    sound: pathlib.Path | None = None,
  ):
    """Nothing is written yet.

    Args:
      path: named .mp4, .mov or .webm (`video_writer.FORMATS`).
      fps: frames a second, above 0, at most 1000; where frames have no times.
      draw: makes a picture: RGB, for .mov and .webm RGBA.
      pixel_aspect: width of a pixel as shown, by its height.
      sound: the file whose sound it gets, by the clock of the frames' times.

    Raises:
      SavosError: another name or rate.
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
    """Keeps the parts that are whole, up to the first that is missing."""
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
