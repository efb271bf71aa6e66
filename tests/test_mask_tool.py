"""A first mask from the command line: the grid, the mask, the next command."""

import shlex

import cv2
import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.pictures import grid
from savos_jax.pictures import pointers
from savos_jax.tools import mask
from savos_jax.tools import segment

SIZE = (48, 64)


@pytest.fixture
def clip(tmp_path):
  """A folder of two frames with a red rectangle that moves."""
  folder = tmp_path / 'a clip'
  folder.mkdir()
  rng = np.random.default_rng(0)
  for number in range(2):
    frame = rng.integers(60, 90, (*SIZE, 3), np.uint8)
    frame[10:30, 5 + 9 * number : 25 + 9 * number] += np.uint8([0, 0, 150])
    cv2.imwrite(str(folder / f'{number:05d}.png'), frame)
  return folder


def run(clip, out, *flags):
  mask.main([f'--video={clip}', f'--out={out}', *flags])


def test_without_a_box_only_the_grid(clip, tmp_path, capsys):
  run(clip, tmp_path / 'out', '--frame=1')
  (path,) = (tmp_path / 'out').glob('*.png')
  assert path.name == 'grid_00001.png'
  assert '--box left,top,right,bottom' in capsys.readouterr().out


def test_mask_overlay_and_the_next_command(clip, tmp_path, capsys):
  out = tmp_path / 'out'
  run(clip, out, '--box', '3,8,27,32', '--points', '1:15,20', '1:24,20@1')
  names = {path.name for path in out.glob('*.png')}
  assert names == {
    f'{kind}_0000{number}.png'
    for kind in ('frame', 'mask', 'overlay')
    for number in range(2)
  }
  for number in range(2):
    labels = masks.read_mask(out / f'mask_0000{number}.png')
    drawn = np.zeros(SIZE, bool)
    drawn[10:30, 5 + 9 * number : 25 + 9 * number] = True
    assert (labels[drawn] == 1).mean() > 0.9
    assert (labels[~drawn] == 0).mean() > 0.95
  frame = cv2.imread(str(out / 'frame_00001.png'))
  np.testing.assert_array_equal(frame, cv2.imread(str(clip / '00001.png')))
  # The command that it prints is one that segment takes.
  command = shlex.split(capsys.readouterr().out.splitlines()[-1])
  assert command[:3] == ['python', '-m', 'savos_jax.tools.segment']
  arguments = segment._parse(command[3:])
  assert arguments.video == clip
  assert arguments.mask == [[
    f'{out}/mask_00000.png', f'00001={out}/mask_00001.png',
  ]]  # fmt: skip


def test_files_of_somebody_else_stay(clip, tmp_path, capsys):
  by_hand = tmp_path / 'mask_00000.png'
  by_hand.write_bytes(b'by hand')
  with pytest.raises(SystemExit, match='2'):
    run(clip, tmp_path, '--box', '3,8,27,32')
  assert 'mask_00000.png' in capsys.readouterr().err
  assert by_hand.read_bytes() == b'by hand'
  by_hand.unlink()
  run(clip, tmp_path, '--box', '3,8,27,32')
  run(clip, tmp_path, '--box', '3,8,27,33')  # Its own are replaced.


def test_a_mistake_is_one_line(clip, tmp_path, capsys):
  with pytest.raises(SystemExit, match='2'):
    run(clip, tmp_path / 'out', '--box', '3,8,27,32@9')
  assert "no frame '9'" in capsys.readouterr().err
  assert not list((tmp_path / 'out').glob('*.png'))


def test_the_grid_has_its_lines_where_the_numbers_say():
  frame = np.full((40, 100, 3), 50, np.uint8)
  drawn = grid.draw(frame)
  times = 9
  left, top = (
    total - times * side
    for total, side in zip(drawn.shape[1::-1], (100, 40), strict=True)
  )
  lines = (drawn[top + 5, left:, 0] == 140).nonzero()[0]
  np.testing.assert_array_equal(lines, np.arange(0, 100, 10) * times)
  for size in ((1, 1), (2160, 3840)):
    large = grid.draw(np.zeros((*size, 3), np.uint8))
    assert large.shape[0] > size[0]


def test_pointers_show_the_box_and_both_kinds_of_points():
  picture = np.full((60, 80, 3), 100, np.uint8)
  red = (255, 0, 0)
  drawn = pointers.draw(picture, red, (10, 10, 70, 50), [(30, 30)], [(60, 20)])
  assert tuple(drawn[10, 40]) == tuple(drawn[49, 40]) == red
  assert tuple(drawn[30, 10]) == tuple(drawn[30, 69]) == red
  assert tuple(drawn[30, 30]) == red
  assert tuple(drawn[20, 58]) == (255, 255, 255)
  assert (picture == 100).all()
