"""Parameters of the dense CRF, searched for."""

import csv
import importlib.util

import cv2
import numpy as np
import pytest

from savos_jax import network
from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.evaluation import protocol
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.tools import crf_search
from tests import davis_folders
from tests import tiny_resnets

needs_library = pytest.mark.skipif(
  importlib.util.find_spec('pydensecrf') is None,
  reason='pydensecrf is not installed',
)
SIZE = (40, 56)
NAMES = ('one', 'two', 'three')
SMOOTH = ('--crf_gaussian_sxy=2', '--crf_gaussian_weight=4')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """Noise with a square that moves, and a network."""
  root = tmp_path_factory.mktemp('davis')
  rng = np.random.default_rng(0)
  (root / 'ImageSets/2016').mkdir(parents=True)
  (root / 'ImageSets/2016/train.txt').write_text('\n'.join(NAMES))
  for name in NAMES:
    images = davis_folders.images(root, name)
    annotations = davis_folders.annotations(root, name)
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    for number in range(6):
      frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
      labels = np.zeros(SIZE, np.uint8)
      labels[8:24, 6 + 3 * number : 26 + 3 * number] = 1
      cv2.imwrite(str(images / f'{number:05d}.jpg'), frame)
      masks.write_mask(annotations / f'{number:05d}.png', labels)
  trained = network.Trained(
    tiny_resnets.MODEL, tiny_resnets.decided_params(), 7, False, {}
  )
  network.write(root / 'savos.safetensors', trained)
  return root


def search(root, *more):
  crf_search.main([
    f'--root={root}', f'--checkpoint={root / "savos.safetensors"}', *more,
  ])  # fmt: skip


@needs_library
def test_the_best_of_a_small_search(root, tmp_path, capsys):
  table = tmp_path / 'search.csv'
  search(
    root, '--sequences', 'one', 'three', '--frames=4', '--trials=2',
    f'--csv={table}', *SMOOTH,
  )  # fmt: skip
  with table.open(newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['crf'] for row in rows] == ['False', *['True'] * 3]
  assert float(rows[1]['crf_gaussian_sxy']) == 2.0
  assert len({row['crf_bilateral_srgb'] for row in rows[1:]}) == 3
  out = capsys.readouterr().out
  assert '4 frames of one, three' in out
  best = max(rows[1:], key=lambda row: float(row['j']) + float(row['f']))
  assert f'--crf_bilateral_sxy={best["crf_bilateral_sxy"]}' in out
  # What is scored without the CRF are the tracker's labels.
  config = options.InferenceConfig(short_side=480)
  tracker = tracker_lib.Tracker(
    tiny_resnets.MODEL, tiny_resnets.decided_params(), config
  )

  def predicted_of(video):
    tracker.start(video.frame(0), video.labels(0), (1,))
    return [None, *(tracker.step(video.frame(i)) for i in (1, 2))].__getitem__

  videos = davis.load(root, 'train', '2016')
  videos = [videos[i].first_frames(4) for i in (0, 2)]
  expected = protocol.score_predictions(videos, predicted_of, progress=False)
  assert float(rows[0]['j']) == pytest.approx(expected.j.mean)
  assert float(rows[0]['f']) == pytest.approx(expected.f.mean)
  assert rows[1]['j'] != rows[0]['j']


@needs_library
def test_given_parameters_alone(root, capsys):
  search(
    root, '--sequences', 'two', '--frames=6', '--every=2', '--trials=0', *SMOOTH
  )
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == '1 frames of two'  # 0 and, of those known, the last: not.
  assert lines[-1].startswith(
    '--crf --crf_iterations=12 --crf_gaussian_sxy=2.0'
  )
  best, given = (line.split() for line in lines[-2:-4:-1])
  assert best[1:] == given[2:]


@needs_library
def test_a_sequence_that_is_not_there(root, capsys):
  with pytest.raises(SystemExit):
    search(root, '--sequences', 'four')
  assert 'four is not in train' in capsys.readouterr().err


def test_draws_are_of_the_seed_and_in_their_ranges():
  config = options.InferenceConfig(scales=(0.5,))
  plain, given, *drawn = crf_search.trials(config, 30, seed=3)
  assert not plain.crf
  assert given.crf
  assert drawn == crf_search.trials(config, 30, seed=3)[2:]
  assert drawn != crf_search.trials(config, 30, seed=4)[2:]
  assert len({each.crf_bilateral_sxy for each in drawn}) == 30
  assert all(2 <= each.crf_bilateral_srgb <= 30 for each in drawn)
  assert all(each.crf and each.scales == (0.5,) for each in drawn)
