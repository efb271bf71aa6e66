"""Records of a video: checked in part when opened, in full when read."""

import dataclasses

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from tests import davis_folders

_images = davis_folders.images
_annotations = davis_folders.annotations
_load_error = davis_folders.load_error


def _resize(path, width, height):
  with Image.open(path) as image:
    image.resize((width, height), Image.Resampling.NEAREST).save(path)


def test_first_mask_of_another_size(davis_folder):
  root = davis_folder(size=(36, 48))
  path = _annotations(root) / '00000.png'
  _resize(path, 24, 18)
  message = _load_error(root, 'train')
  assert message.startswith(f'{path}: 24x18 pixels (width x height)')
  assert 'Expected 48x36' in message
  assert str(_images(root) / '00000.jpg') in message
  assert 'same resolution' in message or 'share one size' in message


def test_later_files_of_another_size(davis_folder):
  root = davis_folder(size=(36, 48))
  frame, mask = _images(root) / '00002.jpg', _annotations(root) / '00003.png'
  _resize(frame, 24, 18)
  _resize(mask, 48, 35)
  sequence = davis.load(root, 'train')[0]
  assert sequence.labels(2).shape == (36, 48)
  assert sequence.frame(3).shape == (36, 48, 3)
  with pytest.raises(errors.SavosError) as caught:
    sequence.frame(2)
  assert str(caught.value).startswith(f'{frame}: 24x18 pixels')
  assert 'Expected 48x36' in str(caught.value)
  with pytest.raises(errors.SavosError) as caught:
    sequence.labels(3)
  assert str(caught.value).startswith(f'{mask}: 48x35 pixels')


@pytest.mark.parametrize('year', ['2016', '2017'])
def test_empty_first_mask(davis_folder, year):
  root = davis_folder(year=year)
  path = _annotations(root) / '00000.png'
  masks.write_mask(path, np.zeros((36, 48), np.uint8))
  message = _load_error(root, 'train', year=year)
  assert message.startswith(f'{path}: the first mask is empty')
  assert 'Leave train0 out of the image list' in message


def test_empty_later_mask_is_fine(davis_folder):
  root = davis_folder()
  empty = np.zeros((36, 48), np.uint8)
  masks.write_mask(_annotations(root) / '00002.png', empty)
  sequence = davis.load(root, 'train')[0]
  np.testing.assert_array_equal(sequence.labels(2), empty)


def _truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _to_rgb(path):
  with Image.open(path) as image:
    image.convert('RGB').save(path)


def _blur(path):
  with Image.open(path) as image:
    grey = Image.fromarray((np.asarray(image) > 0).astype(np.uint8) * 255)
  small = grey.resize((30, 22), Image.Resampling.BILINEAR)
  small.resize((48, 36), Image.Resampling.BILINEAR).save(path)


_DAMAGE = {
  'truncated': (_truncate, 'damaged image'),
  'zero bytes': (lambda path: path.write_bytes(b''), 'not an image (0 bytes)'),
  'text': (lambda path: path.write_text('404 gone'), 'not an image (8 bytes)'),
  'RGB': (_to_rgb, 'a RGB picture'),
  'anti-aliased': (_blur, 'anti-aliased'),
}


@pytest.mark.parametrize('kind', list(_DAMAGE))
def test_damaged_mask(davis_folder, kind):
  damage, found = _DAMAGE[kind]
  root = davis_folder()
  later = _annotations(root) / '00002.png'
  damage(later)
  sequence = davis.load(root, 'train')[0]  # Shows only when it is read.
  with pytest.raises(errors.SavosError) as caught:
    sequence.labels(2)
  assert str(caught.value).startswith(f'{later}: ')
  assert found in str(caught.value)
  assert 'Expected' in str(caught.value)

  first = _annotations(root) / '00000.png'
  damage(first)
  message = _load_error(root, 'train')
  assert message.startswith(f'{first}: ')
  assert found in message


@pytest.mark.parametrize('kind', ['truncated', 'zero bytes', 'text'])
def test_damaged_frame(davis_folder, kind):
  damage, found = _DAMAGE[kind]
  root = davis_folder()
  path = _images(root) / '00002.jpg'
  damage(path)
  sequence = davis.load(root, 'train')[0]
  with pytest.raises(errors.SavosError) as caught:
    sequence.frame(2)
  assert str(caught.value).startswith(f'{path}: ')
  assert found in str(caught.value)


@pytest.mark.parametrize('kind', ['zero bytes', 'text'])
def test_damaged_first_frame(davis_folder, kind):
  damage, found = _DAMAGE[kind]
  root = davis_folder()
  path = _images(root) / '00000.jpg'
  damage(path)
  message = _load_error(root, 'train')
  assert message.startswith(f'{path}: ')
  assert found in message


def test_record_cannot_be_changed(davis_folder):
  sequence = davis.load(davis_folder(), 'train')[0]
  with pytest.raises(dataclasses.FrozenInstanceError):
    sequence.name = 'other'


def test_open_sequence_merges(tmp_path):
  frame, mask = tmp_path / 'f.png', tmp_path / 'm.png'
  Image.new('RGB', (3, 2)).save(frame)
  masks.write_mask(mask, np.array([[0, 2, 5], [2, 0, 0]], np.uint8))
  apart = sequences.open_sequence('a', [frame], [mask])
  assert apart.object_ids == (2, 5)
  np.testing.assert_array_equal(apart.labels(0), [[0, 2, 5], [2, 0, 0]])
  merged = sequences.open_sequence('a', [frame], [mask], merge_objects=True)
  assert merged.object_ids == (1,)
  np.testing.assert_array_equal(merged.labels(0), [[0, 1, 1], [1, 0, 0]])
