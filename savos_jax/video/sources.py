"""Own videos: frames out of a video file or a folder of images.

Nothing here holds more than one frame. OpenCV's FFmpeg reads files, Pillow
reads folders.
"""

import abc
from collections.abc import Iterator
import contextlib
import dataclasses
import logging
import os
import pathlib
import re

# A damaged file makes FFmpeg write a page of its own words to the console,
# past Python; the errors below say it once. FFmpeg reads this at first use.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

import cv2
import numpy as np
from PIL import Image
from PIL import ImageOps

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
# Assumed where a file states no believable rate.
_FALLBACK_FPS = 25.0
_BELIEVABLE_FPS = (0.1, 480.0)
# Containers count wrongly by a frame or two; more than this is missing.
_MISSING_FRAMES = 2
_MISSING_SHARE = 0.02


def _error(path, found: str, hint: str) -> errors.SavosError:
  return errors.SavosError(f'{path}: {found}\n  {hint}')


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps OpenCV from writing to the console what is raised here anyway."""
  level = cv2.utils.logging.getLogLevel()
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
  try:
    yield
  finally:
    cv2.utils.logging.setLogLevel(level)


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

  @abc.abstractmethod
  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    """Yields frame `start` and all after it, RGB uint8 [H, W, 3].

    Nothing comes of a `start` past the end. What is before it in a file is
    decoded, not jumped over: jumps land on other frames in many files.

    Args:
      start: 0 or more.

    Raises:
      SavosError: where it happens, after the frames before: an image is
        damaged or of another size, or a file ends before its header says.
    """

  def frame(self, index: int) -> np.ndarray:
    """Returns a frame, RGB uint8 [H, W, 3]; what is before it may be decoded.

    Args:
      index: of the frame, from 0.

    Raises:
      SavosError: as `frames`, or there is no such frame.
    """
    with contextlib.closing(self.frames(index)) as frames:
      for frame in frames:
        return frame
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
    return self.sequence.frames[index].stem

  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    return map(self.sequence.frame, range(start, self.length))


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
    path: what OpenCV's FFmpeg can read (mp4, mov, avi, webm, mkv, ...), or a
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
  if not path.is_file():
    raise _error(
      path,
      'not found.',
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
  image = ImageOps.exif_transpose(masks.open_image(path))
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

  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    for path in self.images[start:]:
      frame = read_image(path)
      self._check_size(frame, path)
      yield frame


def _natural(path: pathlib.Path) -> tuple[list, str]:
  """The sorting key that puts 2 before 10."""
  parts = re.split('([0-9]+)', path.stem.casefold())
  return [int(p) if i % 2 else p for i, p in enumerate(parts)], path.name


def _open_folder(path: pathlib.Path) -> _Folder:
  # Hidden files: macOS leaves '._1.jpg', which is no image.
  found = [p for p in path.iterdir() if not p.name.startswith('.')]
  images = sorted(
    (p for p in found if p.suffix.lower() in IMAGE_SUFFIXES), key=_natural
  )
  if not images:
    shown = ', '.join(sorted(p.name for p in found)[:8])
    more = ', ...' if len(found) > 8 else ''
    raise _error(
      path,
      f'a folder without images; it holds {shown + more or "nothing"}.',
      f'Expected one image a frame ({", ".join(IMAGE_SUFFIXES)}), or a video '
      'file: name the folder that holds the frames themselves.',
    )
  by_stem = {}
  for image in images:
    other = by_stem.setdefault(image.stem, image)
    if other is not image:
      raise _error(
        path,
        f'both {other.name} and {image.name}.',
        'Expected one image a frame, each with a name of its own: results are '
        'named after it. Remove one of them.',
      )
  height, width = read_image(images[0]).shape[:2]
  name = path.resolve().name
  return _Folder(path, name, None, height, width, len(images), tuple(images))


# ---------------------------------------------------------------------------
# Files


@contextlib.contextmanager
def _capture(path: pathlib.Path) -> Iterator[cv2.VideoCapture]:
  with _quiet():
    # Absolute: FFmpeg takes what stands before a colon for a protocol.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
  try:
    yield capture
  finally:
    capture.release()


def count_frames(path: str | os.PathLike) -> int:
  """Returns how many frames of a video file decode, whatever it claims."""
  count = 0
  with _capture(pathlib.Path(path)) as capture:
    while capture.grab():
      count += 1
  return count


def _whole_boxes(path: pathlib.Path) -> bool:
  """Whether it is an mp4 or mov none of whose outer boxes passes its end.

  Such a file may well give fewer frames than it counts: cutting without
  encoding again, as phones do, hides frames behind an edit list.
  Layout of a box: ISO/IEC 14496-12, 4.2.
  """
  size, position = path.stat().st_size, 0
  with path.open('rb') as file:
    while position < size:
      file.seek(position)
      head = file.read(16)
      if position == 0 and head[4:8] not in (b'ftyp', b'moov', b'wide'):
        return False
      length = int.from_bytes(head[:4])
      if length == 1:
        length = int.from_bytes(head[8:16])
      if length == 0:  # The last box may say "up to the end".
        return True
      if length < 8:
        return False
      position += length
  return position == size


@dataclasses.dataclass(frozen=True)
class _File(Video):
  """A video file."""

  def frames(self, start: int = 0) -> Iterator[np.ndarray]:
    with _capture(self.path) as capture:
      count, last = 0, 0.0
      while capture.grab():
        last = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        count += 1
        if count <= start:
          continue
        good, frame = capture.retrieve()
        if not good:
          count -= 1
          break
        frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        self._check_size(frame, f'{self.path}, frame {count - 1}')
        yield frame
    self._check_end(count, last)

  def _check_end(self, count: int, last: float) -> None:
    """Raises if the file ended after `count` frames and shouldn't have.

    Args:
      count: frames that were decoded.
      last: time of the last one, seconds.
    """
    # Where a rate varies, the claim is a guess from the duration: there the
    # time says how far it came.
    reached = max(count, round(last * self.fps) + 1)
    missing = self.length - reached
    if missing <= max(_MISSING_FRAMES, _MISSING_SHARE * self.length):
      return
    if _whole_boxes(self.path):
      logger.warning(
        '%s: %d frames came out of the %d that it counts: cut without '
        'encoding again, or damaged',
        self.path, count, self.length,
      )  # fmt: skip
      return
    raise _error(
      self.path,
      f'decoding ended after frame {count - 1} ({last:.2f} s); the file counts '
      f'{self.length} frames.',
      'Expected a whole file; this one is cut off or damaged there. Copy it '
      'again from its source, or encode it again up to that time: `ffmpeg -i '
      'IN -c:v libx264 OUT.mp4`.',
    )


def _check_is_video(path: pathlib.Path) -> None:
  """Refuses what FFmpeg would make a video of: a text, a picture."""
  with path.open('rb') as file:
    head = file.read(4096)
  if not head:
    raise _error(
      path, 'an empty file.', 'Expected a video. Copy it again from its source.'
    )
  if path.suffix.lower() in IMAGE_SUFFIXES:
    raise _error(
      path,
      'a single image.',
      'Expected a video file, or a folder with one image a frame: name the '
      'folder.',
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
  with _capture(path) as capture:
    opened = capture.isOpened()
    fps = capture.get(cv2.CAP_PROP_FPS)
    claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    good, frame = capture.read() if opened else (False, None)
  if not good:
    found = 'no frame in it can be decoded.' if opened else 'no video in it.'
    raise _error(
      path,
      f'{found[:-1]} ({path.stat().st_size} bytes).',
      'Expected a video file (mp4, mov, avi, webm, mkv, ...). An mp4 that was '
      'cut off in a copy or a recording reads like this: copy it again, or '
      'play it in a player and encode it again.',
    )
  low, high = _BELIEVABLE_FPS
  if not low <= fps <= high:  # Also NaN.
    logger.warning('%s: states no frame rate, %g taken', path, _FALLBACK_FPS)
    fps = _FALLBACK_FPS
  # Unknown is a huge negative number; the size as decoded is the one shown.
  length = int(claimed) if 0 < claimed < 2**31 else 0
  return _File(path, path.stem, fps, *frame.shape[:2], length)
