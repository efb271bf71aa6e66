"""Masks in the files of other programs, read as those read them."""

import base64
import io
import json
from xml.etree import ElementTree

import cv2
import jsonschema
import numpy as np
from PIL import Image
from pycocotools import coco as coco_api
from pycocotools import mask as coco_mask
import pytest
import yaml

from savos_jax.annotations import brush
from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import formats
from savos_jax.annotations import polygons
from savos_jax.annotations import rle
from savos_jax.datasets import masks
from savos_jax.evaluation import categories
from savos_jax.foundation import errors
from tests import drawn_clips

SIZE = drawn_clips.SIZE


def written(name, folder=None):
  """Returns the files of the drawn clip; in a folder, too, if there is one."""
  writer = formats.writer(name, drawn_clips.clip())
  files = {}
  for frame in drawn_clips.frames():
    files |= writer.add(frame)
  files |= writer.end()
  files = {path: b''.join(parts) for path, parts in files.items()}
  for path, content in files.items() if folder else ():
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
  return files


def real_masks(savos_data):
  """Yields masks of objects in real frames, of every data set."""
  for folder in ('DAVIS/Annotations', 'DAVIS17-240p/Annotations', 'stills'):
    paths = sorted((savos_data / folder).rglob('*.png'))
    for path in paths[::97]:
      labels = masks.read_mask(path)
      for object_id in np.unique(labels[labels > 0]):
        yield labels == object_id


def iou(a, b):
  return np.count_nonzero(a & b) / max(1, np.count_nonzero(a | b))


def test_runs_and_strokes_of_real_masks_are_exact(savos_data):
  count = 0
  for mask in real_masks(savos_data):
    counts = rle.encode(mask)
    expected = coco_mask.encode(np.asfortranarray(mask))
    assert counts == expected['counts'].decode()
    for found in (
      rle.decode(counts, mask.shape),
      rle.decode_rows(rle.encode_rows(mask), mask.shape),
      brush.decode(brush.encode(mask), mask.shape),
    ):
      np.testing.assert_array_equal(found, mask)
    count += 1
  assert count > 50


def test_polygons_of_real_masks_are_within_a_pixel(savos_data):
  for mask in real_masks(savos_data):
    drawn = [corners.ravel() for corners in polygons.outlines(mask)]
    found = polygons.fill(drawn, mask.shape)
    assert iou(found, mask) > 0.95
    wide = np.ones((3, 3), np.uint8)
    grown, shrunk = (
      change(mask.astype(np.uint8), wide) for change in (cv2.dilate, cv2.erode)
    )
    assert not (found & (grown == 0)).any()
    assert not ((shrunk > 0) & ~found).any()


@pytest.mark.parametrize('value', [False, True])
def test_masks_of_one_kind_alone(value):
  mask = np.full((300, 90), value)
  assert (rle.decode(rle.encode(mask), mask.shape) == value).all()
  assert (rle.decode_rows(rle.encode_rows(mask), mask.shape) == value).all()
  assert (brush.decode(brush.encode(mask), mask.shape) == value).all()
  assert len(polygons.outlines(mask)) == value


def test_strokes_are_those_of_label_studio():
  """Made by label_studio_sdk 2.1.2: converter.brush.encode_rle."""
  mask = np.zeros((6, 11), bool)
  mask[1:4, 2:9] = True
  mask[2, 4:6] = False
  expected = [
    0, 0, 1, 8, 57, 27, 254, 51, 0, 195, 127, 247, 192, 39, 255, 156, 2, 223,
    253, 240, 12, 55, 255, 151, 192, 0,
  ]  # fmt: skip
  assert brush.encode(mask) == expected
  np.testing.assert_array_equal(brush.decode(expected, mask.shape), mask)


@pytest.mark.parametrize('name', ['coco', 'coco_polygons'])
def test_coco_by_its_own_library(tmp_path, capsys, name):
  written(name, tmp_path)
  api = coco_api.COCO(str(tmp_path / 'annotations.json'))
  assert [c['name'] for c in api.loadCats(api.getCatIds())] == [
    'car', 'dog', 'object_9',
  ]  # fmt: skip
  for number in range(4):
    labels = drawn_clips.labels(number)
    image = api.loadImgs(number + 1)[0]
    assert image['file_name'] == f'{number:05d}.png'
    assert (image['height'], image['width']) == SIZE
    found = api.loadAnns(api.getAnnIds(imgIds=number + 1))
    assert [a['track_id'] for a in found] == list(np.unique(labels[labels > 0]))
    for told in found:
      mask = labels == told['track_id']
      drawn = api.annToMask(told)
      if name == 'coco':
        np.testing.assert_array_equal(drawn, mask)
      assert iou(drawn > 0, mask) > 0.95
      assert told['area'] == mask.sum()
      assert told['bbox'] == list(cv2.boundingRect(mask.astype(np.uint8)))
      assert told['iscrowd'] == 0
      car = told['track_id'] == 1
      assert told['category_id'] == (1 if car else 2)
      assert told.get('score') == (0.5 + round(number / 8, 4) if car else None)


def test_mots_lines():
  ((path, content),) = written('mots').items()
  assert path == 'some clip.txt'
  found = {}
  for line in content.decode().splitlines():
    frame, number, kind, height, width, counts = line.split(' ')
    assert (int(height), int(width)) == SIZE
    assert int(number) // 1000 == int(kind) == (1 if number == '1001' else 2)
    runs = {'size': list(SIZE), 'counts': counts.encode()}
    mask = coco_mask.decode(runs).astype(bool)
    labels = found.setdefault(int(frame), np.zeros(SIZE, np.uint8))
    assert not labels[mask].any()
    labels[mask] = int(number) % 1000
  assert sorted(found) == [1, 2, 3, 4]
  for number in range(4):
    np.testing.assert_array_equal(found[number + 1], drawn_clips.labels(number))


def test_youtube_vos_as_a_data_set(tmp_path):
  for split in ('train', 'valid'):
    written('youtube_vos', tmp_path / split)
  meta = json.loads((tmp_path / 'valid' / 'meta.json').read_text())
  objects = meta['videos']['some clip']['objects']
  assert objects['2'] == {'category': 'dog', 'frames': ['00000', '00001']}
  assert list(objects) == ['1', '2', '7']
  kinds = categories.read(tmp_path / 'valid')
  assert kinds == dict.fromkeys(
    ('some clip_1', 'some clip_2', 'some clip_7'), 'seen'
  )
  for number in range(4):
    path = tmp_path / f'valid/Annotations/some clip/{number:05d}.png'
    with Image.open(path) as image:
      assert image.mode == 'P'
    np.testing.assert_array_equal(
      masks.read_mask(path), drawn_clips.labels(number)
    )


# What labelme's loader asks of a file (labelme 6.3.1, which reads them too).
_LABELME = {
  'type': 'object',
  'required': ['imagePath', 'imageData', 'shapes', 'imageHeight', 'imageWidth'],
  'properties': {
    'imagePath': {'type': 'string'},
    'imageHeight': {'const': SIZE[0]},
    'imageWidth': {'const': SIZE[1]},
    'shapes': {
      'type': 'array',
      'items': {
        'type': 'object',
        'required': ['label', 'points', 'shape_type'],
        'properties': {
          'label': {'type': 'string'},
          'shape_type': {'const': 'mask'},
          'group_id': {'type': ['integer', 'null']},
          'description': {'type': 'string'},
          'flags': {'type': 'object'},
          'mask': {'type': 'string'},
          'points': {
            'type': 'array',
            'minItems': 2,
            'maxItems': 2,
            'items': {
              'type': 'array',
              'items': {'type': 'number'},
              'minItems': 2,
              'maxItems': 2,
            },
          },
        },
      },
    },
  },
}


def test_labelme_keeps_holes_and_parts():
  files = written('labelme')
  for number in range(4):
    told = json.loads(files[f'{number:05d}.json'])
    jsonschema.validate(told, _LABELME)
    image = Image.open(io.BytesIO(files[told['imagePath']]))
    assert image.size == SIZE[::-1]
    labels = np.zeros(SIZE, np.uint8)
    for shape in told['shapes']:
      (x0, y0), (x1, y1) = shape['points']
      mask = np.array(Image.open(io.BytesIO(base64.b64decode(shape['mask']))))
      assert mask.shape == (y1 - y0 + 1, x1 - x0 + 1)
      labels[y0 : y1 + 1, x0 : x1 + 1][mask > 0] = shape['group_id']
    np.testing.assert_array_equal(labels, drawn_clips.labels(number))
  assert told['shapes'][0]['description'] == 'confidence 0.8750'


def _cvat_meta(root):
  """Checks what CVAT says of a task in front of the tracks."""
  assert root.tag == 'annotations'
  assert [child.tag for child in root[:2]] == ['version', 'meta']
  assert root.findtext('version') == '1.1'
  task = root.find('meta/task')
  assert task.findtext('mode') == 'interpolation'
  assert task.findtext('size') == '4'
  size = [task.findtext(f'original_size/{x}') for x in ('height', 'width')]
  assert tuple(map(int, size)) == SIZE
  labels = [label.findtext('name') for label in task.iter('label')]
  tracks = root.findall('track')
  assert {track.get('label') for track in tracks} <= set(labels)
  assert [track.get('id') for track in tracks] == [
    str(number) for number in range(len(tracks))
  ]


def test_cvat_masks_are_tracks_of_one_frame():
  """As CVAT writes them: of a longer one it would read the first mask alone."""
  root = ElementTree.fromstring(written('cvat')['annotations.xml'])
  _cvat_meta(root)
  found = np.zeros((4, *SIZE), np.uint8)
  for track in root.iter('track'):
    first, last = track
    assert (first.tag, first.get('keyframe')) == ('mask', '1')
    assert [x.get('outside') for x in track] == ['0', '1']
    assert int(last.get('frame')) == int(first.get('frame')) + 1
    assert set(first.keys()) == {
      'frame', 'keyframe', 'outside', 'occluded', 'rle', 'left', 'top',
      'width', 'height', 'z_order',
    }  # fmt: skip
    left, top, width, height = (
      int(first.get(name)) for name in ('left', 'top', 'width', 'height')
    )
    inside, value = [], False
    for run in first.get('rle').split(','):
      inside += [value] * int(run)
      value = not value
    place = found[int(first.get('frame')), top : top + height]
    mask = np.reshape(inside, (height, width))
    place[:, left : left + width][mask] = int(track.get('group_id'))
    expected = {'1': 'car', '2': 'dog 2', '7': 'dog 7'}
    assert track.get('label') == expected[track.get('group_id')]
  for number in range(4):
    np.testing.assert_array_equal(found[number], drawn_clips.labels(number))


def test_cvat_polygons_are_tracks_that_end():
  root = ElementTree.fromstring(written('cvat_polygons')['annotations.xml'])
  _cvat_meta(root)
  parts = [track.get('group_id') for track in root.iter('track')]
  assert parts == ['1', '2', '2', '7']
  found = np.zeros((4, 8, *SIZE), bool)
  for track in root.iter('track'):
    state = ''.join(shape.get('outside') for shape in track)
    assert (
      state == {'1': '0000', '2': '001', '7': '0100'}[track.get('group_id')]
    )
    for shape in track:
      if shape.get('outside') == '0':
        pairs = [x.split(',') for x in shape.get('points').split(';')]
        corners = np.array(pairs, float).ravel()
        frame, number = int(shape.get('frame')), int(track.get('group_id'))
        found[frame, number] |= polygons.fill([corners], SIZE)
  for number in range(4):
    labels = drawn_clips.labels(number)
    for object_id in np.unique(labels[labels > 0]):
      assert iou(found[number, object_id], labels == object_id) > 0.95


def test_label_studio_tasks():
  """As its guide on predictions has them."""
  files = written('label_studio')
  config = ElementTree.fromstring(files['config.xml'])
  image, brushes = config.find('Image'), config.find('BrushLabels')
  assert brushes.get('toName') == image.get('name')
  names = [label.get('value') for label in brushes]
  assert names == ['car', 'dog 2', 'dog 7', 'object_9']
  for number in range(4):
    (task,) = json.loads(files[f'tasks/{number:05d}.json'])
    assert image.get('value') == '$image'
    asked = '/data/local-files/?d=label_studio/'
    assert files[task['data']['image'].removeprefix(asked)][:2] == b'\xff\xd8'
    (prediction,) = task['predictions']
    assert prediction['score'] == 0.5 + round(number / 8, 4)
    labels = np.zeros(SIZE, np.uint8)
    for result in prediction['result']:
      assert result['type'] == 'brushlabels'
      assert result['from_name'] == brushes.get('name')
      assert result['to_name'] == image.get('name')
      assert result['value']['format'] == 'rle'
      size = result['original_height'], result['original_width']
      (name,) = result['value']['brushlabels']
      mask = brush.decode(result['value']['rle'], size)
      labels[mask] = (1, 2, 7)[names.index(name)]
    np.testing.assert_array_equal(labels, drawn_clips.labels(number))


@pytest.mark.parametrize('whole', [np.trunc, np.round])
def test_yolo_lines(whole):
  files = written('yolo')
  told = yaml.safe_load(files['data.yaml'])
  assert told['names'] == {0: 'car', 1: 'dog', 2: 'object_9'}
  assert told['train'] == told['val'] == 'images/train'
  for number in range(4):
    labels = drawn_clips.labels(number)
    assert f'images/train/{number:05d}.jpg' in files
    found = np.zeros((2, *SIZE), np.uint8)
    for line in files[f'labels/train/{number:05d}.txt'].decode().splitlines():
      kind, *shares = line.split(' ')
      corners = np.array(shares, float).reshape(-1, 2)
      assert len(corners) > 2
      assert (corners >= 0).all()
      assert (corners <= 1).all()
      # As Ultralytics does, and as supervision does.
      corners = whole(corners * SIZE[::-1]).astype(np.int32)
      cv2.fillPoly(found[int(kind)], [corners], 1)
    np.testing.assert_array_equal(found[0], labels == 1)
    np.testing.assert_array_equal(found[1], (labels == 2) | (labels == 7))


@pytest.mark.parametrize('finer', [1, 2])
def test_a_pixel_and_a_line_have_corners(finer):
  mask = np.zeros((9, 9), bool)
  mask[1, 1] = mask[5, 2:8] = mask[7, 8] = True
  parts = polygons.outlines(mask, finer)
  assert all(len(corners) > 2 for corners in parts)
  assert len(parts) == 3


def test_a_table_tells_of_every_object_in_every_frame():
  text = written('csv')['table.csv'].decode()
  head, *rows = [line.split(',') for line in text.splitlines()]
  assert len(rows) == 4 * 4
  table = [dict(zip(head, row, strict=True)) for row in rows]
  car, dog, line, never = table[4:8]
  assert (car['frame'], car['name'], car['time']) == ('1', '00001', '0.04')
  assert car['label'] == 'car'
  assert car['confidence'] == '0.625'
  mask = drawn_clips.labels(1) == 1
  assert int(car['area']) == mask.sum()
  assert [int(car[x]) for x in ('x', 'y', 'width', 'height')] == [7, 5, 24, 20]
  y, x = np.argwhere(mask).mean(0) + 0.5
  assert float(car['center_x']) == pytest.approx(x, abs=0.01)
  assert float(car['center_y']) == pytest.approx(y, abs=0.01)
  assert dog['confidence'] == ''
  for row in (line, never):
    assert row['seen'] == 'False'
    assert row['area'] == '0'
    assert {row[x] for x in ('x', 'y', 'width', 'height', 'center_x')} == {''}


def test_parquet_is_the_same_table():
  parquet = pytest.importorskip('pyarrow.parquet')
  file = io.BytesIO(written('parquet')['table.parquet'])
  rows = parquet.read_table(file).to_pylist()
  text = written('csv')['table.csv'].decode()
  head, *lines = [line.split(',') for line in text.splitlines()]
  assert [list(row) for row in rows] == [head] * len(lines)
  for row, line in zip(rows, lines, strict=True):
    assert ['' if x is None else str(x) for x in row.values()] == line
  assert rows[0]['seen'] is True
  assert isinstance(rows[0]['area'], int)


def test_parquet_without_its_library(monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'pyarrow', None)
  with pytest.raises(errors.SavosError, match=r'savos_jax\[parquet\]'):
    formats.writer('parquet', drawn_clips.clip())


def test_names_of_files_that_no_text_can_hold():
  names = {1: clip_lib.printable('a\x00b\udce9'), 2: '=1+1'}
  assert names[1] == 'a?b?'
  for name in formats.FORMATS:
    writer = formats.writer(name, drawn_clips.clip(names))
    writer.add(drawn_clips.frames()[0])
    assert writer.end() is not None


@pytest.mark.parametrize('name', formats.FORMATS)
def test_a_video_without_anything_to_see(name):
  writer = formats.writer(name, drawn_clips.clip())
  for path, parts in writer.end().items():
    content = b''.join(parts)
    if path.endswith('.json'):
      json.loads(content)
    elif path.endswith('.xml'):
      ElementTree.fromstring(content)
