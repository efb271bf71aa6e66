"""A user's masks give the right ids, or an error that says what to do."""

import logging

import cv2
import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.video import first_masks

SIZE = (40, 60)
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def _labels(size=SIZE):
  """Two squares, of 120 and 150 pixels; not symmetric."""
  labels = np.zeros(size, np.uint8)
  labels[5:15, 8:20] = 2
  labels[20:35, 40:50] = 1
  return labels


def _paint(labels, *colours):
  return np.array([(0, 0, 0), *colours], np.uint8)[labels.astype(int)]


def _binary(labels, value=255):
  return (labels > 0).astype(np.uint8) * np.uint8(value)


def _ellipse():
  """Grey 0/255, uint8, of SIZE."""
  picture = np.zeros(SIZE, np.uint8)
  return cv2.ellipse(picture, (30, 20), (18, 11), 0, 0, 360, 255, -1)


def _save(path, values, **options):
  image = values if isinstance(values, Image.Image) else Image.fromarray(values)
  image.save(path, **options)
  return path


@pytest.fixture
def path(tmp_path):
  return tmp_path / 'mask.png'


def _assert_read(paths, expected, ids=None, **options):
  paths = paths if isinstance(paths, list) else [paths]
  labels, found = first_masks.read(paths, SIZE, **options)
  assert labels.dtype == np.uint8
  np.testing.assert_array_equal(labels, expected)
  assert found == (ids or tuple(int(i) for i in np.unique(expected) if i))


def _error(paths, *words, at=-1, size=SIZE, **options):
  """Reading raises; the message names file `at`, and has the words."""
  paths = paths if isinstance(paths, list) else [paths]
  with pytest.raises(errors.SavosError) as caught:
    first_masks.read(paths, size, **options)
  message = str(caught.value)
  assert message.startswith(f'{paths[at]}: ')
  assert '\n  Expected ' in message
  for word in words:
    assert word in message
  return message


@pytest.mark.parametrize('colours', [False, True])
def test_the_forms_of_data_sets(path, colours):
  """With --colours too: an indexed file has ids of its own."""
  labels = 3 * _labels()
  masks.write_mask(path, labels)
  _assert_read(path, labels, (3, 6), colours=colours)
  _assert_read(_save(path, labels), labels, colours=colours)
  binary = _binary(labels)
  for image in (binary, np.dstack([binary, binary // 2 + 1])):
    _assert_read(_save(path, image), binary // 255, (1,), colours=colours)
  one_bit = Image.fromarray(binary).convert('1')
  _assert_read(_save(path, one_bit), binary // 255, colours=colours)
  _assert_read(_save(path, labels.astype(np.uint16)), labels, colours=colours)


@pytest.mark.parametrize('colours', [False, True])
def test_grey_saved_as_rgb(path, colours):
  for mode in ('RGB', 'RGBA'):
    image = Image.fromarray(_labels()).convert(mode)
    _assert_read(_save(path, image), _labels(), colours=colours)
    image = Image.fromarray(_binary(_labels())).convert(mode)
    _assert_read(_save(path, image), _labels() > 0, colours=colours)


def test_white_on_nothing(path):
  """Drawing programs save transparent pixels as white, or any colour."""
  white = np.full((*SIZE, 4), 255, np.uint8)
  white[..., 3] = _binary(_labels())
  _assert_read(_save(path, white), _labels() > 0)
  white[0, 0, :3] = 9  # Neither grey id nor object: nothing to see there.
  white[0, 1, :3] = RED
  _assert_read(_save(path, white), _labels() > 0)


@pytest.mark.parametrize('mode', ['LA', 'RGBA'])
def test_black_on_nothing(path, mode):
  """The alpha channel is the mask; its soft edge is cut at half."""
  alpha = _ellipse()
  soft = cv2.GaussianBlur(alpha, (5, 5), 0)
  for opacity in (alpha, soft):
    black = np.zeros((*SIZE, len(mode)), np.uint8)
    black[..., -1] = opacity
    _assert_read(_save(path, black), opacity > 127)
  black[..., -1] = 255
  _error(_save(path, black), 'all background')


@pytest.mark.parametrize('value', [65535, 256])
def test_sixteen_bits_of_one_value(path, value):
  wide = _binary(_labels()).astype(np.uint16) // 255 * np.uint16(value)
  _assert_read(_save(path, wide), _labels() > 0, (1,))
  wide[0, 0] = 1000
  _error(_save(path, wide), f'values up to {max(value, 1000)}')


def test_colours_are_numbered_by_their_value(path):
  """Not by place: the mirrored picture has the same ids."""
  picture = _paint(_labels(), RED, GREEN)
  picture[38:, :5] = (255, 255, 255)
  expected = np.where(_labels() == 1, 2, _labels() == 2).astype(np.uint8)
  expected[38:, :5] = 3
  _assert_read(_save(path, picture), expected, (1, 2, 3), colours=True)
  mirrored = _save(path, picture[::-1].copy())
  _assert_read(mirrored, expected[::-1], colours=True)


def test_transparent_colour_is_background(path):
  picture = np.dstack([_paint(_labels(), RED, BLUE), _binary(_labels())])
  picture[0, :9, :3] = GREEN
  expected = np.where(_labels() == 1, 2, _labels() == 2)
  _assert_read(_save(path, picture), expected, colours=True)


def test_the_log_says_which_colour_is_which(path, caplog):
  caplog.set_level(logging.INFO)
  _save(path, _paint(_labels(), RED, GREEN))
  first_masks.read([path], SIZE, colours=True)
  assert 'object 1 is #00c800' in caplog.text
  assert 'object 2 is #c80000' in caplog.text


def test_colours_must_be_asked_for(path):
  _save(path, _paint(_labels(), RED, GREEN))
  _error(path, '(2 besides black: #00c800, #c80000)', 'add --colours')


@pytest.mark.parametrize('colours', [False, True])
def test_too_many_colours(path, colours):
  """As many as 100 are read, 101 are not."""
  picture = np.zeros((*SIZE, 3), np.uint8)
  picture[0, 1:51, 0] = picture[1, 1:51, 1] = np.arange(1, 51)
  _save(path, picture)
  if colours:
    labels, ids = first_masks.read([path], SIZE, colours=True)
    assert ids == tuple(range(1, 101))
    assert labels[1, 1] == 1  # (0, 1, 0).
  picture[2, 2] = 99, 0, 99
  _save(path, picture)
  words = 'a picture of 101 colours', 'anti-aliased', 'nearest neighbour'
  assert '--colours' not in _error(path, *words, colours=colours)


def test_anti_aliased_grey(path):
  blurred = Image.fromarray(_ellipse()).resize((60, 40)).resize((90, 60))
  for mode in ('L', 'RGB'):
    _save(path, blurred.convert(mode))
    _error(path, 'anti-aliased', 'nearest neighbour', size=(60, 90))


@pytest.mark.parametrize('mode', ['L', 'RGB'])
@pytest.mark.parametrize('quality', [30, 75, 95])
def test_black_and_white_jpeg(tmp_path, mode, quality):
  path = tmp_path / 'mask.jpg'
  image = Image.fromarray(_ellipse()).convert(mode)
  labels, ids = first_masks.read([_save(path, image, quality=quality)], SIZE)
  assert ids == (1,)
  assert (labels != _ellipse() // 255).mean() < 0.005


def test_a_jpeg_with_another_picture_behind_it(tmp_path):
  path = tmp_path / 'mask.jpg'
  image = Image.fromarray(_ellipse())
  image.save(path, 'MPO', save_all=True, append_images=[image.rotate(90)])
  labels, _ = first_masks.read([path], SIZE)
  assert (labels != _ellipse() // 255).mean() < 0.005


def test_other_jpegs_are_refused(tmp_path):
  path = tmp_path / 'mask.jpg'
  advice = 'as PNG, or as black and white'
  _save(path, _binary(_labels(), 2), quality=95)
  _error(path, 'a grey JPEG with values from 0 to', advice)
  levels = np.array([0, 128, 255], np.uint8)[_labels()]  # Two objects.
  _error(_save(path, levels, quality=95), 'a grey JPEG', advice)
  picture = Image.fromarray(_paint(_labels(), RED, GREEN))
  _error(_save(path, picture, quality=95), 'a colour JPEG', advice)
  ramp = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
  _error(_save(path, ramp), 'a grey JPEG', advice)


def _objects(tmp_path, *layers):
  """Saves one mask an object, as 0.png, 1.png, ..."""
  return [
    _save(tmp_path / f'{k}.png', layer.astype(np.uint8))
    for k, layer in enumerate(layers)
  ]


def test_one_file_an_object(tmp_path):
  """In any binary form; the order of the files is the order of the ids."""
  labels = _labels()
  one, two, both = labels == 1, labels == 2, np.roll(labels == 2, 20, axis=1)
  paths = _objects(tmp_path, 255 * one, 7 * two, 200 * both)
  expected = one + 2 * two + 3 * both
  _assert_read(paths, expected, (1, 2, 3))
  expected = 3 * one + 2 * two + both
  _assert_read(paths[::-1], expected, (1, 2, 3))


def test_one_coloured_file_an_object(tmp_path):
  labels = _labels()
  paths = [
    _save(tmp_path / 'a.png', _paint(labels == 1, RED)),
    _save(tmp_path / 'b.png', _paint(labels == 2, RED)),
  ]
  _assert_read(paths, labels, colours=True)
  _error(paths, 'add --colours', at=0)


def test_one_of_several_files_holds_one_object(tmp_path):
  paths = _objects(tmp_path, 255 * (_labels() == 1), _labels())
  _error(paths, 'a mask of 2 objects (1, 2)', 'one file for each object')


@pytest.mark.parametrize(('columns', 'warned'), [(1, False), (2, True)])
def test_the_later_file_wins(tmp_path, caplog, columns, warned):
  """An object of 10 columns may lose one of them without a word."""
  below, above = np.zeros((2, *SIZE), bool)
  below[20:35, 40:50] = True
  above[20:35, 50 - columns : 55] = True
  paths = _objects(tmp_path, 255 * below, 255 * above)
  _assert_read(paths, np.where(above, 2, below))
  assert bool(caplog.records) == warned
  if warned:
    assert f'{paths[1]} covers 20 % of the object in {paths[0]}' in caplog.text


def test_a_covered_object_is_an_error(tmp_path):
  one = _labels() == 1
  paths = _objects(tmp_path, 255 * one, 255 * one)
  _error(paths, 'cover completely', 'later files win', at=0)


def test_nothing_to_follow(tmp_path, path):
  empty = np.zeros(SIZE, np.uint8)
  _error(_save(path, empty), 'all background', 'at least one object')
  _error(_save(path, np.dstack([empty] * 3)), 'all background', colours=True)
  paths = _objects(tmp_path, 255 * (_labels() == 1), empty)
  _error(paths, 'all background')
  with pytest.raises(ValueError, match='no mask files'):
    first_masks.read([], SIZE)


def test_a_mask_of_another_size(path):
  big = _labels().repeat(2, axis=0).repeat(2, axis=1)
  masks.write_mask(path, big)
  words = '120x80 pixels', 'Expected 60x40', 'add --resize_mask'
  assert 'turned' not in _error(path, *words)
  _assert_read(path, _labels(), resize=True)


def test_several_masks_of_sizes_of_their_own(tmp_path):
  labels = _labels()
  paths = _objects(tmp_path, 255 * (labels == 1), labels == 2)
  _save(paths[0], Image.open(paths[0]).resize((120, 80), 0))
  _error(paths, '120x80 pixels', at=0)
  _assert_read(paths, labels, resize=True)


@pytest.mark.parametrize(
  ('size', 'fits'), [((40, 61), True), ((40, 62), False), ((39, 60), False)]
)
def test_another_shape_is_refused_even_so(path, size, fits):
  """1.7 % off is rounding; 3 % off is another crop."""
  masks.write_mask(path, 100 * _labels(size))
  if fits:
    labels, ids = first_masks.read([path], SIZE, resize=True)
    assert labels.shape == SIZE
    assert ids == (100, 200)  # Nothing in between, as from interpolation.
  else:
    words = f'{size[1]}x{size[0]} pixels', 'Expected 60x40', 'cropped'
    _error(path, *words, resize=True)


@pytest.mark.parametrize('resize', [False, True])
def test_a_turned_mask_gets_a_hint(path, resize):
  masks.write_mask(path, _labels().T)
  words = '40x60 pixels', 'Expected 60x40', 'rotated by 90 degrees'
  _error(path, *words, resize=resize)


def test_an_object_that_a_resize_loses(path):
  big = np.zeros((400, 600), np.uint8)
  big[100:200, 100:200] = 1
  big[300, 300] = 2
  masks.write_mask(path, big)
  _error(path, 'object 2 is tiny', 'there at 60x40', resize=True)


def test_broken_files_are_named(path):
  _error(path, 'no such file')
  path.write_text('<html>404</html>')
  _error(path, 'not an image')
