"""The program that shows dreams: what it writes, and what it refuses."""

import numpy as np
from PIL import Image
import pytest

from savos_jax.data import lucid
from savos_jax.datasets import masks
from savos_jax.tools import dream as dream_tool

SIZE = (48, 64)
CELL = (240, 320)  # Of a picture in the gallery, from SIZE.


@pytest.fixture
def photo(tmp_path):
  """Arguments for a photo of noise with objects 1 and 5."""
  rng = np.random.default_rng(0)
  labels = np.zeros(SIZE, np.uint8)
  labels[8:20, 10:24] = 1
  labels[30:42, 36:56] = 5
  frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
  Image.fromarray(frame).save(tmp_path / 'photo.png')
  masks.write_mask(tmp_path / 'mask.png', labels)
  return [
    f'--image={tmp_path / "photo.png"}',
    f'--mask={tmp_path / "mask.png"}',
    f'--out={tmp_path / "out"}',
  ]


def read(tmp_path, name='gallery.png'):
  return np.asarray(Image.open(tmp_path / 'out' / name))


def cells_along(picture, axis, length):
  """How many pictures lie along an axis, from the white gaps between them."""
  other = 1 - axis
  filled = (picture != 255).any(axis=(other, 2)).astype(int)
  edges = np.flatnonzero(np.diff(filled, prepend=0, append=0))
  runs = edges[1::2] - edges[::2]
  return int((runs == length).sum())


def refused(arguments, capsys):
  with pytest.raises(SystemExit) as caught:
    dream_tool.main(arguments)
  assert caught.value.code == 2
  printed = capsys.readouterr()
  assert printed.err.startswith('error: ')
  assert 'Traceback' not in printed.err
  return printed.err


def test_the_gallery_has_a_row_a_dream(photo, tmp_path, capsys):
  dream_tool.main([*photo, '--count=3'])
  picture = read(tmp_path)
  assert cells_along(picture, 0, CELL[0]) == 3
  assert cells_along(picture, 1, CELL[1]) == 4
  printed = capsys.readouterr().out
  assert str(tmp_path / 'out' / 'gallery.png') in printed
  assert 'dreams/s' in printed
  assert [path.name for path in (tmp_path / 'out').glob('[!.]*')] == [
    'gallery.png'
  ]


def test_more_targets_have_more_columns_and_a_size_its_shape(photo, tmp_path):
  dream_tool.main([*photo, '--count=1', '--targets=3', '--height=24'])
  assert cells_along(read(tmp_path), 1, CELL[1]) == 6
  dream_tool.main([*photo, '--count=1', '--height=90', '--width=45'])
  picture = read(tmp_path)  # Replaced: the folder was there.
  assert cells_along(picture, 0, 320) == 1
  assert cells_along(picture, 1, 160) == 4


def test_steps_have_a_row_each(photo, tmp_path):
  dream_tool.main([*photo, '--count=1', '--steps', '--moving', '1', '5', '1'])
  picture = read(tmp_path, 'steps.png')
  captions = picture.shape[1] - 5 * (CELL[1] + 4)  # Step 5 has five pictures.
  assert 10 < captions < 60
  first = picture[:, captions + 4 :][:, : CELL[1]]
  assert cells_along(first, 0, CELL[0]) == 6  # Five steps and the close-up.


def test_a_dream_depends_on_seed_and_number_alone(photo, tmp_path):
  rows = {}
  for count, seed in ((1, 0), (2, 0), (1, 7)):
    dream_tool.main([*photo, f'--count={count}', f'--seed={seed}'])
    rows[count, seed] = read(tmp_path)
  height = rows[1, 0].shape[0]
  np.testing.assert_array_equal(rows[1, 0], rows[2, 0][:height])
  assert (rows[1, 0] != rows[1, 7]).any()


def test_arguments_reach_the_dreams(photo, monkeypatch):
  seen = []
  make = lucid.dream

  def recorded(frame, labels, rng, config, **arguments):
    seen.append((config.merge, arguments))
    return make(frame, labels, rng, config, **arguments)

  monkeypatch.setattr(lucid, 'dream', recorded)
  dream_tool.main(
    [*photo, '--count=12', '--merge=feather', '--width=32', '--targets=2']
  )
  dream_tool.main([*photo, '--count=1', '--moving', '5', '5'])
  assert {merge for merge, _ in seen[:12]} == {'feather'}
  assert {call['size'] for _, call in seen[:12]} == {(24, 32)}
  assert {call['targets'] for _, call in seen[:12]} == {2}
  assert {call['moving'] for _, call in seen[:12]} == {(1,), (5,), (1, 5)}
  assert seen[12][0] == 'poisson'
  assert seen[12][1]['moving'] == (5,)


@pytest.mark.parametrize(
  ('argument', 'found'),
  [
    ('--count=0', '--count is 0'),
    ('--targets=0', '--targets is 0'),
    ('--width=-3', '--width is -3'),
    ('--seed=-1', '--seed is -1'),
    ('--moving=2', 'names 2, but'),
  ],
)
def test_values_out_of_range_are_named(photo, capsys, argument, found):
  message = refused([*photo, argument], capsys)
  assert found in message


def test_a_missing_file_is_named(photo, capsys):
  message = refused([*photo, '--image=nowhere.jpg'], capsys)
  assert 'nowhere.jpg: no such file' in message
  message = refused([*photo, '--mask=nowhere.png'], capsys)
  assert 'nowhere.png: no such file' in message


def test_a_mask_of_another_size_shows_both(photo, tmp_path, capsys):
  masks.write_mask(tmp_path / 'mask.png', np.ones((30, 20), np.uint8))
  message = refused(photo, capsys)
  assert '20x30' in message
  assert '64x48' in message


def test_an_empty_mask_is_refused(photo, tmp_path, capsys):
  masks.write_mask(tmp_path / 'mask.png', np.zeros(SIZE, np.uint8))
  assert 'mask.png: the mask is empty' in refused(photo, capsys)
  assert not (tmp_path / 'out').exists()


def test_a_file_in_the_place_of_the_folder_is_named(photo, tmp_path, capsys):
  (tmp_path / 'out').write_text('in the way')
  message = refused([*photo, '--count=1'], capsys)
  assert str(tmp_path / 'out') in message


def test_ctrl_c_ends_without_a_traceback(photo, monkeypatch, capsys):
  def interrupted(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(lucid, 'dream', interrupted)
  with pytest.raises(SystemExit) as caught:
    dream_tool.main(photo)
  assert caught.value.code == 130
  assert capsys.readouterr().err.strip().endswith('interrupted')


def test_the_smallest_photo(photo, tmp_path):
  Image.new('RGB', (1, 1)).save(tmp_path / 'photo.png')
  masks.write_mask(tmp_path / 'mask.png', np.ones((1, 1), np.uint8))
  dream_tool.main([*photo, '--count=2', '--steps'])
  assert read(tmp_path, 'steps.png').size
