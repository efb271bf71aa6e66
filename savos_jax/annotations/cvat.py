"""CVAT for video 1.1: https://docs.cvat.ai/docs/other/xml_format.

Masks are exact. CVAT does not support tracks of masks and keeps only the first
mask of one, so each mask is a track of a single frame, as in CVAT's own files,
and the label identifies the object. Polygons are real tracks, one for each part
of an object, in one group.
"""

import abc
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax import saxutils

import numpy as np

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons
from savos_jax.annotations import rle
from savos_jax.annotations import shapes
from savos_jax.annotations import told as told_lib
from savos_jax.datasets import masks

FILE = 'annotations.xml'
TELLING = 'a track, a group or a label of its own for each object'
_NUMBER = 1 << 31

Element = ElementTree.Element


def _shape(tag: str, frame: int, outside: bool, **drawn: object) -> Element:
  state = {'keyframe': 1, 'outside': int(outside), 'occluded': 0}
  told = {'frame': frame, **state, **drawn, 'z_order': 0}
  return Element(tag, {name: str(value) for name, value in told.items()})


def mask_shape(frame: int, mask: np.ndarray) -> Element:
  """Returns the element of an object's mask, bool [H, W], in a frame."""
  x, y, width, height = clip_lib.box(mask)
  counts = rle.encode_rows(mask[y : y + height, x : x + width])
  runs = ', '.join(map(str, counts))
  place = {'left': x, 'top': y, 'width': width, 'height': height}
  return _shape('mask', frame, False, rle=runs, **place)


def polygon_shape(
  frame: int, corners: np.ndarray, outside: bool = False
) -> Element:
  """Returns the element of an object's polygon, float64 [N, 2], in a frame."""
  points = ';'.join(f'{x:.2f},{y:.2f}' for x, y in corners)
  return _shape('polygon', frame, outside, points=points)


def _track(
  clip: clip_lib.Clip, object_id: int, number: int, drawn: Iterable[bytes]
) -> Iterator[bytes]:
  """Yields a track with the texts of its shapes."""
  told = {
    'id': number,
    'label': clip.label(object_id),
    'source': 'auto',
    'group_id': object_id,
  }
  named = (f' {name}={saxutils.quoteattr(str(x))}' for name, x in told.items())
  yield f'<track{"".join(named)}>\n'.encode()
  yield from drawn
  yield b'\n</track>\n'


def _text(shape: Element) -> str:
  return ElementTree.tostring(shape, encoding='unicode')


class _Writer(clip_lib.Writer):
  """One file."""

  def __init__(self, clip: clip_lib.Clip):
    super().__init__(clip)
    self._frames = 0

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Adds a frame."""
    self._frames = frame.index + 1
    self._add(frame)
    return {}

  @abc.abstractmethod
  def _add(self, frame: clip_lib.Frame) -> None:
    """Keeps what is in a frame."""

  @abc.abstractmethod
  def _tracks(self) -> Iterator[bytes]:
    """Yields the tracks of all frames."""

  def end(self) -> clip_lib.Files:
    """Returns the file."""
    return {FILE: self._parts()}

  def _parts(self) -> Iterator[bytes]:
    yield b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n'
    yield f'<version>1.1</version>\n{self._meta()}\n'.encode()
    yield from self._tracks()
    yield b'</annotations>\n'

  def _meta(self) -> str:
    """Returns what CVAT says of the task, as far as it is known here."""
    meta = Element('meta')
    task = ElementTree.SubElement(meta, 'task')
    told = {
      'name': clip_lib.printable(self.clip.name),
      'size': self._frames,
      'mode': 'interpolation',
      'start_frame': 0,
      'stop_frame': max(0, self._frames - 1),
    }
    for name, value in told.items():
      ElementTree.SubElement(task, name).text = str(value)
    labels = ElementTree.SubElement(task, 'labels')
    for name in self.clip.labels:
      label = ElementTree.SubElement(labels, 'label')
      ElementTree.SubElement(label, 'name').text = name
      ElementTree.SubElement(label, 'attributes')
    size = ElementTree.SubElement(task, 'original_size')
    ElementTree.SubElement(size, 'width').text = str(self.clip.width)
    ElementTree.SubElement(size, 'height').text = str(self.clip.height)
    return ElementTree.tostring(meta, encoding='unicode')


class Masks(_Writer):
  """Writes a track for each mask."""

  def __init__(self, clip: clip_lib.Clip):
    """Starts without frames."""
    super().__init__(clip)
    self._ids: list[int] = []
    self._drawn = clip_lib.Rows()

  def _add(self, frame: clip_lib.Frame) -> None:
    for object_id, mask in frame.seen(self.clip):
      shape = mask_shape(frame.index, mask)
      # What else would last to the end of the video; it holds no pixel.
      box = {name: shape.get(name) for name in ('left', 'top')}
      ends = _shape(
        'mask', frame.index + 1, True, rle='1', **box, width=1, height=1
      )
      self._ids.append(object_id)
      self._drawn.add(f'{_text(shape)}\n{_text(ends)}')

  def _tracks(self) -> Iterator[bytes]:
    pairs = zip(self._ids, self._drawn, strict=True)
    for number, (object_id, drawn) in enumerate(pairs):
      yield from _track(self.clip, object_id, number, [drawn])


class Polygons(_Writer):
  """Writes a track for each part of an object, in order of size."""

  def __init__(self, clip: clip_lib.Clip):
    """Starts without frames."""
    super().__init__(clip)
    self._drawn: dict[tuple[int, int], clip_lib.Rows] = {}
    self._last: dict[tuple[int, int], np.ndarray] = {}

  def _add(self, frame: clip_lib.Frame) -> None:
    now = {
      (object_id, part): corners
      for object_id, mask in frame.seen(self.clip)
      for part, corners in enumerate(polygons.outlines(mask))
    }
    drawn = {
      key: polygon_shape(frame.index, corners) for key, corners in now.items()
    }
    for key in self._last.keys() - now.keys():
      drawn[key] = polygon_shape(frame.index, self._last[key], outside=True)
    for key, shape in drawn.items():
      self._drawn.setdefault(key, clip_lib.Rows()).add(_text(shape))
    self._last = now

  def _tracks(self) -> Iterator[bytes]:
    for number, key in enumerate(sorted(self._drawn)):
      rows = self._drawn[key].joined()
      yield from _track(self.clip, key[0], number, rows)


def read(path) -> list[shapes.Shape]:
  """Reads masks and polygons of keyframes; skips other shapes.

  Raises:
    SavosError: the file cannot be read, or is not in CVAT's format.
  """
  root = told_lib.read_xml(path)
  if root.tag != 'annotations':
    raise told_lib.error(
      path,
      f'an XML of <{root.tag}>.',
      'Expected one of CVAT: "CVAT for video 1.1" or "CVAT for images 1.1".',
    )
  found = []
  for track in root.iter('track'):
    found += _read_track(path, track, root)
  for image in root.iter('image'):
    found += _read_image(path, image)
  return found


class _Attributes:
  """The attributes of an element, which are not believed."""

  def __init__(self, path, element: Element, place: str):
    self.path, self.place = path, f'{place}<{element.tag}>'
    self._values = element.attrib

  def get(self, name: str) -> told_lib.Told:
    place = f'{name} of {self.place}'
    return told_lib.Told(self.path, self._values.get(name), place)

  def whole(self, name: str, least: int, most: int) -> int:
    told = self.get(name)
    try:
      value = int(told.text())
    except ValueError:
      raise told.error('a whole number') from None
    return told_lib.Told(self.path, value, told.place).whole(least, most)

  def numbers(self, name: str, separators: str, kind: type) -> list:
    told = self.get(name)
    text = told.text()
    for separator in separators:
      text = text.replace(separator, ' ')
    try:
      values = [kind(part) for part in text.split()]
    except ValueError:
      raise told.error('numbers') from None
    return told_lib.Told(self.path, values, told.place).numbers()

  def group(self) -> int | None:
    """Returns the number of the group; 0: none."""
    known = self.get('group_id').value is not None
    return (self.whole('group_id', 0, _NUMBER) if known else 0) or None


def _size(path, element: Element, root: Element) -> tuple[int, int]:
  """Returns the size of the frames of a video."""
  found = root.find('.//original_size')
  if found is None:
    raise told_lib.error(
      path,
      'no <original_size>, which tells the size of the frames.',
      'Expected a complete file of CVAT, as it exports it.',
    )
  told = {x.tag: x.text or '' for x in found if x.tag in ('width', 'height')}
  return _size_of(_Attributes(path, Element('original_size', told), ''))


def _size_of(told: _Attributes) -> tuple[int, int]:
  height = told.whole('height', 1, masks.MOST_PIXELS)
  return height, told.whole('width', 1, masks.MOST_PIXELS // height)


def _read_track(path, track: Element, root: Element) -> list[shapes.Shape]:
  told = _Attributes(path, track, '')
  label = told.get('label').text()
  size = _size(path, track, root)
  drawn = [
    element
    for element in track
    if element.tag in _DRAWN
    and element.get('keyframe', '1') == '1'
    and element.get('outside', '0') == '0'
  ]
  # A track of one mask is what CVAT makes of a mask: no track.
  single = len(drawn) == 1 and drawn[0].tag == 'mask'
  identity = told.group()
  if identity is None and not single:
    # Apart from groups, which have numbers of their own.
    identity = -1 - told.whole('id', 0, _NUMBER)
  found = []
  for element in drawn:
    attributes = _Attributes(path, element, f'track {track.get("id")}, ')
    frame = attributes.whole('frame', 0, _NUMBER)
    attributes.place += f' of frame {frame}'
    draw = _DRAWN[element.tag](attributes, size)
    found.append(
      shapes.Shape(
        path, attributes.place, '', frame, label, identity, size, draw
      )
    )
  return found


def _read_image(path, image: Element) -> list[shapes.Shape]:
  told = _Attributes(path, image, '')
  size, file = _size_of(told), told.get('name').text()
  found = []
  for element in image:
    if element.tag in _DRAWN:
      attributes = _Attributes(path, element, f'{file}, ')
      found.append(
        shapes.Shape(
          path,
          attributes.place,
          file,
          None,
          attributes.get('label').text(),
          attributes.group(),
          size,
          _DRAWN[element.tag](attributes, size),
        )
      )
  return found


def _mask(told: _Attributes, size: tuple[int, int]) -> Callable[[], np.ndarray]:
  counts = told.numbers('rle', ',', int)
  height = told.whole('height', 1, size[0])
  width = told.whole('width', 1, size[1])
  top = told.whole('top', 0, size[0] - height)
  left = told.whole('left', 0, size[1] - width)

  def draw() -> np.ndarray:
    mask = np.zeros(size, bool)
    inside = rle.decode_rows(counts, (height, width))
    mask[top : top + height, left : left + width] = inside
    return mask

  return draw


def _polygon(
  told: _Attributes, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  corners = told.numbers('points', ',;', float)
  return lambda: polygons.fill([corners], size)


_DRAWN = {'mask': _mask, 'polygon': _polygon}
