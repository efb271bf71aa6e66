"""COCO's instances: https://cocodataset.org/#format-data.

Each distinct name is a category. `track_id` (the object's id) and `score` (the
confidence of its mask) are extensions, which other programs use or ignore.
"""

from collections.abc import Callable
from collections.abc import Iterator
import json
from typing import Any

import numpy as np

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons
from savos_jax.annotations import rle
from savos_jax.annotations import shapes
from savos_jax.annotations import told as told_lib

FILE = 'annotations.json'
TELLING = 'track_id (or instance_id, object_id) in each annotation'
_IDENTITIES = ('track_id', 'instance_id', 'object_id')
_MOST_IDENTITY = 1 << 31


def as_runs(mask: np.ndarray) -> dict[str, Any]:
  """Returns a segmentation as compressed run lengths, without loss."""
  return {'size': list(mask.shape), 'counts': rle.encode(mask)}


def as_polygons(mask: np.ndarray) -> list[list[float]]:
  """Returns a segmentation as polygons, accurate to a pixel."""
  return [corners.ravel().tolist() for corners in polygons.outlines(mask)]


def annotation(
  clip: clip_lib.Clip,
  frame: clip_lib.Frame,
  object_id: int,
  mask: np.ndarray,
  segmentation: Any,
) -> dict[str, Any]:
  """Returns the annotation of an object in a frame, without its id."""
  told = {
    'image_id': frame.index + 1,
    'category_id': clip.category(object_id) + 1,
    'track_id': object_id,
    'segmentation': segmentation,
    'area': int(np.count_nonzero(mask)),
    'bbox': list(clip_lib.box(mask)),
    'iscrowd': 0,
  }
  if object_id in frame.confidence:
    told['score'] = round(frame.confidence[object_id], 4)
  return told


def _list(name: str, rows: clip_lib.Rows) -> Iterator[bytes]:
  yield f'"{name}": [\n'.encode()
  yield from rows.joined(b',\n')
  yield b'\n]'


class Writer(clip_lib.Writer):
  """Writes one file for the whole video."""

  def __init__(
    self, clip: clip_lib.Clip, segmentation: Callable[[np.ndarray], Any]
  ):
    """Sets how masks are encoded: by `as_runs` or `as_polygons`."""
    super().__init__(clip)
    self._segmentation = segmentation
    self._images = clip_lib.Rows()
    self._annotations = clip_lib.Rows()

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Adds a record for the frame and one for each object in it."""
    image = {
      'id': frame.index + 1,
      'file_name': frame.file,
      'height': self.clip.height,
      'width': self.clip.width,
      'frame_index': frame.index,
    }
    self._images.add(json.dumps(image))
    for object_id, mask in frame.seen(self.clip):
      drawn = self._segmentation(mask)
      told = annotation(self.clip, frame, object_id, mask, drawn)
      told = {'id': len(self._annotations) + 1, **told}
      self._annotations.add(json.dumps(told))
    return {}

  def end(self) -> clip_lib.Files:
    """Returns the file."""
    return {FILE: self._parts()}

  def _parts(self) -> Iterator[bytes]:
    categories = clip_lib.Rows()
    for number, name in enumerate(self.clip.categories, 1):
      told = {'id': number, 'name': name, 'supercategory': 'object'}
      categories.add(json.dumps(told))
    yield b'{"info": ' + json.dumps({'description': self.clip.name}).encode()
    for name, rows in (
      ('images', self._images),
      ('annotations', self._annotations),
      ('categories', categories),
    ):
      yield b',\n'
      yield from _list(name, rows)
    yield b'}\n'


def with_runs(clip: clip_lib.Clip) -> Writer:
  """Makes a writer of compressed run lengths."""
  return Writer(clip, as_runs)


def with_polygons(clip: clip_lib.Clip) -> Writer:
  """Makes a writer of polygons."""
  return Writer(clip, as_polygons)


def read(path) -> list[shapes.Shape]:
  """Reads the segmented shapes.

  Raises:
    SavosError: the file cannot be read, or is not in COCO's instance format.
  """
  told = told_lib.read_json(path)
  names = {}
  if told.has('categories'):
    for item in told.field('categories').items():
      names[_id(item.field('id'))] = item.field('name').text()
  images = {_id(x.field('id')): x for x in told.field('images').items()}
  found = []
  for item in told.field('annotations').items():
    if item.has('segmentation'):
      image = item.field('image_id')
      if _id(image) not in images:
        raise image.error('the id of one of its images')
      found.append(_shape(item, images[_id(image)], names))
  return found


def _id(told: told_lib.Told) -> int | str:
  if not isinstance(told.value, int | str):
    raise told.error('a number or a text')
  return told.value


def _shape(
  item: told_lib.Told, image: told_lib.Told, names: dict[int | str, str]
) -> shapes.Shape:
  category = _id(item.field('category_id')) if item.has('category_id') else ''
  size = image.size('height', 'width')
  return shapes.Shape(
    item.path,
    item.place,
    image.field('file_name').text(),
    None,
    names.get(category, str(category)) or 'object',
    _identity(item),
    size,
    _drawing(item.field('segmentation'), size),
  )


def _identity(item: told_lib.Told) -> int | None:
  """Returns the number of the object; CVAT has it among its attributes."""
  inside = item.field('attributes') if item.has('attributes') else item
  for place in (item, inside):
    for name in _IDENTITIES:
      if place.has(name):
        return place.field(name).whole(0, _MOST_IDENTITY)
  return None


def _drawing(
  drawn: told_lib.Told, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  """Returns what makes the mask of a segmentation."""
  if isinstance(drawn.value, list):
    polygons_ = [item.numbers() for item in drawn.items()]
    return lambda: polygons.fill(polygons_, size)
  stated = drawn.field('size').numbers()
  if stated != list(size):
    raise drawn.field('size').error(f'{list(size)}, as its image')
  counts = drawn.field('counts')
  if not isinstance(counts.value, str | list):
    raise counts.error('run lengths')
  if isinstance(counts.value, list):
    counts.numbers()
  return lambda: rle.decode(counts.value, size)
