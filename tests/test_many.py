"""A list of videos, one after another."""

import numpy as np
import pytest

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.inference import tracker as tracker_lib
from savos_jax.tools import segmenting
from tests import video_lists
from tests.video_lists import made
from tests.video_lists import results
from tests.video_lists import run
from tests.video_lists import statuses


@pytest.fixture
def path(tmp_path):
  return video_lists.write(tmp_path, {'a': 3, 'b': 3, 'c': 3})


def test_a_failed_video_stops_no_other(path, tmp_path, capsys):
  out, mask = tmp_path / 'out', tmp_path / 'b.png'
  right = mask.read_bytes()
  masks.write_mask(mask, np.ones((8, 8), np.uint8))
  with pytest.raises(SystemExit, match='2'):
    run(path, out)
  told = capsys.readouterr()
  assert '1 of 3 videos: failed: b.' in told.err
  line, *_ = [line for line in told.out.split('\n') if line.startswith('b: ')]
  for part in ('failed, 0 frames', 'a mask of 8x8 pixels'):
    assert part in line
  assert statuses(out) == ['a done 3', 'b failed 0', 'c done 3']
  assert len(results(out)) == 6
  # Neither forgotten nor overwritten by mistake.
  with pytest.raises(SystemExit, match='2'):
    run(path, out)
  assert '--resume continues' in capsys.readouterr().err
  mask.write_bytes(right)
  before = made(out, 'a/masks/00001.png')
  run(path, out, '--resume')
  assert statuses(out) == ['a done 3', 'b done 3', 'c done 3']
  assert made(out, 'a/masks/00001.png') == before
  # Each is what it is alone.
  run(path, tmp_path / 'again')
  assert results(tmp_path / 'again') == results(out)
  run(path, out, '--overwrite')
  assert made(out, 'a/masks/00001.png') != before


def test_the_network_is_loaded_once(path, tmp_path, monkeypatch):
  loaded, params = [], set()
  load, tracker = network.load, tracker_lib.Tracker
  monkeypatch.setattr(
    network, 'load', lambda path: loaded.append(path) or load(path)
  )

  def noted(model, weights, *more):
    params.add(id(weights))
    return tracker(model, weights, *more)

  monkeypatch.setattr(tracker_lib, 'Tracker', noted)
  run(path, tmp_path / 'out')
  assert len(loaded) == len(params) == 1


def test_an_interrupted_list_goes_on(path, tmp_path, capsys, monkeypatch):
  original, left = tracker_lib.step_together, iter(range(3))

  def interrupted(*arguments):
    if next(left, None) is None:
      raise KeyboardInterrupt
    return original(*arguments)

  monkeypatch.setattr(tracker_lib, 'step_together', interrupted)
  out = tmp_path / 'out'
  with pytest.raises(SystemExit, match='130'):
    run(path, out)
  monkeypatch.setattr(tracker_lib, 'step_together', original)
  assert statuses(out) == ['a done 3', 'b incomplete 2', 'c not begun 0']
  assert '--resume continues' in capsys.readouterr().err
  first = made(out, 'b/masks/00000.png')
  run(path, out, '--resume')
  assert statuses(out) == ['a done 3', 'b done 3', 'c done 3']
  assert made(out, 'b/masks/00000.png') == first
  run(path, tmp_path / 'whole')
  assert results(out) == results(tmp_path / 'whole')


def test_a_mistake_in_the_program_stops_no_other(
  path, tmp_path, monkeypatch, caplog
):
  original = segmenting.into_folder

  def wrong(arguments, load, bar):
    if arguments.out.name == 'b':
      raise ZeroDivisionError('of ours')
    return original(arguments, load, bar)

  monkeypatch.setattr(segmenting, 'into_folder', wrong)
  with pytest.raises(SystemExit, match='2'):
    run(path, tmp_path / 'out')
  assert statuses(tmp_path / 'out')[1:] == ['b failed 0', 'c done 3']
  assert 'ZeroDivisionError: of ours' in caplog.text


def test_a_list_of_incomplete_videos_ends_with_status_3(
  path, tmp_path, monkeypatch
):
  original = segmenting.into_folder

  def incomplete(arguments, load, bar):
    original(arguments, load, bar)
    if arguments.out.name == 'a':
      raise segmenting.errors.Incomplete('frame 2 is missing')

  monkeypatch.setattr(segmenting, 'into_folder', incomplete)
  with pytest.raises(SystemExit, match='3'):
    run(path, tmp_path / 'out')
  assert statuses(tmp_path / 'out')[0] == 'a incomplete 3'


def test_nothing_of_others_is_replaced(path, tmp_path, capsys):
  out = tmp_path / 'out'
  out.mkdir()
  (out / 'summary.csv').write_text('mine')
  with pytest.raises(SystemExit, match='2'):
    run(path, out, '--overwrite')
  assert 'summary.csv' in capsys.readouterr().err
  assert (out / 'summary.csv').read_text() == 'mine'


def test_from_a_store_into_a_store(path, tmp_path, capsys, monkeypatch):
  run(path, tmp_path / 'here')
  store = tmp_path / 'store'
  text = path.read_text().replace('\nb,b.png', f'\nfile://{tmp_path}/b,'
                                  f'0=file://{tmp_path}/b.png')  # fmt: skip
  path.write_text(text)
  url = f'file://{store}'
  original = segmenting.into_folder

  def lost(arguments, load, bar):
    original(arguments, load, bar)
    if arguments.video.endswith('c'):
      raise ZeroDivisionError  # After its masks, before they are uploaded.

  monkeypatch.setattr(segmenting, 'into_folder', lost)
  with pytest.raises(SystemExit, match='2'):
    run(path, url)
  assert statuses(store) == ['a done 3', 'b done 3', 'c failed 3']
  assert not (store / 'c').exists()
  monkeypatch.setattr(segmenting, 'into_folder', original)
  with pytest.raises(SystemExit, match='2'):
    run(path, url)
  assert '--resume continues' in capsys.readouterr().err
  # Half an upload counts for nothing: the file that ends it is not there.
  (store / 'b' / 'done.json').unlink()
  (store / 'b' / 'masks' / '00002.png').unlink()
  before = made(store, 'a/masks/00000.png')
  run(path, url, '--resume')
  assert statuses(store) == ['a done 3', 'b done 3', 'c done 3']
  assert results(store) == results(tmp_path / 'here')
  assert made(store, 'a/masks/00000.png') == before
  # Of another input, results are not taken for those of this one.
  masks.write_mask(tmp_path / 'a.png', np.ones(video_lists.SIZE, np.uint8))
  with pytest.raises(SystemExit, match='2'):
    run(path, url, '--resume')
  assert 'was made with other settings' in capsys.readouterr().out
  run(path, url, '--overwrite')
  assert results(store) != results(tmp_path / 'here')
