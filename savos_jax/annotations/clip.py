"""The input of the writers: a video's frames with their masks."""

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
    name: the video's name, without a suffix.
    height: of the frames, pixels.
    width: of the frames, pixels.
    objects: id, 1..254 -> name; several objects may share a name.
  """

  name: str
  height: int
  width: int
  objects: Mapping[int, str]

  @functools.cached_property
  def categories(self) -> tuple[str, ...]:
    """The distinct names of the objects, in the order of their ids."""
    return tuple(dict.fromkeys(self.objects[i] for i in sorted(self.objects)))

  def category(self, object_id: int) -> int:
    """Returns the index of an object's name in `categories`."""
    return self.categories.index(self.objects[object_id])

  def label(self, object_id: int) -> str:
    """Returns a name that is unique to this object."""
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
    name: the stem of the files that belong to it.
    file: the name of its image, or the name it would have in a video file.
    seconds: its timestamp; None if the video has none.
    image: RGB uint8 [H, W, 3].
    labels: uint8 [H, W], 0 = background.
    confidence: id -> confidence of its mask, 0..1, where it is known.
  """

  index: int
  name: str
  file: str
  seconds: float | None
  image: np.ndarray
  labels: np.ndarray
  confidence: Mapping[int, float]

  def seen(self, clip: Clip) -> Iterator[tuple[int, np.ndarray]]:
    """Yields id and mask, bool [H, W], of each visible object."""
    found = np.flatnonzero(np.bincount(self.labels.ravel(), minlength=256))
    for object_id in sorted(clip.objects):
      if object_id in found:
        yield object_id, self.labels == object_id

  def jpeg(self) -> bytes:
    """Returns the image as the bytes of a JPEG file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode('.jpg', self.image[..., ::-1], quality)[1].tobytes()


# Path in the format's folder -> what is in it, part by part.
Files = Mapping[str, Iterable[bytes]]


class Rows:
  """Lines of text, kept compressed, since every frame may add some."""

  def __init__(self):
    """Starts without lines."""
    self._packed: list[bytes] = []

  def __len__(self) -> int:
    return len(self._packed)

  def add(self, line: str) -> None:
    """Adds a line."""
    self._packed.append(zlib.compress(line.encode(), 1))

  def __iter__(self) -> Iterator[bytes]:
    return map(zlib.decompress, self._packed)

  def joined(self, between: bytes = b'\n') -> Iterator[bytes]:
    """Yields the content of a file: all lines, joined by a separator."""
    for number, line in enumerate(self):
      yield between * (number > 0) + line


class Writer(abc.ABC):
  """Writes one video in one format."""

  def __init__(self, clip: Clip):
    """Starts without frames."""
    self.clip = clip

  @abc.abstractmethod
  def add(self, frame: Frame) -> Files:
    """Adds the next frame; returns the files that belong to it alone."""

  def end(self) -> Files:
    """Returns the files about the whole video; called once, at the end."""
    return {}


def printable(text: str) -> str:
  """Replaces characters that some formats cannot hold by question marks."""
  return _UNPRINTABLE.sub('?', text)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
  """Returns the bounding box (x, y, width, height) of bool [H, W], pixels."""
  x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
  return x, y, width, height
