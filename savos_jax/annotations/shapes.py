"""Converts drawn shapes into labels of frames."""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging
import math
import os
import pathlib
import re

import numpy as np

from savos_jax.annotations import told as told_lib

logger = logging.getLogger(__name__)

MOST_OBJECTS = 254
_MOST_SHAPES = 1 << 16
_MOST_BYTES = 1 << 30  # Of labels.
_SHOWN = 3  # Names in a message.
_OVERLAP = 0.1  # An object that loses more than this is worth a word.
_NUMBER = re.compile(r'(\d{1,9})$', re.ASCII)
_NAMED = re.compile(r'object_(\d{1,3})', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Frames:
  """The frames of a video, by the names that annotations use.

  Attributes:
    name: of the video.
    numbers: frame number in the file or folder -> frame number in the selected
      part, both from 0.
    stems: for a folder of images, name without suffix -> frame number in the
      selected part. None: a video file, whose frames are named by number.
  """

  name: str
  numbers: Mapping[int, int]
  stems: Mapping[str, int] | None = None

  def find(self, file: str, number: int | None) -> int | None:
    """Returns the frame of an image or number, if there is one."""
    if number is not None:
      return self.numbers.get(number)
    stem = pathlib.PurePosixPath(file.replace('\\', '/')).stem
    if self.stems is not None:
      return self.stems.get(stem)
    found = _NUMBER.search(stem)
    return self.numbers.get(int(found[1])) if found else None


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
  """A drawn shape.

  Attributes:
    path: the file it is from.
    place: where it is in the file, for messages.
    file: the name of the frame's image; '' if it has none.
    frame: the frame number, from 0; None: `file` identifies the frame.
    label: its name.
    identity: identifies its object in all frames; None: the label does.
    size: (height, width) of the picture it was drawn on.
    draw: returns the mask, bool [H, W]; may raise ValueError.
  """

  path: str | os.PathLike
  place: str
  file: str
  frame: int | None
  label: str
  identity: int | None
  size: tuple[int, int]
  draw: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Found:
  """The content of annotations.

  Attributes:
    labels: frame number, from 0 -> labels uint8 [H, W], of the size stated in
      the file, with at least one object.
    names: id of each object -> name.
  """

  labels: Mapping[int, np.ndarray]
  names: Mapping[int, str]


def frames_of(
  path,
  shapes: Sequence[Shape],
  frames: Frames,
  *,
  given: int | None = None,
  alone: bool = False,
) -> list[tuple[int, Shape]]:
  """Assigns shapes to frames; drops those of other videos.

  Args:
    path: the file they are from.
    shapes: all shapes of the file.
    frames: of the video.
    given: the frame of its only picture, whatever its name.
    alone: whether a single picture whose name matches no frame is the first
      frame.

  Raises:
    SavosError: there is no shape, none belongs to a frame of the video, or
      several pictures claim one frame.
  """
  if not shapes:
    raise told_lib.error(
      path,
      'no mask or polygon.',
      'Expected at least one: it defines what to follow. Boxes, points and '
      'lines are not enough.',
    )
  pictures = {(shape.file, shape.frame) for shape in shapes}
  if given is not None:
    if len(pictures) > 1:
      raise told_lib.error(
        path,
        f'of {len(pictures)} pictures, as the mask of one frame.',
        'Expected one picture; or no frame in front of the file, which names '
        'its frames itself.',
      )
    return [(given, shape) for shape in shapes]
  inside = [shape for shape in shapes if _folder(shape.file) == frames.name]
  found = []
  others: dict[str, None] = {}  # As a set, in order.
  for shape in inside or shapes:
    index = frames.find(shape.file, shape.frame)
    if index is not None:
      found.append((index, shape))
    else:
      others[shape.file or f'frame {shape.frame}'] = None
  if alone and not found and len(pictures) == 1 and shapes[0].frame is None:
    return [(0, shape) for shape in shapes]
  named = ', '.join(list(others)[:_SHOWN])
  if not found:
    raise told_lib.error(
      path,
      f'none of its {len(others)} pictures is a frame of {frames.name}: '
      f'{named}.',
      'Expected names as those of the images in the folder, or for a video '
      'file the number of the frame, from 0, as 00012.jpg; or the frame in '
      'front of the file, as 12=FILE.',
    )
  if others:
    logger.warning(
      '%s: %d pictures are not frames of %s and are skipped: %s',
      path, len(others), frames.name, named,
    )  # fmt: skip
  return found


def _folder(file: str) -> str:
  return pathlib.PurePosixPath(file.replace('\\', '/')).parent.name


def _keys(found: Sequence[tuple[int, Shape]], telling: str) -> list[Hashable]:
  """Tells the object of each shape: one key an object."""
  keys: list[Hashable] = []
  single = len({index for index, _ in found}) == 1
  seen: dict[tuple[int, str], Shape] = {}
  for number, (index, shape) in enumerate(found):
    if shape.identity is not None:
      keys.append(shape.identity)
      continue
    if (index, shape.label) not in seen:
      seen[index, shape.label] = shape
      keys.append(shape.label)
    elif single:
      keys.append((shape.label, number))
    else:
      raise told_lib.error(
        shape.path,
        f'{seen[index, shape.label].place} and {shape.place} are both '
        f'{shape.label!r} in frame {index}, and nothing identifies them in '
        'other frames.',
        f'Expected {telling}.',
      )
  return keys


def _ids(path, keys: Sequence[Hashable]) -> dict[Hashable, int]:
  """Numbers objects: as the file does, where that is possible."""
  distinct = list(dict.fromkeys(keys))
  if len(distinct) > MOST_OBJECTS:
    raise told_lib.error(
      path, f'{len(distinct)} objects.', f'Expected at most {MOST_OBJECTS}.'
    )
  wanted = [key if type(key) is int else _named(key) for key in distinct]
  kept = all(1 <= number <= MOST_OBJECTS for number in wanted)
  if not kept or len(set(wanted)) < len(wanted):
    wanted = range(1, len(distinct) + 1)
  return dict(zip(distinct, wanted, strict=True))


def _named(key: Hashable) -> int:
  """Returns the number in a name as the writers give; 0 in any other."""
  number = _NAMED.fullmatch(key) if isinstance(key, str) else None
  return int(number[1]) if number else 0


def _paint(drawn: Sequence[tuple[int, Shape]]) -> np.ndarray:
  """Lays the shapes of a frame, each with its object's id, over each other."""
  size = drawn[0][1].size
  labels = np.zeros(size, np.uint8)
  for object_id, shape in drawn:
    if shape.size != size:
      raise told_lib.error(
        shape.path,
        f'{drawn[0][1].place} is drawn on {size[1]}x{size[0]} pixels, '
        f'{shape.place} on {shape.size[1]}x{shape.size[0]}.',
        'Expected one size in a frame.',
      )
    try:
      mask = shape.draw()
    except ValueError as problem:
      raise told_lib.error(
        shape.path,
        f'{shape.place}: {problem}.',
        'Expected a mask or an outline inside of the picture: export it again.',
      ) from None
    area = np.count_nonzero(mask)
    below = labels[mask]
    covered = np.count_nonzero((below > 0) & (below != object_id))
    if covered > _OVERLAP * area:
      logger.warning(
        '%s: %s covers %.0f %% of its place of others: the later shape wins',
        shape.path, shape.place, 100 * covered / area,
      )  # fmt: skip
    labels[mask] = object_id
  for object_id, shape in drawn:
    if not (labels == object_id).any():
      raise told_lib.error(
        shape.path,
        f'{shape.place}: nothing of it is visible.',
        'Expected a visible part of every object: it is empty, or later '
        'shapes cover it.',
      )
  return labels


def to_labels(found: Sequence[tuple[int, Shape]], telling: str) -> Found:
  """Returns the labels of all frames with shapes.

  Args:
    found: shapes with their frames, as `frames_of`; at least one.
    telling: the field of the format that identifies objects, for messages.

  Raises:
    SavosError: an object cannot be identified, or a shape is damaged.
  """
  path = found[0][1].path
  if len(found) > _MOST_SHAPES:
    raise told_lib.error(
      path, f'{len(found)} shapes.', f'Expected at most {_MOST_SHAPES}.'
    )
  keys = _keys(found, telling)
  ids = _ids(path, keys)
  names = {ids[key]: s.label for key, (_, s) in zip(keys, found, strict=True)}
  grouped: dict[int, list[tuple[int, Shape]]] = {}
  for key, (index, shape) in zip(keys, found, strict=True):
    grouped.setdefault(index, []).append((ids[key], shape))
  total = sum(math.prod(drawn[0][1].size) for drawn in grouped.values())
  if total > _MOST_BYTES:
    raise told_lib.error(
      path,
      f'{len(grouped)} frames with masks, of {total / 1e9:.1f} GB.',
      f'Expected at most {_MOST_BYTES / 1e9:.1f} GB: export some frames only.',
    )
  labels = {index: _paint(grouped[index]) for index in sorted(grouped)}
  return Found(labels, dict(sorted(names.items())))
