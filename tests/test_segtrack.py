"""SegTrack v2 from disk: its quirks, and what is refused."""

import shutil

import numpy as np
from PIL import Image
import pytest

from savos_jax import opening
from savos_jax.configs import segtrack as segtrack_config
from savos_jax.datasets import masks
from savos_jax.datasets import segtrack
from savos_jax.foundation import errors
from tests import segtrack_folders as folders


@pytest.fixture
def root(tmp_path):
  return folders.make(tmp_path / 'SegTrackv2')


def _load_error(root, split='all') -> str:
  with pytest.raises(errors.SavosError) as caught:
    segtrack.load(root, split)
  return str(caught.value)


def test_quirks_of_the_layout(root):
  """Asterisks, the prefix line, extensions of every kind, object folders."""
  # Two objects of one sequence with masks in two formats, as cheetah has.
  for path in (root / 'GroundTruth' / 'monkeydog' / '2').iterdir():
    Image.open(path).save(path.with_suffix('.png'))
    path.unlink()
  # What people's file managers and Matlab leave.
  (root / 'JPEGImages' / 'frog' / 'Thumbs.db').write_bytes(b'')
  (root / 'JPEGImages' / 'frog' / '._frog_00007.png').write_bytes(b'')
  (root / 'GroundTruth' / 'frog' / 'frog.mat').write_bytes(b'')
  videos = segtrack.load(root)
  assert [video.name for video in videos] == ['frog', 'penguin', 'monkeydog']
  for video in videos:
    assert len(video) == len(video.frames) == 4
    assert [p.stem for p in video.frames] == [p.stem for p in video.masks]
    assert (video.height, video.width) == folders.SIZE
    assert video.protocol == 'segtrack'
    count = folders.KINDS[video.name][2]
    assert video.object_ids == video.scored_ids == tuple(range(1, count + 1))
    expected = np.zeros(folders.SIZE, np.uint8)
    for k in video.scored_ids:
      expected[folders.object_mask(k, 2)] = k
    np.testing.assert_array_equal(video.labels(2), expected)
    assert video.frame(3).shape == (*folders.SIZE, 3)
  assert videos[0].object_name(1) == 'frog'
  assert videos[1].object_name(2) == 'penguin_2'


def test_the_list_says_which_frames_and_in_which_order(root):
  stems = [folders.stem('frog', i) for i in (2, 0)]
  path = root / 'ImageSets' / 'frog.txt'
  path.write_text('\n'.join(['frog', *stems]))
  assert [p.stem for p in segtrack.load(root)[0].masks] == stems
  path.unlink()
  assert len(segtrack.load(root)[0]) == 4


def test_values_between_are_void(root):
  path = folders.truth_file(root, 'frog', 1)
  values = 255 * folders.object_mask(1, 1)
  values[4:7] = 1
  values[8, 0] = 254
  folders.write_grey(path, values)
  video = segtrack.load(root)[0]
  ((object_id, mask, void),) = video.truth(1).objects
  assert object_id == 1
  np.testing.assert_array_equal(mask, values == 255)
  np.testing.assert_array_equal(void, (values > 0) & (values < 255))
  np.testing.assert_array_equal(video.labels(1), values == 255)


def test_a_later_object_covers_an_earlier_one_in_the_labels_alone(root):
  overlap = folders.object_mask(1, 0)
  path = folders.truth_file(root, 'penguin', 0, 2)
  folders.write_grey(path, 255 * (overlap | folders.object_mask(2, 0)))
  video = segtrack.load(root)[1]
  assert (video.labels(0)[overlap] == 2).all()
  assert video.object_ids == (2,)  # Nothing is left to segment 1 from.
  assert video.scored_ids == (1, 2)
  truths = {k: mask for k, mask, _ in video.truth(0).objects}
  np.testing.assert_array_equal(truths[1], overlap)
  assert truths[2][overlap].all()


def test_an_object_that_enters_later_is_scored_but_not_segmented(root):
  empty = np.zeros(folders.SIZE)
  folders.write_grey(folders.truth_file(root, 'penguin', 0, 2), empty)
  video = segtrack.load(root)[1]
  assert (video.object_ids, video.scored_ids) == ((1,), (1, 2))


def test_other_forms_of_a_grey_mask(root):
  values = 255 * folders.object_mask(1, 1)
  path = folders.truth_file(root, 'frog', 1)
  for mode in ('L', '1', 'P', 'RGBA'):
    folders.write_grey(path, values, mode)
    mask, void = segtrack.read_object_mask(path)
    np.testing.assert_array_equal(mask, values == 255)
    assert not void.any()


def test_masks_that_are_none(root):
  path = folders.truth_file(root, 'frog', 1)
  masks.write_mask(path, folders.object_mask(1, 1).astype(np.uint8))
  with pytest.raises(errors.SavosError, match='in colours'):
    segtrack.read_object_mask(path)
  folders.write_grey(path, folders.object_mask(1, 1))
  with pytest.raises(errors.SavosError, match='of 0 and 1'):
    segtrack.read_object_mask(path)
  folders.write_grey(path, np.zeros((10, 10)))
  with pytest.raises(errors.SavosError, match='10x10 pixels') as caught:
    segtrack.load(root)[0].labels(1)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize('part', ['JPEGImages', 'GroundTruth', 'ImageSets'])
def test_another_folder(root, part):
  shutil.rmtree(root / part)
  assert f'no {part}' in _load_error(root)
  assert 'GroundTruth/<sequence>' in _load_error(root)


def test_missing_and_superfluous_files(root):
  path = folders.truth_file(root, 'penguin', 2, 2)
  path.unlink()
  message = _load_error(root)
  assert str(path.parent) in message
  assert f'no file for 1 of 4 frames: {path.stem}' in message
  folders.write_grey(path, 255 * folders.object_mask(2, 2))
  Image.open(path).save(path.with_suffix('.bmp'))
  assert f'both {path.stem}.bmp and {path.name}' in _load_error(root)
  path.with_suffix('.bmp').unlink()
  (path.parents[1] / 'old').mkdir()
  assert 'no number' in _load_error(root)
  (path.parents[1] / 'old').rmdir()
  shutil.rmtree(root / 'JPEGImages' / 'frog')
  assert f'{root / "JPEGImages" / "frog"}: no such folder' in _load_error(root)


def test_lists_that_are_wrong(root):
  assert 'nowhere.txt: no such list' in _load_error(root, 'nowhere')
  lists = root / 'ImageSets'
  (lists / 'frog.txt').write_text('toad\nfrog_00007\n')
  assert "the first line is 'toad'" in _load_error(root)
  (lists / 'frog.txt').write_text('frog\n')
  assert 'names no frames' in _load_error(root)
  (lists / 'all.txt').write_text('\n')
  assert 'list is empty' in _load_error(root)
  (lists / 'all.txt').write_text('*newt\n')
  assert f'{root / "GroundTruth" / "newt"}: no such folder' in _load_error(root)


def test_an_empty_first_mask(root):
  path = folders.truth_file(root, 'frog', 0)
  folders.write_grey(path, np.zeros(folders.SIZE))
  assert f'{path}: the mask of the first frame is empty' in _load_error(root)


def test_the_config_opens_it(root, tmp_path):
  config = segtrack_config.get_config()
  config.data.root = str(root)
  videos = opening.load_split(config, tmp_path, config.data.val_split)
  assert len(videos) == 3
  assert opening.sequence_attributes(config) == {}


def test_the_real_files(savos_data):
  videos = segtrack.load(savos_data / 'SegTrackv2')
  assert {video.name: len(video) for video in videos} == {
    'birdfall': 30,
    'cheetah': 29,
    'bmx': 36,
  }
  assert [v.object_name(v.scored_ids[0]) for v in videos] == [
    'birdfall',
    'cheetah_1',
    'bmx_2',
  ]
  for video in videos:
    assert video.labels(len(video) - 1).any()
