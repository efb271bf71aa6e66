"""First masks out of files of other programs, which are not believed."""

import base64
import copy
import io
import json
import logging

import cv2
import numpy as np
from PIL import Image
import pytest

from savos_jax.annotations import formats
from savos_jax.annotations import reading
from savos_jax.annotations import shapes
from savos_jax.annotations import told
from savos_jax.foundation import errors
from tests import drawn_clips

SIZE = drawn_clips.SIZE
CLIP = shapes.Frames('some clip', {number: number for number in range(4)})
SQUARE = [[4, 3, 14, 3, 14, 13, 4, 13]]  # 10x10 pixels at (4, 3).


def square(x=4, y=3, number=1):
  labels = np.zeros(SIZE, np.uint8)
  labels[y : y + 10, x : x + 10] = number
  return labels


def save(folder, content, name='told.json'):
  path = folder / name
  if not isinstance(content, str | bytes):
    content = json.dumps(content)
  path.write_bytes(content.encode() if isinstance(content, str) else content)
  return path


def coco(*annotations, **image):
  """An image of frame 2, and annotations of category 5, a cat."""
  first = {'id': 8, 'file_name': 'some clip/00002.jpg'}
  first |= {'height': SIZE[0], 'width': SIZE[1]} | image
  drawn = {'image_id': 8, 'category_id': 5, 'segmentation': SQUARE}
  return {
    'images': [first],
    'annotations': [drawn | told for told in annotations or [{}]],
    'categories': [{'id': 5, 'name': 'cat'}],
  }


def labelme(*drawn, path='00002.jpg'):
  corners = np.reshape(SQUARE, (-1, 2)).tolist()
  shape = {'label': 'cat', 'shape_type': 'polygon', 'points': corners}
  return {
    'shapes': [shape | told for told in drawn or [{}]],
    'imagePath': path,
    'imageHeight': SIZE[0],
    'imageWidth': SIZE[1],
  }


def cvat(inside, size=SIZE):
  return (
    '<?xml version="1.0"?><annotations><version>1.1</version><meta><task>'
    f'<original_size><width>{size[1]}</width><height>{size[0]}</height>'
    f'</original_size></task></meta>{inside}</annotations>'
  )


def polygon(frame, x=4, y=3, **more):
  told = {'keyframe': 1, 'outside': 0, **more}
  corners = [(x, y), (x + 10, y), (x + 10, y + 10), (x, y + 10)]
  points = ';'.join(f'{a:.2f},{b:.2f}' for a, b in corners)
  told = ' '.join(f'{name}="{value}"' for name, value in told.items())
  return f'<polygon frame="{frame}" points="{points}" {told}/>'


def label_studio(*results, image='/data/upload/3/0a1b2c3d-frame_2.png'):
  drawn = {
    'type': 'polygonlabels',
    'original_height': SIZE[0],
    'original_width': SIZE[1],
    'value': {
      'points': [[25, 25], [50, 25], [50, 50], [25, 50]],
      'polygonlabels': ['cat'],
    },
  }
  results = [drawn | told for told in results or [{}]]
  return [{'data': {'image': image}, 'annotations': [{'result': results}]}]


@pytest.mark.parametrize(
  ('name', 'exact', 'ids'),
  [
    ('coco', True, (1, 2, 7)),
    ('coco_polygons', False, (1, 2, 7)),
    ('labelme', True, (1, 2, 7)),
    ('cvat', True, (1, 2, 7)),
    ('cvat_polygons', False, (1, 2, 7)),
    ('label_studio', True, (1, 2, 3)),  # Labels only; they come in this order.
  ],
)
def test_what_is_written_is_read_again(tmp_path, name, exact, ids):
  writer = formats.writer(name, drawn_clips.clip())
  files = {}
  for frame in drawn_clips.frames():
    files |= writer.add(frame)
  files |= writer.end()
  paths = [
    save(tmp_path, b''.join(parts), path.rpartition('/')[2])
    for path, parts in files.items()
    if reading.is_annotations(path) and 'config' not in path
  ]
  found = reading.read(paths, CLIP)
  assert list(found.labels) == [0, 1, 2, 3]
  assert tuple(found.names) == ids
  assert [found.names[i].split()[0] for i in ids] == ['car', 'dog', 'dog']
  for number, labels in found.labels.items():
    expected = np.zeros(SIZE, np.uint8)
    for told_as, drawn_as in zip(ids, (1, 2, 7), strict=True):
      expected[drawn_clips.labels(number) == drawn_as] = told_as
    if exact:
      np.testing.assert_array_equal(labels, expected)
    assert np.count_nonzero(labels != expected) < 0.05 * (expected > 0).sum()


def test_objects_without_numbers_keep_those_of_their_names(tmp_path):
  names = {3: '', 200: ''}
  writer = formats.writer('label_studio', drawn_clips.clip(names))
  frame = copy.copy(drawn_clips.frames()[0])
  object.__setattr__(frame, 'labels', square(number=200) + square(20, 3, 3))
  (path,) = (p for p in writer.add(frame) if p.startswith('tasks'))
  path = save(tmp_path, b''.join(writer.add(frame)[path]))
  found = reading.read([path], CLIP)
  assert found.names == {3: 'object_3', 200: 'object_200'}
  np.testing.assert_array_equal(found.labels[0], frame.labels)


@pytest.mark.parametrize(
  'content',
  [
    coco(),
    coco(file_name='frame_000002.PNG'),
    coco({'iscrowd': 1, 'attributes': {'track_id': 0}}),
    coco({'segmentation': {
      'size': list(SIZE),
      'counts': [4 * 40 + 3, *[10, 30] * 9, 10, 27 + 50 * 40],
    }}),
    labelme(),
    labelme({'group_id': 900}, path='C:\\somewhere\\00002.jpg'),
    cvat(f'<track id="0" label="cat">{polygon(2)}{polygon(3, outside=1)}'
         f'{polygon(1, keyframe=0)}</track>'),
    cvat('<image id="7" name="frame_000002" width="64" height="40">'
         + polygon(0, label='cat').replace('<polygon frame="0"', '<polygon')
         + '</image>'),
  ],
  ids=['coco', 'coco name', 'coco of cvat', 'coco counts', 'labelme',
       'labelme group', 'cvat track', 'cvat image'],
)  # fmt: skip
def test_forms_of_a_square(tmp_path, content):
  name = 'told.xml' if isinstance(content, str) else 'told.json'
  found = reading.read([save(tmp_path, content, name)], CLIP)
  assert found.names == {1: 'cat'}
  assert list(found.labels) == [2]
  np.testing.assert_array_equal(found.labels[2], square())


def test_a_polygon_of_label_studio(tmp_path):
  found = reading.read([save(tmp_path, label_studio())], CLIP)
  expected = np.zeros(SIZE, np.uint8)
  expected[10:20, 16:32] = 1
  assert found.names == {1: 'cat'}
  np.testing.assert_array_equal(found.labels[2], expected)
  other = {'type': 'rectanglelabels'}
  with pytest.raises(errors.SavosError, match='no mask or polygon'):
    reading.read([save(tmp_path, label_studio(other))], CLIP)


def test_two_of_a_kind_in_one_frame(tmp_path):
  right = {
    'segmentation': [[x + 20 * (k % 2 == 0) for k, x in enumerate(SQUARE[0])]]
  }
  expected = square() + square(24, 3, 2)
  found = reading.read([save(tmp_path, coco({}, right))], CLIP)
  assert found.names == {1: 'cat', 2: 'cat'}
  np.testing.assert_array_equal(found.labels[2], expected)
  together = save(tmp_path, coco({'track_id': 4}, right | {'track_id': 4}))
  found = reading.read([together], CLIP)
  np.testing.assert_array_equal(found.labels[2], 4 * (expected > 0))
  corners = np.reshape(right['segmentation'], (-1, 2)).tolist()
  found = reading.read([save(tmp_path, labelme({}, {'points': corners}))], CLIP)
  np.testing.assert_array_equal(found.labels[2], expected)


def test_frames_are_found_by_name(tmp_path, caplog):
  first, second = coco(), coco(file_name='some clip/00003.jpg', id=9)
  second['annotations'][0]['image_id'] = 9
  other = {'id': 1, 'file_name': 'other/00000.jpg', 'height': 9, 'width': 9}
  both = {key: first[key] + second[key] for key in ('images', 'annotations')}
  both['images'].append(other)
  both['annotations'].append(
    {'image_id': 1, 'segmentation': [[0, 0, 5, 0, 5, 5]]}
  )
  path = save(tmp_path, both)
  assert list(reading.read([path], CLIP).labels) == [2, 3]
  stems = {'00003': 17, 'last': 18}
  with caplog.at_level(logging.WARNING):
    folder = shapes.Frames('frames', {}, stems)
    assert list(reading.read([path], folder).labels) == [17]
  assert '00002.jpg' in caplog.text
  single = save(tmp_path, labelme(path='snapshot.png'), 'single.json')
  assert list(reading.read([single], folder).labels) == [0]
  named = save(tmp_path, labelme(path='00003.jpg'), 'named.json')
  assert list(reading.read([named], CLIP, [1]).labels) == [1]
  both_given = [save(tmp_path, labelme(path='a.jpg'), 'a.json'), named]
  assert list(reading.read(both_given, CLIP, [2, None]).labels) == [2, 3]
  with pytest.raises(errors.SavosError, match=r'a\.jpg.*\n.*12=FILE'):
    reading.read(both_given, CLIP)
  with pytest.raises(errors.SavosError, match='of 3 pictures'):
    reading.read([path], CLIP, [1])


def test_a_later_shape_lies_over_an_earlier_one(tmp_path, caplog):
  dog = {'label': 'dog', 'points': [[4, 3], [9, 3], [9, 13], [4, 13]]}
  with caplog.at_level(logging.WARNING):
    found = reading.read([save(tmp_path, labelme({}, dog))], CLIP)
  expected = square()
  expected[3:13, 4:9] = 2
  np.testing.assert_array_equal(found.labels[2], expected)
  assert 'shapes[1]' in caplog.text


def png(mask):
  return base64.b64encode(cv2.imencode('.png', mask)[1]).decode()


def bomb():
  """A mask of 50 kB, and some 400 million pixels."""
  file = io.BytesIO()
  Image.new('1', (20_000, 20_000)).save(file, 'PNG')
  return base64.b64encode(file.getvalue()).decode()


BAD = {
  'nothing': ('', ['no JSON']),
  'half': ('{"images": [', ['no JSON']),
  'nested': ('[' * 200_000, ['nested too deeply']),
  'a number': ('5', ['known annotations']),
  'other keys': ('{"a": 1}', ['known annotations', 'COCO']),
  'not a number': ('{"images": [NaN], "annotations": []}', ['NaN']),
  'not UTF-8': (b'\xff\xfe\xfa', ['no JSON']),
  'images of no list': ({'images': 3, 'annotations': []}, ['images is 3']),
  'no images': ({'annotations': [{}]}, ['images is missing']),
  'nothing drawn': (coco({'segmentation': None}), ['no mask']),
  'no such image': (coco({'image_id': 9}), ['annotations[0].image_id is 9']),
  'a list as id': (coco({'image_id': [9]}), ['annotations[0].image_id']),
  'no file name': (coco(file_name=None), ['images[0].file_name is missing']),
  'a large image': (coco(height=10**6, width=10**6), ['images[0].width']),
  'height of text': (coco(height='40'), ["images[0].height is '40'"]),
  'no such frame': (
    {**coco(), 'images': coco()['images'] + coco(id=9, file_name='x')['images'],
     'annotations': coco({}, {'image_id': 9})['annotations']},
    [],
  ),
  'few corners': (coco({'segmentation': [[1, 2, 3, 4]]}), ['4 numbers']),
  'no corners': (coco({'segmentation': []}), ['no polygon']),
  'corners of text': (coco({'segmentation': [['a'] * 6]}), ['list of numbers']),
  'a long outline': (
    coco({'segmentation': [[0, 0, 64, 40] * 100_000]}), ['outline'],
  ),
  'outside': (
    coco({'segmentation': [[99, 99, 120, 99, 120, 120]]}), ['visible'],
  ),
  'another size': (
    coco({'segmentation': {'size': [9, 9], 'counts': '0'}}), ['[40, 64]'],
  ),
  'too few counts': (
    coco({'segmentation': {'size': list(SIZE), 'counts': '5'}}), ['5 pixels'],
  ),
  'too many counts': (
    coco({'segmentation': {'size': list(SIZE), 'counts': [9999]}}), ['longer'],
  ),
  'counts below 0': (
    coco({'segmentation': {'size': list(SIZE), 'counts': [-1, 2561]}}),
    ['below 0'],
  ),
  'counts of fractions': (
    coco({'segmentation': {'size': list(SIZE), 'counts': [2559.5, 0.5]}}),
    ['integers'],
  ),
  'huge counts': (
    coco({'segmentation': {'size': list(SIZE), 'counts': [10**400]}}), [''],
  ),
  'damaged counts': (
    coco({'segmentation': {'size': list(SIZE), 'counts': 'oooooooooo1'}}),
    ['no compressed run lengths'],
  ),
  'no counts': (
    coco({'segmentation': {'size': list(SIZE)}}), ['counts is missing'],
  ),
  'a track of text': (coco({'track_id': 'a'}), ["track_id is 'a'"]),
  'no shapes': ({**labelme(), 'shapes': 3}, ['shapes is 3']),
  'no size': ({'shapes': []}, ['imageHeight is missing']),
  'points of one': (labelme({'points': [[1]] * 3}), ['3 numbers']),
  'no label': (labelme({'label': None}), ['shapes[0].label is missing']),
  'a mask without a box': (
    labelme({'shape_type': 'mask', 'mask': 'AA', 'points': [[1, 2]]}),
    ['two corners'],
  ),
  'a mask of no PNG': (
    labelme({'shape_type': 'mask', 'mask': 'AAAA', 'points': [[1, 2], [2, 3]]}),
    ['not an image'],
  ),
  'a mask out of the picture': (
    labelme({
      'shape_type': 'mask', 'mask': png(np.full((9, 9), 255, np.uint8)),
      'points': [[60, 2], [68, 10]],
    }),
    ['9x9', '64x40'],
  ),
  'a bomb': (
    labelme({'shape_type': 'mask', 'mask': bomb(), 'points': [[1, 2], [2, 3]]}),
    ['too many pixels'],
  ),
  'no task': ([3], ['[0] is 3']),
  'no image': ([{'data': {}, 'annotations': [{}]}], ['data.image is']),
  'no host': (label_studio(image='http://[x/0.png'), ["'http://[x/0.png'"]),
  'a kind of no text': (label_studio({'type': {}}), ['type is {}']),
  'a shape of no text': (labelme({'shape_type': []}), ['shape_type is []']),
  'no runs': (
    label_studio({'type': 'brushlabels', 'value': {}}), ['rle is missing'],
  ),
  'runs of text': (
    label_studio({'type': 'brushlabels', 'value': {'rle': [1, 999]}}),
    ['0 to 255'],
  ),
  'runs that end': (
    label_studio({'type': 'brushlabels', 'value': {'rle': [0, 0, 40, 0, 57]}}),
    ['end early'],
  ),
  'runs of another size': (
    label_studio({'type': 'brushlabels', 'value': {'rle': [255] * 40}}),
    ['instead of 2560'],
  ),
}  # fmt: skip


@pytest.mark.parametrize('kind', BAD)
def test_bad_json_is_explained(tmp_path, kind):
  content, words = BAD[kind]
  if kind == 'no such frame':
    content['images'][1]['file_name'] = '00009.jpg'
    content['images'][0]['file_name'] = 'x.jpg'
    words = ['none of its 2 pictures', '00012.jpg']
  _refused(save(tmp_path, content), words)


def _refused(path, words):
  with pytest.raises(errors.SavosError) as caught:
    reading.read([path], CLIP)
  message = str(caught.value)
  assert message.startswith(f'{path}: ')
  assert '\n  Expected ' in message
  for word in words:
    assert word in message


TRACK = '<track id="0" label="a">{}</track>'
MASK = (
  '<track id="0" label="a"><mask frame="0" rle="{}" left="{}" top="0" '
  'width="{}" height="2"/></track>'
)
BAD_XML = {
  'nothing': ('', ['no XML']),
  'half': ('<annotations><track>', ['no XML']),
  'other': ('<html/>', ['<html>', 'CVAT']),
  'entities': (
    '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>',
    ['entities'],
  ),
  'another file': (
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    '<annotations>&b;</annotations>',
    ['entities'],
  ),
  'no shape': (cvat('<track id="0" label="a"/>'), ['no mask']),
  'boxes': (cvat(TRACK.format('<box frame="0"/>')), ['Boxes']),
  'no size': (
    f'<annotations>{TRACK.format(polygon(0))}</annotations>',
    ['original_size'],
  ),
  'no label': (cvat(f'<track id="0">{polygon(0)}</track>'), ['label']),
  'no id': (cvat(f'<track label="a">{polygon(0)}</track>'), ['id of <track>']),
  'a large size': (
    cvat(TRACK.format(polygon(0)), (10**6, 10**6)),
    ['width'],
  ),
  'no such frame': (
    cvat(TRACK.format(polygon(4))), ['none of its 1 pictures', 'frame 4'],
  ),
  'a frame of text': (
    cvat(TRACK.format(polygon('x'))), ["'x'"],
  ),
  'points of text': (
    cvat(TRACK.format(polygon(0, x=float('nan')))),
    ['list of numbers'],
  ),
  'points of words': (
    cvat(TRACK.format(polygon(0).replace('4.00', 'a'))),
    ['Expected numbers'],
  ),
  'wide mask': (cvat(MASK.format('0,4', 0, 999)), ['from 1 to 64']),
  'mask outside': (cvat(MASK.format('0,4', 63, 2)), ['from 0 to 62']),
  'short runs': (cvat(MASK.format('0,3', 0, 2)), ['3 pixels instead of 4']),
  'huge runs': (cvat(MASK.format('9' * 30, 0, 2)), ['']),
  'an empty mask': (cvat(MASK.format('4', 0, 2)), ['nothing of it']),
}  # fmt: skip


@pytest.mark.parametrize('kind', BAD_XML)
def test_bad_xml_is_explained(tmp_path, kind):
  content, words = BAD_XML[kind]
  _refused(save(tmp_path, content, 'told.xml'), words)


def test_objects_that_nothing_tells_apart(tmp_path):
  first, second = coco({}, {}), coco(file_name='some clip/00003.jpg', id=9)
  second['annotations'][0]['image_id'] = 9
  both = {key: first[key] + second[key] for key in first}
  _refused(save(tmp_path, both), ["'cat' in frame 2", 'track_id'])
  paths = [
    save(tmp_path, labelme({}, {}), 'a.json'),
    save(tmp_path, labelme(path='00003.jpg'), 'b.json'),
  ]
  with pytest.raises(errors.SavosError, match='group_id'):
    reading.read(paths, CLIP)


def test_files_of_two_formats(tmp_path):
  paths = [save(tmp_path, labelme()), save(tmp_path, coco(), 'other.json')]
  with pytest.raises(errors.SavosError, match='another format'):
    reading.read(paths, CLIP)


def test_limits(tmp_path, monkeypatch):
  path = save(tmp_path, coco())
  monkeypatch.setattr(shapes, '_MOST_BYTES', 100)
  _refused(path, ['1 frames with masks'])
  monkeypatch.setattr(shapes, '_MOST_SHAPES', 0)
  _refused(path, ['1 shapes'])
  monkeypatch.setattr(told, '_MOST_BYTES', 100)
  _refused(path, ['at most 0 MB'])
  _refused(tmp_path / 'absent.json', ['no such file'])
