"""Sources: frames from a video file or a folder of images.

At most one frame is held in memory. PyAV reads files (`video_file`), Pillow
reads folders.
"""

import abc
from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import dataclasses
import fractions
import os
import pathlib

import numpy as np
from PIL import Image
from PIL import ImageOps

from savos_jax.datasets import frame_folder
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.video import video_file
from savos_jax.video.video_file import Shown

# How lists of other files begin; that of DASH has its mark anywhere. No other
# file is ever read (`video_file`): these get words of their own.
_LISTS = (b'#ext', b'ffconcat', b'[playlist]', b'v=0', b'<asx', b'<smil')
_DASH = b'<mpd'


def _error(path, found: str, hint: str) -> errors.SavosError:
  return errors.SavosError(f'{path}: {found}\n  {hint}')


@dataclasses.dataclass(frozen=True)
class Video(abc.ABC):
  """A video on disk, whose frames can be iterated any number of times.

  Attributes:
    path: the file or the folder.
    name: the path's name without suffix.
    fps: frames a second as stated in the file, 25 if implausible; None for a
      folder.
    height: of every frame as shown (after rotation), pixels.
    width: of every frame as shown, pixels.
    length: number of frames: exact for a folder; for a file the header's claim,
      which may be wrong, or 0 without one.
  """

  path: pathlib.Path
  name: str
  fps: float | None
  height: int
  width: int
  length: int

  def names(self, index: int) -> str:
    """Returns the stem of the files that belong to frame `index`, from 0."""
    return f'{index:05d}'

  def number(self, index: int) -> int:
    """Returns the number that frame `index` has in the file or folder."""
    return index

  def find(self, name: str) -> int:
    """Returns the frame with a name or number.

    Args:
      name: from `names`. A number needs no leading zeros; in a folder it is the
        one at the end of an image's name.

    Raises:
      SavosError: there is no such frame.
    """
    index = int(name) if name.isdecimal() and len(name) < 16 else -1
    if 0 <= index < self.count():
      return index
    raise self._no_frame(name)

  def _no_frame(self, name: str) -> errors.SavosError:
    count = self.count()
    shown = [self.names(index) for index in range(min(count, 2))]
    shown += ['...', self.names(count - 1)] * (count > 2)
    return _error(
      self.path,
      f'no frame {name!r}.',
      f'Expected one of {", ".join(shown)}.',
    )

  def count(self) -> int:
    """Returns the exact number of frames, decodable or not.

    This may require reading the file.

    Raises:
      SavosError: it cannot be read.
    """
    return self.length

  def file_name(self, index: int) -> str:
    """Returns the name of frame `index`'s image, or the name it would have."""
    return f'{self.names(index)}.jpg'

  @property
  def pixel_aspect(self) -> fractions.Fraction:
    """The width of a pixel as shown, by its height."""
    return fractions.Fraction(1)

  @property
  def sound(self) -> pathlib.Path | None:
    """The file with the sound, if any, on the clock of the frames."""
    return None

  @abc.abstractmethod
  def numbered(self, start: int = 0) -> Generator[Shown]:
    """Yields frame `start` and all later ones, with number and timestamp.

    Yields nothing if `start` is past the end. Undecodable frames of a damaged
    file are skipped.

    Args:
      start: 0 or more.

    Raises:
      Incomplete: after the last frame, if some from `start` on were skipped, or
        a file is shorter than its header says.
      SavosError: after the previous frames: an image is damaged or of another
        size.
    """

  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    """Yields only the images of `numbered`, RGB uint8 [H, W, 3]."""
    for shown in self.numbered(start):
      yield shown.image

  def frame(self, index: int) -> np.ndarray:
    """Returns a frame, RGB uint8 [H, W, 3].

    Args:
      index: of the frame, from 0.

    Raises:
      SavosError: as `numbered`, or the frame does not exist.
    """
    with contextlib.closing(self.numbered(index)) as frames:
      for shown in frames:
        if shown.index == index:
          return shown.image
        break
    raise _error(
      self.path,
      f'it has no frame {index}.',
      'Expected the number of one of its frames, from 0.',
    )

  def _check_size(self, frame: np.ndarray, where) -> None:
    if frame.shape[:2] != (self.height, self.width):
      raise _error(
        where,
        f'{frame.shape[1]}x{frame.shape[0]} pixels (width x height).',
        f'Expected {self.width}x{self.height}, as the first frame of '
        f'{self.path}: resize it, or take it out of the video.',
      )


@dataclasses.dataclass(frozen=True)
class _Annotated(Video):
  """The frames of a data set's sequence."""

  sequence: sequences.Sequence

  def names(self, index: int) -> str:
    return self.sequence.frame_name(index)

  def file_name(self, index: int) -> str:
    return self.sequence.frames[index].name

  def numbered(self, start: int = 0) -> Generator[Shown]:
    for index in range(start, self.length):
      yield Shown(index, None, self.sequence.frame(index))


def of_sequence(sequence: sequences.Sequence) -> Video:
  """Returns the frames of a data set's sequence, without its masks."""
  return _Annotated(
    sequence.frames[0].parent,
    sequence.name,
    None,
    sequence.height,
    sequence.width,
    len(sequence),
    sequence,
  )


def open_video(path: str | os.PathLike) -> Video:
  """Opens a video file or a folder of images and looks at its first frame.

  Args:
    path: a file that PyAV's FFmpeg can read (mp4, mov, avi, webm, mkv, ...), or
      a folder with one JPEG, PNG, BMP or WebP file for each frame, sorted by
      name with numbers by value (2 before 10). Other files there are ignored.

  Returns:
    The video.

  Raises:
    SavosError: there is nothing, no video, a folder without images, or an
      unreadable first frame.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return _open_folder(path)
  found = files.problem(path)
  if found:
    raise _error(
      path,
      f'{found}.',
      'Expected a video file, or a folder with one image for each frame.',
    )
  return _open_file(path)


# ---------------------------------------------------------------------------
# Folders


def read_image(path: str | os.PathLike) -> np.ndarray:
  """Reads a user's image as it is displayed.

  Unlike `masks.read_frame`, applies the EXIF orientation and scales 16 bits to
  8. That function does neither, because the masks of a data set match the
  stored pixels, and its files need neither.

  Args:
    path: the file. Grey becomes RGB, an alpha channel is dropped.

  Returns:
    RGB uint8 [H, W, 3].

  Raises:
    SavosError: as `masks.open_image`.
  """
  return masks.use_image(path, _as_seen)


def _as_seen(image: Image.Image) -> np.ndarray:
  image = ImageOps.exif_transpose(image)
  if image.mode.startswith('I'):
    values = np.asarray(image).astype(np.float64) / 257
    image = Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))
  if 'transparency' in image.info:
    image = image.convert('RGBA')  # Straight to RGB, Pillow warns.
  return np.asarray(image.convert('RGB'))


@dataclasses.dataclass(frozen=True)
class _Folder(Video):
  """A folder of images; `images` are in order of time."""

  images: tuple[pathlib.Path, ...]

  def names(self, index: int) -> str:
    return self.images[index].stem

  def find(self, name: str) -> int:
    if len(name) > 255:  # No file is called so.
      raise self._no_frame(name[:20] + '...')
    keys = [frame_folder.key(path.stem) for path in self.images]
    if frame_folder.key(name) in keys:
      return keys.index(frame_folder.key(name))
    # A key ends in a word; before it comes the last number.
    ends = [key[-2:] for key in keys]
    number = (int(name), '') if name.isdecimal() else ()
    if ends.count(number) == 1:
      return ends.index(number)
    raise self._no_frame(name)

  def file_name(self, index: int) -> str:
    return self.images[index].name

  def numbered(self, start: int = 0) -> Generator[Shown]:
    for index, path in enumerate(self.images[start:], start):
      frame = read_image(path)
      self._check_size(frame, path)
      yield Shown(index, None, frame)


def _open_folder(path: pathlib.Path) -> _Folder:
  images = list(frame_folder.read(path, frame_folder.FRAMES).values())
  if not images:
    found = sorted(p.name for p in path.iterdir() if p.name[0] != '.')
    shown = ', '.join(found[:8])
    more = ', ...' if len(found) > 8 else ''
    raise _error(
      path,
      f'a folder without images; it holds {shown + more or "nothing"}.',
      f'Expected one image for each frame ({", ".join(frame_folder.FRAMES)}), '
      'or a video file: name the folder that holds the frames themselves.',
    )
  height, width = read_image(images[0]).shape[:2]
  name = path.resolve().name
  return _Folder(path, name, None, height, width, len(images), tuple(images))


# ---------------------------------------------------------------------------
# Files


@dataclasses.dataclass(frozen=True)
class _File(Video):
  """A video file."""

  facts: video_file.Facts

  def count(self) -> int:
    return video_file.count(self.path)

  @property
  def pixel_aspect(self) -> fractions.Fraction:
    return self.facts.pixel_aspect

  @property
  def sound(self) -> pathlib.Path | None:
    return self.path

  def numbered(self, start: int = 0) -> Generator[Shown]:
    for shown in video_file.frames(self.path, self.facts, start):
      self._check_size(shown.image, f'{self.path}, frame {shown.index}')
      yield shown


def _check_is_video(path: pathlib.Path) -> None:
  """Refuses what FFmpeg would make a video of: a text, a picture."""
  with path.open('rb') as file:
    head = file.read(4096)
  if not head:
    raise _error(
      path, 'an empty file.', 'Expected a video. Copy it again from its source.'
    )
  if path.suffix.lower() in frame_folder.FRAMES:
    raise _error(
      path,
      'a single image.',
      'Expected a video file, or a folder with one image for each frame: name '
      'the folder.',
    )
  # Whatever stands before: a mark of the encoding, blanks, zeros.
  text = head.lower().replace(b'\0', b'').lstrip(b'\xef\xbb\xbf\xff\xfe \t\r\n')
  if text.startswith(_LISTS) or _DASH in text:
    raise _error(
      path,
      'a playlist, which only names other files.',
      'Expected a video file (mp4, mov, avi, webm, mkv, ...): name the right '
      'one.',
    )
  if head.isascii() and b'\0' not in head:
    raise _error(
      path,
      'text, not a video.',
      'Expected a video file (mp4, mov, avi, webm, mkv, ...).',
    )


def _open_file(path: pathlib.Path) -> _File:
  try:
    _check_is_video(path)
  except OSError as error:
    raise _error(
      path, f'{error.strerror}.', 'Expected a file that can be read.'
    ) from None
  facts = video_file.probe(path)
  size = facts.height, facts.width
  return _File(path, path.stem, facts.fps, *size, facts.length, facts)
