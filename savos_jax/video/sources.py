"""Own videos: frames out of a video file or a folder of images.

Nothing here holds more than one frame. PyAV reads files (`video_file`), Pillow
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
  """A video on disk; iterate over `frames` as often as you like.

  Attributes:
    path: the file or the folder.
    name: the path's name without suffix.
    fps: frames a second as the file states it, 25 where it states nothing
      believable; None for a folder.
    height: of every frame as shown (after rotation), pixels.
    width: of every frame as shown, pixels.
    length: number of frames. A folder's is exact; a file's is what its header
      claims, which may be wrong, and 0 where it claims nothing.
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
    """Returns the frame that is called so: by its name or its number.

    Args:
      name: as `names` gives it. A number does without zeros in front; in a
        folder it is the one that the name of one image ends in.

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
    """Returns how many frames there are, decodable or not: exactly.

    A file may have to be read for it.

    Raises:
      SavosError: it can't be read.
    """
    return self.length

  def file_name(self, index: int) -> str:
    """Returns the name of frame `index`'s image; of a file, what it had."""
    return f'{self.names(index)}.jpg'

  @property
  def pixel_aspect(self) -> fractions.Fraction:
    """The width of a pixel as shown, by its height."""
    return fractions.Fraction(1)

  @property
  def sound(self) -> pathlib.Path | None:
    """The file that holds the sound, if there is any, by the frames' clock."""
    return None

  @abc.abstractmethod
  def numbered(self, start: int = 0) -> Generator[Shown]:
    """Yields frame `start` and all after it, with number and time.

    Nothing comes of a `start` past the end. Frames of a damaged file that can't
    be decoded are left out.

    Args:
      start: 0 or more.

    Raises:
      Incomplete: after the last frame, if some from `start` on were left out,
        or a file ends before its header says.
      SavosError: where it happens, after the frames before: an image is
        damaged or of another size.
    """

  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    """Yields the images of `numbered` alone, RGB uint8 [H, W, 3]."""
    for shown in self.numbered(start):
      yield shown.image

  def frame(self, index: int) -> np.ndarray:
    """Returns a frame, RGB uint8 [H, W, 3].

    Args:
      index: of the frame, from 0.

    Raises:
      SavosError: as `numbered`, or there is no such frame.
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
    path: what PyAV's FFmpeg can read (mp4, mov, avi, webm, mkv, ...), or a
      folder with JPEG, PNG, BMP or WebP files, one a frame, ordered by name
      with numbers as numbers (2 before 10). Other files there are ignored.

  Returns:
    The video.

  Raises:
    SavosError: nothing there, no video, a folder without images, or a first
      frame that can't be read.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return _open_folder(path)
  found = files.problem(path)
  if found:
    raise _error(
      path,
      f'{found}.',
      'Expected a video file, or a folder with one image a frame.',
    )
  return _open_file(path)


# ---------------------------------------------------------------------------
# Folders


def read_image(path: str | os.PathLike) -> np.ndarray:
  """Reads a user's image as it is meant to be seen.

  Beside `masks.read_frame`: turned as its EXIF data say, and 16 bits scaled to
  8. That function does neither, because the masks of a data set fit the pixels
  as stored, and its files hold none of this.

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
      f'Expected one image a frame ({", ".join(frame_folder.FRAMES)}), or a '
      'video file: name the folder that holds the frames themselves.',
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
      'Expected a video file, or a folder with one image a frame: name the '
      'folder.',
    )
  # Whatever stands before: a mark of the encoding, blanks, zeros.
  text = head.lower().replace(b'\0', b'').lstrip(b'\xef\xbb\xbf\xff\xfe \t\r\n')
  if text.startswith(_LISTS) or _DASH in text:
    raise _error(
      path,
      'a playlist: a text that names other files.',
      'Expected a video file (mp4, mov, avi, webm, mkv, ...): name the one '
      'that is meant.',
    )
  if head.isascii() and b'\0' not in head:
    raise _error(
      path,
      'a text, not a video.',
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
