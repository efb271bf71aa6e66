"""Files for other programs, which an interruption leaves no trace in."""

import json

import numpy as np
import pytest

from savos_jax.annotations import formats
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.video import annotation_files
from savos_jax.video import annotation_sinks
from savos_jax.video import excerpts
from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.video import video_file
from tests import drawn_clips
from tests import tiny_videos

OBJECTS = {1: 'car', 2: '', 7: ''}


@pytest.fixture
def video(tmp_path):
  (tmp_path / 'clip').mkdir()
  tiny_videos.write(tmp_path / 'clip')
  for path in (tmp_path / 'clip').glob('mask*'):
    path.unlink()
  return sources.open_video(tmp_path / 'clip')


def tell(sink, video, numbers):
  for number in numbers:
    shown = video_file.Shown(number, None, video.frame(number))
    labels = drawn_clips.labels(number)[: video.height, : video.width]
    sink.write(sinks.Segmented(shown, labels, None, {1: 0.25 * number}))


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file() and '.savos_jax' not in path.name
  }


@pytest.mark.parametrize('name', formats.FORMATS)
def test_the_same_bytes_after_an_interruption(tmp_path, video, name):
  made = []
  for times in ([4], [2, 4], [4, 4]):
    out = tmp_path / f'out{len(made)}'
    for done, more in zip([0, *times], times, strict=False):
      with files.claimed(out):
        sink = annotation_sinks.Annotations(out, name, video, OBJECTS)
        assert sink.begin(done) == 0
        tell(sink, video, range(more))
        if more == 4:
          sink.finish()
    made.append(contents(out))
  assert made[0]
  assert made[0] == made[1] == made[2]
  assert all(path.startswith(f'{name}/') for path in made[0])


def test_frames_are_named_as_their_files(tmp_path, video):
  sink = annotation_sinks.Annotations(tmp_path, 'coco', video, OBJECTS)
  sink.begin(0)
  tell(sink, video, range(4))
  sink.finish()
  text = (tmp_path / 'coco' / 'annotations.json').read_text()
  assert '"file_name": "00003.png"' in text
  assert '"name": "object_2"' in text


def test_frames_of_a_part_have_the_numbers_of_the_whole(tmp_path, video):
  part = excerpts.part(video, first=1, every=2)
  sink = annotation_sinks.Annotations(tmp_path, 'csv', part, {1: ''})
  sink.begin(0)
  tell(sink, part, range(2))
  sink.finish()
  rows = (tmp_path / 'csv' / 'table.csv').read_text().splitlines()[1:]
  told = [row.split(',')[:2] for row in rows]
  assert told == [['1', '00001'], ['3', '00003']]
  frames = annotation_files.frames_of(part)
  numbered = [frames.find('', number) for number in range(4)]
  assert numbered == [None, 0, None, 1]
  assert [frames.find(f'0000{n}.png', None) for n in (2, 3)] == [None, 1]


def test_a_new_video_leaves_no_file_of_an_earlier_one(tmp_path, video):
  out = tmp_path / 'out'
  with files.claimed(out):
    sink = annotation_sinks.Annotations(out, 'labelme', video, OBJECTS)
    sink.begin(0)
    tell(sink, video, range(4))
    (out / 'labelme' / 'mine.json').write_text('{}')
    sink.begin(0)
    tell(sink, video, range(1))
  left = sorted(path.name for path in (out / 'labelme').iterdir())
  assert left == ['00000.jpg', '00000.json', 'mine.json']


def test_a_file_of_somebody_else_is_not_replaced(tmp_path, video):
  out = tmp_path / 'out'
  with files.claimed(out):
    sink = annotation_sinks.Annotations(out, 'csv', video, OBJECTS)
    sink.begin(0)
    (out / 'csv').mkdir()
    (out / 'csv' / 'table.csv').write_text('mine')
    with pytest.raises(errors.SavosError, match=r'csv/table\.csv'):
      sink.finish()


def test_masks_of_annotations_are_of_the_video_size(tmp_path, video):
  path = tmp_path / 'snapshot.json'
  corners = [[20, 10], [60, 10], [60, 30], [20, 30]]
  shape = {'label': 'car', 'shape_type': 'polygon', 'points': corners}
  size = {'imageHeight': 2 * video.height, 'imageWidth': 2 * video.width}
  told = {'imagePath': 'snapshot.jpg', 'shapes': [shape], **size}
  path.write_text(json.dumps(told))
  with pytest.raises(errors.SavosError, match='--resize_mask'):
    annotation_files.read(video, [f'2={path}'])
  found = annotation_files.read(video, [f'2={path}'], resize=True)
  assert found.names == {1: 'car'}
  assert list(found.labels) == [2]
  expected = np.zeros((video.height, video.width), np.uint8)
  expected[5:15, 10:30] = 1
  np.testing.assert_array_equal(found.labels[2], expected)
  assert annotation_files.read(video, []).labels == {}
