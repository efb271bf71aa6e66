"""DAVIS folders of every form open; every broken one says what is wrong."""

import shutil

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from tests import davis_folders

_images = davis_folders.images
_annotations = davis_folders.annotations
_load_error = davis_folders.load_error


def test_records_2017(davis_folder):
  root = davis_folder(
    splits={'train': 2, 'val': 1},
    frames=5,
    size=[(36, 48), (30, 52), (40, 44)],
    objects=[3, 1, 2],
  )
  train = davis.load(root, 'train')
  assert [s.name for s in train] == ['train0', 'train1']
  assert [s.object_ids for s in train] == [(1, 2, 3), (1,)]
  assert [(s.height, s.width) for s in train] == [(36, 48), (30, 52)]
  assert [len(s) for s in train] == [5, 5]
  assert not any(s.merge_objects for s in train)
  (val,) = davis.load(str(root), 'val')
  assert (val.name, val.object_ids) == ('val0', (1, 2))
  assert (val.height, val.width) == (40, 44)


def test_frames_and_labels_are_the_files(davis_folder):
  root = davis_folder(splits={'train': 1}, objects=2)
  (sequence,) = davis.load(root, 'train')
  for t in range(4):
    frame_file = _images(root) / f'{t:05d}.jpg'
    mask_file = _annotations(root) / f'{t:05d}.png'
    assert sequence.frames[t] == frame_file
    assert sequence.masks[t] == mask_file
    frame, labels = sequence.frame(t), sequence.labels(t)
    assert frame.dtype == labels.dtype == np.uint8
    assert frame.shape == (36, 48, 3)
    with Image.open(frame_file) as image:
      np.testing.assert_array_equal(frame, image)
    with Image.open(mask_file) as image:
      np.testing.assert_array_equal(labels, image)
    assert set(np.unique(labels)) == {0, 1, 2}


@pytest.mark.parametrize('mode', ['P', 'Lids', 'L255', 'LA'])
def test_mask_modes_2016(davis_folder, mode):
  """One object a sequence, in whatever form and with however many ids."""
  root = davis_folder(splits={'val': 1}, objects=3, mode=mode, year='2016')
  reference = davis_folder(folder='P', splits={'val': 1}, objects=3)
  (sequence,) = davis.load(root, 'val', year='2016')
  (expected,) = davis.load(reference, 'val')
  assert sequence.object_ids == (1,)
  assert sequence.merge_objects
  for t in range(4):
    np.testing.assert_array_equal(sequence.labels(t), expected.labels(t) > 0)
    assert sequence.labels(t).dtype == np.uint8


@pytest.mark.parametrize(
  ('mode', 'ids'),
  [('P', (1, 2)), ('Lids', (1, 2)), ('L255', (1,)), ('LA', (1,))],
)
def test_mask_modes_2017(davis_folder, mode, ids):
  root = davis_folder(splits={'val': 1}, objects=2, mode=mode)
  (sequence,) = davis.load(root, 'val')
  assert sequence.object_ids == ids
  assert tuple(np.unique(sequence.labels(3))) == (0, *ids)


def test_ids_need_not_be_consecutive(davis_folder):
  root = davis_folder(splits={'val': 1})
  labels = np.zeros((36, 48), np.uint8)
  labels[:10, :10] = 7
  labels[20:, 20:] = 3
  masks.write_mask(_annotations(root, 'val0') / '00000.png', labels)
  (sequence,) = davis.load(root, 'val')
  assert sequence.object_ids == (3, 7)


@pytest.mark.parametrize('resolution', ['240p', '1080p', 'Full-Resolution'])
@pytest.mark.parametrize('image_list', ['names', 'paths'])
def test_resolution_folders_and_list_forms(
  davis_folder, resolution, image_list
):
  root = davis_folder(
    splits={'train': 2}, resolution=resolution, image_list=image_list
  )
  train = davis.load(root, 'train', resolution=resolution)
  assert [s.name for s in train] == ['train0', 'train1']
  assert train[0].frames[0] == _images(root, 'train0', resolution) / '00000.jpg'
  message = _load_error(root, 'train')
  assert message.startswith(str(root / 'JPEGImages' / '480p'))
  assert f'holds: {resolution}' in message
  assert 'config.data.resolution' in message


@pytest.mark.parametrize('year', ['2016', '2017'])
@pytest.mark.parametrize('image_list', ['names', 'paths'])
def test_years_and_list_forms(davis_folder, year, image_list):
  root = davis_folder(objects=2, year=year, image_list=image_list)
  train = davis.load(root, 'train', year=year)
  assert [s.object_ids for s in train] == [
    (1,) if year == '2016' else (1, 2)
  ] * 2


def test_list_of_the_year_comes_first(davis_folder):
  """Both zips in one folder: each year has its own list."""
  root = davis_folder(splits={'train': 2}, image_list='paths')
  (root / 'ImageSets' / '2017').mkdir()
  (root / 'ImageSets' / '2017' / 'train.txt').write_text('train1\n')
  assert [s.name for s in davis.load(root, 'train')] == ['train1']
  assert [s.name for s in davis.load(root, 'train', year='2016')] == [
    'train0',
    'train1',
  ]


def test_read_image_list(tmp_path):
  path = tmp_path / 'train.txt'
  path.write_text('zebra\r\n\n  ant  \nzebra\n')
  assert davis.read_image_list(path) == ['zebra', 'ant']
  path.write_text(
    '/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png \n'
    '/JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png \n'
    'JPEGImages/480p/ant/00000.jpg\n'
  )
  assert davis.read_image_list(path) == ['bear', 'ant']


@pytest.mark.parametrize(
  'line', ['bear/00000.jpg', '/a/b/c.jpg /a/b/c.png more', '/a/b/c', '/a /b']
)
def test_malformed_list_line(tmp_path, line):
  path = tmp_path / 'train.txt'
  path.write_text(f'ant\n{line}\n')
  with pytest.raises(errors.SavosError) as caught:
    davis.read_image_list(path)
  message = str(caught.value)
  assert message.startswith(f'{path}, line 2: {line!r}')
  assert 'Expected a sequence name' in message


@pytest.mark.parametrize('content', [b'', b'\n \n'])
def test_empty_list(davis_folder, content):
  root = davis_folder()
  path = root / 'ImageSets' / '2017' / 'train.txt'
  path.write_bytes(content)
  message = _load_error(root, 'train')
  assert message.startswith(f'{path}: the image list is empty')
  assert 'Expected a sequence name on each line' in message


def test_list_that_is_no_text(davis_folder):
  root = davis_folder()
  path = root / 'ImageSets' / '2017' / 'train.txt'
  path.write_bytes(b'\xff\xfe\x00')
  assert _load_error(root, 'train').startswith(f'{path}: not a text')


def test_missing_list(davis_folder):
  root = davis_folder(year='2016')
  message = _load_error(root, 'train', year='2017')
  assert "year 2017, split 'train'" in message
  assert str(root / 'ImageSets' / '2017' / 'train.txt') in message
  assert str(root / 'ImageSets' / '480p' / 'train.txt') in message
  assert 'holds: 2016' in message
  assert 'config.data.year' in message
  message = _load_error(root, 'test', year='2016')
  assert "split 'test'" in message
  assert str(root / 'ImageSets' / '2016' / 'test.txt') in message


@pytest.mark.parametrize('year', ['2018', 2016, ''])
def test_wrong_year(davis_folder, year):
  message = _load_error(davis_folder(), 'train', year=year)
  assert f'config.data.year is {year!r}' in message
  assert "Expected one of ('2016', '2017')" in message


@pytest.mark.parametrize('part', ['JPEGImages', 'Annotations', 'ImageSets'])
def test_missing_part(davis_folder, part):
  root = davis_folder()
  shutil.rmtree(root / part)
  message = _load_error(root, 'train')
  assert message.startswith(f'{root}: not a DAVIS folder')
  assert f'; no {part}.' in message
  assert davis.LAYOUT in message


def test_root_that_is_not_there(tmp_path):
  message = _load_error(tmp_path / 'absent', 'train')
  assert f'{tmp_path / "absent"} is no folder' in message
  assert 'config.data.root' in message


@pytest.mark.parametrize('part', ['JPEGImages', 'Annotations'])
def test_missing_resolution_folder(davis_folder, part):
  root = davis_folder()
  (root / part / '480p').rename(root / part / '1080p')
  message = _load_error(root, 'train')
  assert message.startswith(f'{root / part / "480p"}: no such folder')
  assert 'holds: 1080p' in message


@pytest.mark.parametrize('part', [_images, _annotations])
def test_listed_sequence_is_missing(davis_folder, part):
  root = davis_folder()
  shutil.rmtree(part(root, 'train1'))
  message = _load_error(root, 'train')
  assert message.startswith(f'{part(root, "train1")}: no such folder')
  assert "names 'train1'" in message
  assert 'Unpack the missing sequence' in message
  # The other split does not need it.
  assert len(davis.load(root, 'val')) == 1


@pytest.mark.parametrize('part', [_images, _annotations])
def test_sequence_without_files(davis_folder, part):
  root = davis_folder()
  for path in part(root).iterdir():
    path.unlink()
  message = _load_error(root, 'train')
  assert message.startswith(f'{part(root)}: no images')
  assert 'Unpack the data again' in message


def test_mask_without_frame(davis_folder):
  root = davis_folder()
  (_images(root) / '00002.jpg').unlink()
  message = _load_error(root, 'train')
  assert message.startswith(
    f'{_images(root)}: no frame for 1 of 4 masks: 00002.'
  )
  assert str(_annotations(root)) in message
  assert 'Unpack the data again' in message


def _remove(folder, stems):
  for path in folder.iterdir():
    if path.stem in stems:
      path.unlink()


def test_frames_without_a_mask_are_not_annotated(davis_folder, caplog):
  root = davis_folder(splits={'train': 1}, frames=11)
  kept = ('00000', '00005', '00010')
  _remove(_annotations(root), {f'{t:05d}' for t in range(11)} - {*kept})
  (sequence,) = davis.load(root, 'train')
  assert len(sequence) == len(sequence.frames) == 11
  assert sequence.annotated == (0, 5, 10)
  assert [path.stem for path in sequence.masks if path] == list(kept)
  assert sequence.appearances == {0: (1,)}
  with pytest.raises(ValueError, match='frame 1 has no mask'):
    sequence.labels(1)
  part = sequence.annotated_part()
  assert [path.stem for path in part.frames] == list(kept)
  np.testing.assert_array_equal(part.labels(2), sequence.labels(10))
  assert not caplog.records  # Every fifth: as it is meant.


@pytest.mark.parametrize(
  ('absent', 'said'), [((2,), '1 of 6 frames: 00002'),
                       ((4, 5), '2 of 6 frames: 00004, 00005')]
)  # fmt: skip
def test_lost_masks_are_named_in_one_line(davis_folder, caplog, absent, said):
  root = davis_folder(splits={'train': 1}, frames=6)
  _remove(_annotations(root), {f'{t:05d}' for t in absent})
  (sequence,) = davis.load(root, 'train')
  assert sequence.annotated == tuple(sorted({*range(6)} - {*absent}))
  (record,) = caplog.records
  message = record.getMessage()
  assert message.startswith(f'{_annotations(root)}: no mask for {said}.')
  assert 'neither scored nor trained on' in message


def test_the_first_mask_alone_is_enough(davis_folder, caplog):
  root = davis_folder(splits={'train': 1}, frames=6)
  _remove(_annotations(root), {f'{t:05d}' for t in range(1, 6)})
  (sequence,) = davis.load(root, 'train')
  assert (len(sequence), sequence.annotated) == (6, (0,))
  assert sequence.only_given
  assert not caplog.records


def test_lost_frames_are_named_in_one_line(davis_folder, caplog):
  """Frame and mask both: the rest still pairs up, but time jumps."""
  root = davis_folder(splits={'train': 1}, frames=6)
  for folder in (_images(root), _annotations(root)):
    _remove(folder, ('00002', '00003'))
  (sequence,) = davis.load(root, 'train')
  assert sequence.annotated == (0, 1, 2, 3)
  davis.load_annotations(_annotations(root).parent, ['train0'], False)
  for record, folder in zip(
    caplog.records, (_images(root), _annotations(root)), strict=True
  ):
    assert record.getMessage().startswith(
      f'{folder}: 2 file(s) missing between 00000 and 00005: 00002, 00003.'
    )


@pytest.mark.parametrize('numbers', [(0, 5, 10, 15), (3, 10, 12, 30)])
def test_frames_may_be_every_fifth_or_irregular(davis_folder, caplog, numbers):
  root = davis_folder(splits={'train': 1}, frames=4)
  for folder in (_images(root), _annotations(root)):
    for path, number in zip(
      sorted(folder.iterdir(), reverse=True), sorted(numbers, reverse=True),
      strict=True,
    ):  # fmt: skip
      path.rename(path.with_stem(f'{number:05d}'))
  (sequence,) = davis.load(root, 'train')
  assert [sequence.frame_name(i) for i in range(4)] == [
    f'{number:05d}' for number in numbers
  ]
  assert sequence.annotated == (0, 1, 2, 3)
  assert not caplog.records


def test_a_folder_a_split(davis_folder):
  """As YouTube-VOS, MOSE and LVOS unpack; there are no lists."""
  root = davis_folder(splits={'valid': 2})
  (root / 'valid').mkdir()
  for part in ('JPEGImages', 'Annotations'):
    (root / part / '480p').rename(root / 'valid' / part)
  found = davis.load(root, 'valid')
  assert [(s.name, len(s)) for s in found] == [('valid0', 4), ('valid1', 4)]
  assert found[0].frames[0] == root.joinpath(
    'valid', 'JPEGImages', 'valid0', '00000.jpg'
  )
  shutil.rmtree(root / 'valid' / 'Annotations' / 'valid0')
  shutil.rmtree(root / 'valid' / 'Annotations' / 'valid1')
  assert 'holds: nothing' in _load_error(root, 'valid')


def test_sequence_may_start_later(davis_folder):
  root = davis_folder(frames=6)
  for t in (0, 1):
    (_images(root) / f'{t:05d}.jpg').unlink()
    (_annotations(root) / f'{t:05d}.png').unlink()
  sequence = davis.load(root, 'train')[0]
  assert [path.name for path in sequence.frames] == [
    f'{t:05d}.jpg' for t in range(2, 6)
  ]


def test_numbers_without_zeros_are_in_order_of_time(davis_folder, caplog):
  root = davis_folder(splits={'train': 1}, frames=12)
  for folder in (_images(root), _annotations(root)):
    for path in sorted(folder.iterdir()):
      path.rename(path.with_stem(str(int(path.stem))))
  (sequence,) = davis.load(root, 'train')
  stems = [str(t) for t in range(12)]
  assert [path.stem for path in sequence.frames] == stems
  assert [path.stem for path in sequence.masks] == stems
  for folder, suffix in ((_images(root), 'jpg'), (_annotations(root), 'png')):
    (folder / f'5.{suffix}').unlink()
  davis.load(root, 'train')
  assert 'between 0 and 11: 5.' in caplog.text


def test_frames_and_masks_pair_by_their_numbers(davis_folder):
  root = davis_folder(splits={'train': 1}, frames=11)
  for path in sorted(_annotations(root).iterdir()):
    path.rename(path.with_name(f'{int(path.stem)}.PNG'))
  (sequence,) = davis.load(root, 'train')
  assert sequence.masks[10].name == '10.PNG'
  assert sequence.annotated == tuple(range(11))


def test_names_that_are_no_numbers(davis_folder):
  root = davis_folder(splits={'train': 1}, frames=3)
  for folder in (_images(root), _annotations(root)):
    for path in sorted(folder.iterdir()):
      path.rename(path.with_stem(f'frame{path.stem}'))
  (sequence,) = davis.load(root, 'train')
  assert [path.stem for path in sequence.frames] == [
    'frame00000',
    'frame00001',
    'frame00002',
  ]


def test_other_files_are_passed_over(davis_folder):
  """Hidden files of macOS and notes are no frames; .PNG and .JPEG are."""
  root = davis_folder(splits={'train': 1}, frames=3)
  (_images(root) / '._00000.jpg').write_bytes(b'x')
  (_images(root) / 'Thumbs.db').write_bytes(b'x')
  (_annotations(root) / '._00000.png').write_bytes(b'x')
  (_annotations(root) / 'notes.txt').write_bytes(b'x')
  (_images(root) / '00001.jpg').rename(_images(root) / '00001.JPEG')
  with Image.open(_images(root) / '00002.jpg') as image:
    image.save(_images(root) / '00002.png')
  (_images(root) / '00002.jpg').unlink()
  (sequence,) = davis.load(root, 'train')
  assert [path.name for path in sequence.frames] == [
    '00000.jpg',
    '00001.JPEG',
    '00002.png',
  ]
  assert sequence.frame(2).shape == (36, 48, 3)


def _assert_real(sequence, size):
  """The record agrees with what its last files hold."""
  assert (sequence.height, sequence.width) == size
  assert sequence.frame(len(sequence) - 1).shape == (*size, 3)
  assert sequence.labels(len(sequence) - 1).shape == size


def test_real_davis_2016(savos_data):
  train = davis.load(savos_data / 'DAVIS', 'train', year='2016')
  assert len(train) == 30
  assert sum(len(s) for s in train) == 2079
  val = davis.load(savos_data / 'DAVIS', 'val', year='2016')
  assert len(val) == 10
  assert sum(len(s) for s in val) == 644
  assert {s.object_ids for s in train + val} == {(1,)}
  assert not {s.name for s in train} & {s.name for s in val}
  for sequence in train:
    _assert_real(sequence, (360, 640))
  for sequence in val:
    _assert_real(sequence, (480, 854))
    assert set(np.unique(sequence.labels(0))) == {0, 1}


def test_real_davis_2017(savos_data):
  val = davis.load(savos_data / 'DAVIS', 'val', year='2017')
  assert len(val) == 7
  assert {s.object_ids for s in val} == {(1,)}
  (schoolgirls,) = davis.load(
    savos_data / 'DAVIS17-240p', 'train', resolution='240p'
  )
  assert schoolgirls.name == 'schoolgirls'
  assert len(schoolgirls) == 80
  assert schoolgirls.object_ids == (1, 2, 3, 4, 5, 6, 7)
  _assert_real(schoolgirls, (240, 432))
  with Image.open(schoolgirls.masks[0]) as image:
    np.testing.assert_array_equal(schoolgirls.labels(0), image)


def test_real_object_out_of_view(savos_data):
  train = davis.load(savos_data / 'DAVIS', 'train', year='2016')
  (bumps,) = [s for s in train if s.name == 'bmx-bumps']
  empty = [t for t in range(len(bumps)) if not bumps.labels(t).any()]
  assert empty == [60, *range(62, 75)]
