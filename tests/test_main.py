"""The program as a user starts it."""

import csv
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import cv2
from ml_collections import config_dict
import numpy as np
import pytest

from savos_jax import main
from savos_jax import opening
from savos_jax.configs import default
from savos_jax.configs import smoke
from savos_jax.datasets import masks
from savos_jax.foundation import errors

pytestmark = pytest.mark.slow

REPOSITORY = pathlib.Path(__file__).parents[1]
CONFIGS = sorted(
  path.stem
  for path in (REPOSITORY / 'configs').glob('*.py')
  if path.stem != '__init__'
)


def start(*arguments, timeout=300):
  return subprocess.run(
    [sys.executable, '-m', 'savos_jax.main', *arguments],
    cwd=REPOSITORY,
    env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )


@pytest.fixture(scope='module')
def smoke_run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('smoke')
  result = start('--config=configs/smoke.py', f'--workdir={workdir}')
  assert result.returncode == 0, result.stdout + result.stderr
  return workdir, result


def test_workdir_gets_config_logs_checkpoints_and_results(smoke_run):
  workdir, _ = smoke_run
  saved = json.loads((workdir / 'config.json').read_text())
  assert saved['train']['steps'] == smoke.get_config().train.steps
  assert list((workdir / 'logs').glob('events.out.tfevents.*'))
  assert 'step 4/4' in (workdir / 'logs' / 'log.txt').read_text()
  assert (workdir / 'checkpoints' / '4').is_dir()
  results = workdir / 'results'
  videos = opening.load_split(smoke.get_config(), workdir, 'val')
  for video in videos:
    written = sorted((results / 'masks' / video.name).iterdir())
    assert [p.stem for p in written] == [p.stem for p in video.frames]
    labels = masks.read_mask(written[-1])
    assert labels.shape == (video.height, video.width)
    assert cv2.imread(str(results / 'strips' / f'{video.name}.png')) is not None
    reader = cv2.VideoCapture(str(results / 'videos' / f'{video.name}.mp4'))
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == len(video)
    reader.release()


def test_tensorboard_gets_the_scores_and_strips(smoke_run):
  pytest.importorskip('tensorboard', reason='tensorboard is not installed')
  from tensorboard.backend.event_processing import event_accumulator
  from tensorboard.util import tensor_util

  workdir, _ = smoke_run
  scores = json.loads((workdir / 'results' / 'scores.json').read_text())
  # The training writes one file, the evaluation after it another.
  files = sorted((workdir / 'logs').glob('events.out.tfevents.*'))
  events = event_accumulator.EventAccumulator(str(files[-1])).Reload()
  for name in ('J', 'F', 'J&F'):
    (event,) = events.Tensors(f'evaluation/{name}')
    assert event.step == 4
    found = float(tensor_util.make_ndarray(event.tensor_proto))
    expected = scores['global'][name]
    if isinstance(expected, dict):
      expected = expected['mean']
    np.testing.assert_allclose(found, expected, rtol=1e-6)
  for video in opening.load_split(smoke.get_config(), workdir, 'val'):
    (event,) = events.Tensors(f'evaluation/{video.name}')
    picture = tensor_util.make_ndarray(event.tensor_proto)[2]
    picture = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    strip = cv2.imread(
      str(workdir / 'results' / 'strips' / f'{video.name}.png')
    )
    np.testing.assert_array_equal(picture, strip)


def test_scores_are_printed_and_written_in_every_form(smoke_run):
  workdir, result = smoke_run
  results = workdir / 'results'
  scores = json.loads((results / 'scores.json').read_text())
  assert set(scores) >= {'global', 'sequences', 'videos'}
  assert scores['protocol'] == 'davis2017'
  assert set(scores['global']) == {'J', 'F', 'J&F'}
  videos = opening.load_split(smoke.get_config(), workdir, 'val')
  names = [f'{v.name}_{i}' for v in videos for i in v.object_ids]
  assert list(scores['sequences']) == names
  means = []
  for name in names:
    entry = scores['sequences'][name]
    assert name in result.stdout
    assert len(entry['frames']['J']) == len(entry['frames']['F']) == 3
    np.testing.assert_allclose(
      entry['J']['mean'], np.mean(entry['frames']['J'])
    )
    assert set(entry['F']) == {'mean', 'recall', 'decay'}
    means.append(entry['J']['mean'])
  np.testing.assert_allclose(scores['global']['J']['mean'], np.mean(means))
  for title in ('first mask copied', 'all background'):
    assert title in result.stdout
  with (results / 'global_results-val.csv').open() as file:
    (row,) = csv.DictReader(file)
  assert abs(float(row['J-Mean']) - np.mean(means)) < 1e-3


def test_processes_of_grain_train_as_tf_data_does(smoke_run, tmp_path):
  pytest.importorskip('grain')
  done = start(
    '--config=smoke', f'--workdir={tmp_path}', '--mode=train',
    '--config.data.loader=grain',
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr

  def losses(workdir):
    log = (workdir / 'logs' / 'log.txt').read_text()
    return re.findall(r'step \d/4 .* loss (\S+)', log)

  assert losses(tmp_path) == losses(smoke_run[0])
  assert len(losses(tmp_path)) == 2


def test_evaluate_alone_gives_the_same_scores(smoke_run):
  workdir, _ = smoke_run
  path = workdir / 'results' / 'scores.json'
  before = json.loads(path.read_text())
  path.unlink()
  result = start(
    '--config=configs/smoke.py', f'--workdir={workdir}', '--mode=evaluate'
  )
  assert result.returncode == 0, result.stderr
  assert json.loads(path.read_text()) == before


SMOKE = '--config=configs/smoke.py'
DAVIS17 = '--config=configs/davis17.py'


@pytest.mark.parametrize(
  ('arguments', 'expected'),
  [
    ([DAVIS17], ['config.data.root', 'JPEGImages', 'davischallenge.org']),
    ([DAVIS17, '--config.data.root=nowhere'], ['nowhere', 'JPEGImages']),
    ([SMOKE, '--mode=evaluate'], ['checkpoints', '--mode=train']),
    ([SMOKE, '--config.model.stride_variant=v3'], ['stride_variant', 'v1.5']),
    ([SMOKE, '--config.train.stepz=3'], ['stepz']),
    ([SMOKE, '--config.train.steps=many'], ['many']),
    (['--config=configs/absent.py'], ['absent.py', 'no such file']),
    (['--config=./configs'], ['configs: a folder']),
    (['--config=davis17:stage'], ['no stages']),
    (['--config=shipped:stage'], ["pairs.py:stage: expected 'held_out'"]),
    (['--config=tests/davis_folders.py'], ['get_config()']),
    (['--config=README.md'], ['README.md, line ']),
    ([SMOKE, 'extra'], ['extra']),
    ([], ['--config']),
  ],
)
def test_mistakes_are_explained_without_a_traceback(
  tmp_path, arguments, expected
):
  result = start(f'--workdir={tmp_path / "w"}', *arguments)
  assert result.returncode != 0
  assert 'Traceback' not in result.stderr
  for text in expected:
    assert text in result.stderr


def test_a_file_as_workdir_is_refused(tmp_path):
  (tmp_path / 'file').write_text('mine')
  result = start('--config=configs/smoke.py', f'--workdir={tmp_path / "file"}')
  assert result.returncode == 2
  assert 'Traceback' not in result.stderr
  assert '--workdir' in result.stderr
  assert (tmp_path / 'file').read_text() == 'mine'


def give_flags(monkeypatch, workdir, config, mode='train'):
  """Calls of `main.main` have these."""
  flags = {
    '_WORKDIR': str(workdir),
    '_CONFIG': config,
    '_MODE': mode,
    '_DISTRIBUTED': False,
  }
  for flag, value in flags.items():
    monkeypatch.setattr(main, flag, types.SimpleNamespace(value=value))


@pytest.mark.parametrize(
  ('raised', 'code'),
  [(KeyboardInterrupt(), 130), (errors.SavosError('mend it'), 2)],
)
def test_exit_codes(monkeypatch, tmp_path, capsys, raised, code):
  def run(*_):
    raise raised

  monkeypatch.setattr(main, 'run', run)
  monkeypatch.setattr(main, 'configure_logging', lambda _: None)
  give_flags(monkeypatch, tmp_path, smoke.get_config())
  with pytest.raises(SystemExit) as caught, errors.reported():
    main.main(['main'])
  assert caught.value.code == code
  assert str(raised) in capsys.readouterr().err


@pytest.mark.parametrize('mode', ['train', 'train_and_evaluate', 'evaluate'])
@pytest.mark.parametrize(
  ('section', 'field', 'value'),
  [
    ('eval', 'aggregation', 'nonsense'),
    ('train', 'keep_checkpoints', -1),
    ('lucid', 'band', 0),
  ],
)
def test_nothing_is_made_where_any_field_is_wrong(
  monkeypatch, tmp_path, capsys, section, field, value, mode
):
  config = smoke.get_config()
  config[section][field] = value
  give_flags(monkeypatch, tmp_path / 'run', config, mode)
  with pytest.raises(SystemExit) as caught, errors.reported():
    main.main(['main'])
  assert caught.value.code == 2
  assert capsys.readouterr().err.startswith(
    f'error: config.{section}.{field} is {value!r}.\n  Expected '
  )
  assert not list(tmp_path.iterdir())


def test_help_names_the_flags():
  result = start('--help')
  for text in ('--config', '--workdir', 'train_and_evaluate', 'evaluate'):
    assert text in result.stdout + result.stderr


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_is_a_diff_from_the_default(name):
  config = importlib.import_module(f'configs.{name}').get_config()

  def fields(tree, prefix=''):
    for key, value in tree.items():
      if isinstance(value, config_dict.ConfigDict):
        yield from fields(value, f'{prefix}{key}.')
      else:
        yield prefix + key

  assert set(fields(config)) == set(fields(default.get_config()))
  with pytest.raises(AttributeError):
    config.train.stepz = 1
  assert importlib.import_module(f'configs.{name}').__doc__


def test_importing_the_network_takes_no_tensorflow():
  code = (
    'import sys; import savos_jax.models.savos, savos_jax.video.engine; '
    "sys.exit('tensorflow' in sys.modules)"
  )
  assert subprocess.run([sys.executable, '-c', code], check=False,
                        cwd=REPOSITORY).returncode == 0  # fmt: skip


@pytest.mark.usefixtures('library_promotion')
def test_real_multi_object_sequence_trains_and_evaluates(savos_data, tmp_path):
  config = smoke.get_config()
  config.data.source = 'davis'
  config.data.root = str(savos_data / 'DAVIS17-240p')
  config.data.resolution = '240p'
  # One background a frame: making them takes most of this test's time.
  config.sampling.dream_subsets = 1
  config.eval.baselines = ()
  config.eval.video = False
  main.run(config, tmp_path, 'train_and_evaluate')
  scores = json.loads((tmp_path / 'results' / 'scores.json').read_text())
  assert list(scores['sequences']) == [f'schoolgirls_{i}' for i in range(1, 8)]
  assert len(scores['sequences']['schoolgirls_1']['frames']['J']) == 78
