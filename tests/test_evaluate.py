"""An evaluation of data whose annotations are not whole, by a tiny network."""

import json
import logging
import multiprocessing
import pathlib
import shutil

import numpy as np
import pytest

from savos_jax import evaluate
from savos_jax import network
from savos_jax import opening
from savos_jax import splits
from savos_jax.configs import default
from savos_jax.datasets import masks
from savos_jax.foundation import cores
from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.foundation import memory
from savos_jax.foundation import workers
from tests import davis_folders
from tests import tiny_resnets


@pytest.fixture
def config(monkeypatch):
  """Of an evaluation of DAVIS 2017 by a network of random weights."""
  model = tiny_resnets.MODEL
  params = tiny_resnets.network_params(model)
  trained = network.Trained(model, params, 0, False, {})
  monkeypatch.setattr(network, 'load', lambda *_: trained)
  config = default.get_config()
  config.eval.checkpoint = 'any'
  config.eval.video = False
  return config


def _annotate(root, name, numbers):
  """Leaves a sequence the masks of some frames."""
  for path in davis_folders.annotations(root, name).iterdir():
    if int(path.stem) not in numbers:
      path.unlink()


def test_of_a_test_set_masks_are_written_and_nothing_is_scored(
  config, davis_folder, tmp_path, caplog
):
  root = davis_folder(splits={'test-dev': 2}, frames=4)
  for name in ('test-dev0', 'test-dev1'):
    _annotate(root, name, (0,))
  config.data.root, config.data.val_split = str(root), 'test-dev'
  with caplog.at_level(logging.INFO, 'savos_jax'):
    assert evaluate.evaluate(config, tmp_path) is None
  results = tmp_path / 'results'
  for name in ('test-dev0', 'test-dev1'):
    written = sorted(p.name for p in (results / 'masks' / name).iterdir())
    assert written == [f'{index:05d}.png' for index in range(4)]
  assert {path.name for path in results.iterdir() if path.name[0] != '.'} == {
    'masks', 'strips', 'run.json', 'speed.json',
  }  # fmt: skip
  assert (
    'test-dev: test-dev0, test-dev1 have no annotations beyond the first '
    f'frame: not scored; masks are in {results / "masks"}'
  ) in caplog.text


def test_a_sequence_that_is_not_scored_beside_one_that_is(
  config, davis_folder, tmp_path, capsys
):
  root = davis_folder(splits={'val': 2}, frames=6)
  _annotate(root, 'val0', (0,))
  _annotate(root, 'val1', (0, 3, 5))
  config.data.root = str(root)
  scores = evaluate.evaluate(config, tmp_path)
  note = 'val0 has no annotations beyond the first frame: not scored'
  assert scores.notes == (note,)
  assert 'mean of 1 ' in capsys.readouterr().out
  found = json.loads((tmp_path / 'results' / 'scores.json').read_text())
  assert found['notes'] == [note]
  assert found['sequences']['val0_1']['J']['mean'] is None
  assert found['videos']['val1']['frames'] == ['00003']
  page = (tmp_path / 'results' / 'report.html').read_text()
  assert f'Note: {note}.' in page
  assert 'mean of 1<' in page
  assert 'Not scored.' in page
  assert 'Frame 3: J' in page  # Its number in the video, not among the scored.
  assert page.count('<img') == 3


def test_objects_that_appear_later_are_segmented_and_scored(
  config, davis_folder, tmp_path, caplog
):
  root = davis_folder(splits={'val': 1}, frames=5, size=(48, 64))
  for index in (2, 3, 4):
    path = davis_folders.annotations(root, 'val0') / f'{index:05d}.png'
    labels = masks.read_mask(path).copy()
    labels[-12:, -12:] = 3
    masks.write_mask(path, labels)
    drawn = labels == 3
  config.data.root = str(root)
  config.eval.strips = False
  with caplog.at_level(logging.INFO, 'savos_jax'):
    scores = evaluate.evaluate(config, tmp_path / 'davis')
  note = 'val0: object 3 appears at 00002: not scored (DAVIS 2017 rules)'
  assert f'note: {note}' in caplog.text
  assert [score.name for score in scores.objects] == ['val0_1']

  config.data.source = 'youtube_vos'
  scores = evaluate.evaluate(config, tmp_path / 'youtube')
  assert not scores.notes
  assert [(s.name, s.frames) for s in scores.objects] == [
    ('val0_1', ('00001', '00002', '00003', '00004')),
    ('val0_3', ('00003', '00004')),
  ]
  folder = tmp_path / 'youtube' / 'results' / 'masks' / 'val0'
  written = [masks.read_mask(folder / f'{index:05d}.png') for index in range(5)]
  assert not any((labels == 3).any() for labels in written[:2])
  np.testing.assert_array_equal(written[2] == 3, drawn)
  page = (tmp_path / 'youtube' / 'results' / 'report.html').read_text()
  assert 'YouTube-VOS' in page
  (video,) = opening.load_split(config, tmp_path, 'val')
  assert video.appearances == {0: (1,), 2: (3,)}
  assert video.first_frames(2).appearances == {0: (1,)}


def test_training_takes_what_is_annotated(davis_folder, tmp_path):
  root = davis_folder(splits={'train': 2}, frames=6)
  _annotate(root, 'train0', (0, 5))
  _annotate(root, 'train1', (0,))
  config = default.get_config()
  config.data.root = str(root)
  config.sampling.crop_size = (32, 32)
  config.sampling.dream_only_steps = 0
  config.sampling.dream_fraction = 0.0
  for source in ('davis', 'youtube_vos'):
    config.data.source = source
    sampler = opening.make_sampler(config, tmp_path)
    assert {str(sampler.describe(index)) for index in range(20)} == {
      f'clip of train0 (object 1, frames {a} -> {b})'
      for a, b in (('00000', '00005'), ('00005', '00000'))
    }
    assert sampler.example(0)['masks'].any()
  (root / 'train').mkdir()
  for part in ('JPEGImages', 'Annotations'):
    shutil.move(root / part / '480p', root / 'train' / part)
  names = [v.name for v in opening.load_split(config, tmp_path, 'train')]
  assert names == ['train0', 'train1']


@pytest.mark.usefixtures('library_promotion')  # Optax counts on it.
def test_the_time_of_online_learning_is_told(config, davis_folder, tmp_path):
  config.data.root = str(davis_folder(splits={'val': 1}, frames=4))
  config.data.val_split = 'val'
  config.online.steps = 1
  evaluate.evaluate(config, tmp_path)
  speed = json.loads((tmp_path / 'results' / 'speed.json').read_text())
  assert speed['learning_seconds'] > 0


@pytest.mark.skipif(not cores.can_bind(), reason='needs processes with cores')
def test_side_by_side_in_processes(config, davis_folder, tmp_path, caplog):
  root = davis_folder(splits={'val': 3}, frames=4)
  config.data.root = str(root)
  config.eval.strips = config.eval.report = False
  found = {}
  for jobs in (1, 2):
    config.eval.jobs = jobs
    with caplog.at_level(logging.INFO, 'savos_jax'):
      scores = evaluate.evaluate(config, tmp_path / str(jobs))
    found[jobs] = [score.j for score in scores.objects]
  np.testing.assert_allclose(found[1], found[2], atol=0.02)
  assert '; 2 processes' in caplog.text
  results = tmp_path / '2' / 'results'
  speed = json.loads((results / 'speed.json').read_text())
  assert [speed[name] for name in ('jobs', 'sequences', 'frames')] == [2, 3, 12]
  assert 0 < speed['network_share'] < 1
  assert not multiprocessing.active_children()
  # All masks count as its own: another evaluation may replace them.
  written = manifests.Manifest(results).written()
  assert len([path for path in written if path.suffix == '.png']) == 12

  frame = root / 'JPEGImages' / '480p' / 'val1' / '00002.jpg'
  frame.write_bytes(b'damaged')
  with pytest.raises(errors.SavosError, match=r'val1/00002\.jpg'):
    evaluate.evaluate(config, tmp_path / '2')
  assert not multiprocessing.active_children()


def test_a_lost_process_is_told(config, davis_folder, tmp_path, monkeypatch):
  config.data.root = str(davis_folder(splits={'val': 2}, frames=4))
  config.eval.jobs = 2

  def lost(begin, setup, tasks, shares):
    yield workers.Begun(1)
    yield workers.Lost(1, 'its process was ended')

  monkeypatch.setattr(workers, 'run', lost)
  with pytest.raises(
    errors.SavosError, match=r'val1: its process was ended.\n  Expected memory'
  ):
    evaluate.evaluate(config, tmp_path)


def test_how_many_processes(config, davis_folder, tmp_path, monkeypatch):
  config.data.root = str(
    davis_folder(splits={'val': 12}, size=(480, 854), objects=3, frames=1)
  )
  videos = opening.load_split(config, tmp_path, 'val')
  monkeypatch.setattr(cores, 'can_bind', lambda: True)
  monkeypatch.setattr(cores, 'usable', lambda: [(i,) for i in range(16)])
  monkeypatch.setattr(memory, 'free_gib', lambda: 14.0)

  def count(jobs=0, **more):
    config.eval.jobs = jobs
    config.eval.update(more)
    made = splits.Network(tiny_resnets.MODEL, {}, '', 0, False)
    work = splits.Work(config, made, pathlib.Path(), ())
    return splits.count_jobs(work, videos)

  assert [count(1), count(5), count(20)] == [1, 5, 12]
  # Three objects of 480x854 take about 3 GiB, one 1.5.
  assert [count(), count(chunk=1)] == [4, 9]
  monkeypatch.setattr(splits.jax, 'default_backend', lambda: 'gpu')
  assert count() == 1
