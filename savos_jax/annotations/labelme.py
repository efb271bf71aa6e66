"""labelme's JSON, one file for each frame: https://github.com/wkentaro/labelme.

Masks are written as shapes of type `mask`, a PNG inside a box: labelme's
polygons have no holes, and an object in several parts would become several
shapes.
"""

import base64
import binascii
from collections.abc import Callable
import json
import pathlib
from typing import Any

import cv2
import numpy as np

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons
from savos_jax.annotations import shapes
from savos_jax.annotations import told as told_lib
from savos_jax.datasets import masks
from savos_jax.foundation import errors

TELLING = 'a group_id, the same for one object in all frames'
_VERSION = '5.5.0'  # Whose keys these are.
_MOST_GROUP = 1 << 31


def shape(
  clip: clip_lib.Clip, frame: clip_lib.Frame, object_id: int, mask: np.ndarray
) -> dict[str, Any]:
  """Returns the shape of an object in a frame."""
  x, y, width, height = clip_lib.box(mask)
  inside = mask[y : y + height, x : x + width].astype(np.uint8) * 255
  png = cv2.imencode('.png', inside)[1].tobytes()
  sure = frame.confidence.get(object_id)
  return {
    'label': clip.objects[object_id],
    'points': [[x, y], [x + width - 1, y + height - 1]],
    'group_id': object_id,
    'description': '' if sure is None else f'confidence {sure:.4f}',
    'shape_type': 'mask',
    'flags': {},
    'mask': base64.b64encode(png).decode('ascii'),
  }


class Writer(clip_lib.Writer):
  """FRAME.json and FRAME.jpg."""

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Returns both."""
    told: dict[str, Any] = {
      'version': _VERSION,
      'flags': {},
      'shapes': [
        shape(self.clip, frame, object_id, mask)
        for object_id, mask in frame.seen(self.clip)
      ],
      'imagePath': f'{frame.name}.jpg',
      'imageData': None,
      'imageHeight': self.clip.height,
      'imageWidth': self.clip.width,
    }
    text = json.dumps(told, indent=1) + '\n'
    return {
      f'{frame.name}.json': [text.encode()],
      f'{frame.name}.jpg': [frame.jpeg()],
    }


def read(path) -> list[shapes.Shape]:
  """Reads masks and polygons; skips other shapes.

  Raises:
    SavosError: the file cannot be read, or is not in labelme's format.
  """
  told = told_lib.read_json(path)
  size = told.size('imageHeight', 'imageWidth')
  named = told.has('imagePath')
  file = told.field('imagePath').text() if named else pathlib.Path(path).name
  found = []
  for item in told.field('shapes').items():
    kind = item.field('shape_type')
    draw = {'polygon': _polygon, 'mask': _mask}.get(kind.text())
    if draw:
      group = item.field('group_id')
      identity = None if group.value is None else group.whole(0, _MOST_GROUP)
      label = item.field('label').text()
      drawing = draw(item, size)
      found.append(
        shapes.Shape(
          item.path, item.place, file, None, label, identity, size, drawing
        )
      )
  return found


def _polygon(
  item: told_lib.Told, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  corners = [x for pair in item.field('points').items() for x in pair.numbers()]
  return lambda: polygons.fill([corners], size)


def _mask(
  item: told_lib.Told, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  corners = [pair.numbers() for pair in item.field('points').items()]
  if [len(corner) for corner in corners] != [2, 2]:
    raise item.field('points').error('two corners of a box')
  text = item.field('mask').text()
  x, y = (round(value) for value in corners[0])

  def draw() -> np.ndarray:
    inside = _decode(text)
    height, width = inside.shape
    if min(x, y) < 0 or y + height > size[0] or x + width > size[1]:
      raise ValueError(
        f'a mask of {width}x{height} pixels at ({x}, {y}) in a picture of '
        f'{size[1]}x{size[0]}'
      )
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = inside
    return mask

  return draw


def _decode(text: str) -> np.ndarray:
  """Returns the mask, bool [h, w], of a PNG in base64."""
  try:
    image = masks.decode_image(base64.b64decode(text, validate=True), 'mask')
  except (binascii.Error, errors.SavosError) as problem:
    raise ValueError(str(problem).splitlines()[0].rstrip('.')) from None
  return np.asarray(image.convert('L')) > 0
