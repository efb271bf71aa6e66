"""What is written of a video: frames with their masks, in one format."""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import re
import zlib

import cv2
import numpy as np

# What no XML and no table may hold.
_UNPRINTABLE = re.compile(
  '[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]'
)
_QUALITY = 95  # Of the frames that are written beside their annotations, JPEG.


@dataclasses.dataclass(frozen=True)
class Clip:
  """A video.

  Attributes:
    name: of it, without a suffix.
    height: of its frames, pixels.
    width: of its frames, pixels.
    objects: id, 1..254 -> what it is called; several may share a name.
  """

  name: str
  height: int
  width: int
  objects: Mapping[int, str]

  @functools.cached_property
  def categories(self) -> tuple[str, ...]:
    """The names of objects, each once, in the order of their ids."""
    return tuple(dict.fromkeys(self.objects[i] for i in sorted(self.objects)))

  def category(self, object_id: int) -> int:
    """Returns the place of an object's name in `categories`."""
    return self.categories.index(self.objects[object_id])

  def label(self, object_id: int) -> str:
    """Returns a name that is this object's alone."""
    name = self.objects[object_id]
    shared = sum(name == other for other in self.objects.values()) > 1
    return f'{name} {object_id}' if shared else name

  @property
  def labels(self) -> list[str]:
    """The labels of all objects, in the order of their ids."""
    return [self.label(object_id) for object_id in sorted(self.objects)]


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
  """A frame with its masks.

  Attributes:
    index: its number in the file or folder, from 0.
    name: the stem of files that belong to it.
    file: the name of its image; where it is one of a video file, that which
      it would have.
    seconds: when it is shown; None where the video does not tell.
    image: RGB uint8 [H, W, 3].
    labels: uint8 [H, W], 0 = background.
    confidence: id -> how sure its mask is, 0..1; of objects of which it is
      known.
  """

  index: int
  name: str
  file: str
  seconds: float | None
  image: np.ndarray
  labels: np.ndarray
  confidence: Mapping[int, float]

  def seen(self, clip: Clip) -> Iterator[tuple[int, np.ndarray]]:
    """Yields id and mask, bool [H, W], of each object that it shows."""
    found = np.flatnonzero(np.bincount(self.labels.ravel(), minlength=256))
    for object_id in sorted(clip.objects):
      if object_id in found:
        yield object_id, self.labels == object_id

  def jpeg(self) -> bytes:
    """Returns its image as a file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode('.jpg', self.image[..., ::-1], quality)[1].tobytes()


# Path in the format's folder -> what is in it, part by part.
Files = Mapping[str, Iterable[bytes]]


class Rows:
  """Lines of text, kept compressed: there may be some of every frame."""

  def __init__(self):
    """There are none."""
    self._packed: list[bytes] = []

  def __len__(self) -> int:
    return len(self._packed)

  def add(self, line: str) -> None:
    """Takes the next line."""
    self._packed.append(zlib.compress(line.encode(), 1))

  def __iter__(self) -> Iterator[bytes]:
    return map(zlib.decompress, self._packed)

  def joined(self, between: bytes = b'\n') -> Iterator[bytes]:
    """Yields what a file is to hold: all lines, and what is between them."""
    for number, line in enumerate(self):
      yield between * (number > 0) + line


class Writer(abc.ABC):
  """Makes the files of one format of one video."""

  def __init__(self, clip: Clip):
    """Nothing is told yet."""
    self.clip = clip

  @abc.abstractmethod
  def add(self, frame: Frame) -> Files:
    """Takes the next frame; returns the files that are its own."""

  def end(self) -> Files:
    """Returns the files of all frames together; called once, after the last."""
    return {}


def printable(text: str) -> str:
  """Returns a text with ? for characters that some files can't hold."""
  return _UNPRINTABLE.sub('?', text)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
  """Returns a mask's box, (x, y, width, height), of bool [H, W]; pixels."""
  x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
  return x, y, width, height
