"""Folders of photos with masks: opened, and every broken one explained."""

import logging

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import masks
from savos_jax.datasets import stills
from savos_jax.foundation import errors


def labels_of(*ids, size=(20, 30)):
  labels = np.zeros(size, np.uint8)
  labels[2 : 2 + len(ids), 3:9] = np.array(ids, np.uint8)[:, None]
  return labels


@pytest.fixture
def folder(tmp_path):
  """Photos a (ids 1, 4), b (0/255; another size) and c (an empty mask)."""
  folder = tmp_path / 'photos'
  (folder / 'images').mkdir(parents=True)
  (folder / 'masks').mkdir()
  for name, labels in (
    ('a.jpg', labels_of(1, 4)),
    ('b.PNG', labels_of(1, size=(40, 25))),
    ('c.jpeg', labels_of()),
  ):
    picture = np.dstack([labels * 50] * 3)
    Image.fromarray(picture).save(folder / 'images' / name)
    mask = folder / 'masks' / f'{name[0]}.png'
    if name == 'a.jpg':
      masks.write_mask(mask, labels)
    else:
      Image.fromarray(labels * 255).save(mask)
  return folder


def load_error(folder):
  with pytest.raises(errors.SavosError) as caught:
    stills.load(folder)
  return str(caught.value)


def test_photos_open_each_of_its_own_size(folder, caplog):
  (folder / 'images' / 'notes.txt').write_text('not a photo')
  (folder / 'masks' / '.b.png').write_text('hidden')
  with caplog.at_level(logging.INFO):
    a, b = stills.load(str(folder))
  assert (a.name, a.object_ids) == ('photos/a', (1, 4))
  assert (a.height, a.width) == (20, 30)
  assert (b.name, b.object_ids) == ('photos/b', (1,))
  assert (b.height, b.width) == (40, 25)
  assert len(a) == len(b) == 1
  np.testing.assert_array_equal(a.labels(0), labels_of(1, 4))
  assert b.frame(0).shape == (40, 25, 3)
  assert '1 of 3 photos left out' in caplog.text


def test_no_remark_where_nothing_is_left_out(folder, caplog):
  for path in ('images/c.jpeg', 'masks/c.png'):
    (folder / path).unlink()
  with caplog.at_level(logging.INFO):
    assert len(stills.load(folder)) == 2
  assert not caplog.text


@pytest.mark.parametrize('part', ['images', 'masks'])
def test_missing_folder(folder, part):
  (folder / part).rename(folder / 'elsewhere')
  message = load_error(folder)
  assert str(folder / part) in message
  assert 'no such folder' in message
  assert 'FOLDER/masks/NAME.png' in message


@pytest.mark.parametrize('part', ['images', 'masks'])
def test_no_files(folder, part):
  for path in (folder / part).iterdir():
    path.rename(path.with_suffix('.tif'))
  message = load_error(folder)
  assert str(folder / part) in message
  assert 'no files that end in' in message


def test_photo_without_mask_and_mask_without_photo(folder):
  (folder / 'masks' / 'b.png').unlink()
  message = load_error(folder)
  assert str(folder / 'masks') in message
  assert 'no mask for 1 of 3 files: b.PNG' in message
  (folder / 'images' / 'b.PNG').unlink()
  (folder / 'images' / 'a.jpg').unlink()
  message = load_error(folder)
  assert str(folder / 'images') in message
  assert 'no photo for 1 of 2 files: a.png' in message


def test_two_photos_of_one_name(folder):
  picture = Image.open(folder / 'images' / 'a.jpg')
  picture.save(folder / 'images' / 'a.png')
  assert 'both a.jpg and a.png' in load_error(folder)


def test_mask_of_another_size(folder):
  masks.write_mask(folder / 'masks' / 'a.png', labels_of(1, size=(21, 30)))
  message = load_error(folder)
  assert str(folder / 'masks' / 'a.png') in message
  assert '30x21' in message
  assert '30x20' in message
  assert 'a.jpg' in message


@pytest.mark.parametrize('path', ['images/a.jpg', 'masks/a.png'])
def test_unreadable_file(folder, path):
  (folder / path).write_bytes(b'not an image')
  message = load_error(folder)
  assert str(folder / path) in message
  assert 'not an image' in message


def test_truncated_mask(folder):
  path = folder / 'masks' / 'a.png'
  path.write_bytes(path.read_bytes()[:-40])
  assert str(path) in load_error(folder)


def test_coloured_mask(folder):
  Image.new('RGB', (30, 20)).save(folder / 'masks' / 'a.png')
  message = load_error(folder)
  assert str(folder / 'masks' / 'a.png') in message
  assert 'RGB' in message


def test_only_empty_masks(folder):
  for name in 'ab':
    mask = masks.read_mask(folder / 'masks' / f'{name}.png')
    masks.write_mask(folder / 'masks' / f'{name}.png', np.zeros_like(mask))
  assert 'all 3 masks are empty' in load_error(folder)


def test_real_photos_open(savos_data):
  counts = {
    folder.name: len(stills.load(folder))
    for folder in sorted((savos_data / 'stills').iterdir())
  }
  assert counts == {
    'Butterflies': 400,
    'CCP-people': 600,
    'COCO-val100': 100,
    'COCO128-seg': 126,
    'HumanSeg290': 290,
    'VOC-animals': 2725,
    'WeizmannHorse': 328,
  }
