"""Label Studio tasks, one for each frame, with brush strokes as predictions.

https://labelstud.io/guide/predictions. Images are referenced as in a local
storage whose folder is the results folder.
"""

from collections.abc import Callable
import json
import re
from typing import Any
import urllib.parse
from xml.etree import ElementTree

import numpy as np

from savos_jax.annotations import brush
from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons
from savos_jax.annotations import shapes
from savos_jax.annotations import told as told_lib

TELLING = 'a label of its own for each object'
_MODEL = 'savos_jax'
_FROM, _TO = 'label', 'image'
# What it puts in front of the names of files that are uploaded.
_UPLOADED = re.compile('^[0-9a-f]{8}-')


def result(
  clip: clip_lib.Clip, frame: clip_lib.Frame, object_id: int, mask: np.ndarray
) -> dict[str, Any]:
  """Returns the result entry of an object in a frame."""
  told = {
    'id': f'{frame.index}_{object_id}',
    'type': 'brushlabels',
    'from_name': _FROM,
    'to_name': _TO,
    'original_width': clip.width,
    'original_height': clip.height,
    'image_rotation': 0,
    'value': {
      'format': 'rle',
      'rle': brush.encode(mask),
      'brushlabels': [clip.label(object_id)],
    },
  }
  if object_id in frame.confidence:
    told['score'] = round(frame.confidence[object_id], 4)
  return told


def config(clip: clip_lib.Clip) -> str:
  """Returns the labelling interface for the tasks."""
  view = ElementTree.Element('View')
  ElementTree.SubElement(view, 'Image', name=_TO, value='$image')
  tags = ElementTree.SubElement(view, 'BrushLabels', name=_FROM, toName=_TO)
  for label in clip.labels:
    ElementTree.SubElement(tags, 'Label', value=clip_lib.printable(label))
  ElementTree.indent(view)
  return ElementTree.tostring(view, encoding='unicode') + '\n'


class Writer(clip_lib.Writer):
  """tasks/FRAME.json, images/FRAME.jpg and config.xml."""

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Returns the frame's task and image."""
    found = [
      result(self.clip, frame, object_id, mask)
      for object_id, mask in frame.seen(self.clip)
    ]
    image = urllib.parse.quote(f'label_studio/images/{frame.name}.jpg')
    prediction = {'model_version': _MODEL, 'result': found}
    scores = [told['score'] for told in found if 'score' in told]
    if scores:
      prediction['score'] = round(sum(scores) / len(scores), 4)
    data = {'image': f'/data/local-files/?d={image}', 'frame': frame.index}
    task = {'data': data, 'predictions': [prediction]}
    return {
      f'tasks/{frame.name}.json': [json.dumps([task]).encode(), b'\n'],
      f'images/{frame.name}.jpg': [frame.jpeg()],
    }

  def end(self) -> clip_lib.Files:
    """Returns the labelling interface."""
    return {'config.xml': [config(self.clip).encode()]}


def read(path) -> list[shapes.Shape]:
  """Reads brush strokes and polygons of annotations, else of predictions.

  Raises:
    SavosError: the file cannot be read, or holds no tasks.
  """
  told = told_lib.read_json(path)
  tasks = [told] if isinstance(told.value, dict) else told.items()
  return [shape for task in tasks for shape in _task(task)]


def _task(task: told_lib.Told) -> list[shapes.Shape]:
  file = _file(task.field('data'))
  for kind in ('annotations', 'completions', 'predictions'):
    if not task.has(kind):
      continue
    # Of several people, the first.
    for told in task.field(kind).items():
      results = told.field('result').items()
      found = [shape for x in results for shape in _shapes(x, file)]
      if found:
        return found
  return []


def _file(data: told_lib.Told) -> str:
  """Returns the name of a task's image."""
  if not isinstance(data.value, dict):
    raise data.error('names and values')
  texts = [text for text in data.value.values() if isinstance(text, str)]
  text = data.value.get('image', texts[0] if texts else '')
  if not isinstance(text, str) or not text:
    raise data.field('image').error("the image's address")
  try:
    address = urllib.parse.urlsplit(text)
  except ValueError:  # A host that can't be.
    raise data.field('image').error("the image's address") from None
  asked = urllib.parse.parse_qs(address.query).get('d', [address.path])[0]
  folder, slash, name = urllib.parse.unquote(asked).rpartition('/')
  return folder + slash + _UPLOADED.sub('', name)


def _shapes(item: told_lib.Told, file: str) -> list[shapes.Shape]:
  kind = item.field('type').text()
  draw = {'brushlabels': _brush, 'polygonlabels': _polygon}.get(kind)
  if not draw:
    return []
  size = item.size('original_height', 'original_width')
  value = item.field('value')
  named = list(value.field(kind).items()) if value.has(kind) else []
  label = named[0].text() if named else 'object'
  drawing = draw(value, size)
  return [
    shapes.Shape(item.path, item.place, file, None, label, None, size, drawing)
  ]


def _brush(
  value: told_lib.Told, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  runs = value.field('rle')
  numbers = runs.numbers()
  data = [x for x in numbers if type(x) is int and 0 <= x < 256]
  if len(data) < len(numbers):
    raise runs.error('bytes, 0 to 255')
  return lambda: brush.decode(data, size)


def _polygon(
  value: told_lib.Told, size: tuple[int, int]
) -> Callable[[], np.ndarray]:
  """Corners are told in hundredths of width and height."""
  pairs = [pair.numbers() for pair in value.field('points').items()]
  if any(len(pair) != 2 for pair in pairs):
    raise value.field('points').error('corners, [x, y] each')
  corners = [x for pair in pairs for x in pair]
  scale = [size[1] / 100, size[0] / 100] * len(pairs)
  scaled = [x * by for x, by in zip(corners, scale, strict=True)]
  return lambda: polygons.fill([scaled], size)
