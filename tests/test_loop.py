"""Training: bitwise resume, clean stops, refusals."""

import gc
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
from PIL import Image
import pytest

from savos_jax import network
from savos_jax import opening
from savos_jax import settings
from savos_jax import validation
from savos_jax.configs import smoke
from savos_jax.foundation import errors
from savos_jax.models import savos
from savos_jax.training import best
from savos_jax.training import checkpoint
from savos_jax.training import event_files
from savos_jax.training import loop
from savos_jax.training import state as state_lib
from savos_jax.training import steps
from tests import compilations

pytestmark = [
  pytest.mark.slow,
  pytest.mark.usefixtures('library_promotion'),
  # Where one read of a damaged checkpoint fails, Orbax abandons the others in
  # flight, which Python then reports at any later moment.
  pytest.mark.filterwarnings(
    'ignore:Exception ignored in. <coroutine object _read_array_index'
    ':pytest.PytestUnraisableExceptionWarning'
  ),
  pytest.mark.filterwarnings(
    'ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning'
  ),
]

REPOSITORY = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
  """The smoke configuration's clips, made once."""
  workdir = tmp_path_factory.mktemp('clips')
  opening.load_split(smoke.get_config(), workdir, 'train')
  return workdir / 'embedded'


def pairs(clips):
  """The smoke configuration with these clips."""
  config = smoke.get_config()
  config.data.root = str(clips)
  # Pairs compile in half of the time of longer clips, and where the rate only
  # rises and stays, all lengths of a training are one program.
  config.sampling.clip_frames = 1
  config.train.schedule = 'constant'
  config.train.warmup_steps = 3
  return config


@pytest.fixture
def config(clips):
  return pairs(clips)


def params_of(workdir, config, step=None, use_ema=False):
  model_config = settings.model_config(config)
  like = state_lib.param_shapes(savos.SAVOS(model_config))
  with checkpoint.Checkpoints(workdir / 'checkpoints', model_config) as saved:
    found, averaged, params = saved.restore_params(like, use_ema, step)
  assert averaged == use_ema
  return found, params


def assert_same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def validating(config):
  """Six steps, saved and validated after three and six."""
  config.train.steps = 6
  config.train.checkpoint_every = 3
  config.train.keep_checkpoints = 5
  config.eval.every_steps = 3
  config.eval.every_frames = 4
  return config


@pytest.fixture(scope='module')
def whole(clips, tmp_path_factory):
  """The folder of such a training."""
  workdir = tmp_path_factory.mktemp('whole')
  with (
    compilations.heard() as names,
    jax.numpy_dtype_promotion('standard'),
  ):
    assert loop.train(validating(pairs(clips)), workdir, validation.Validator)
  # Validated twice, and compiled once for each number of objects.
  assert names.count('one_step') <= 2
  return workdir


def interrupted(whole, workdir):
  """Copies what a training that was killed after step 3 goes on from."""
  shutil.copytree(whole / 'checkpoints' / '3', workdir / 'checkpoints' / '3')
  return workdir


def test_resumed_run_equals_the_validated_one_bit_for_bit(
  whole, config, tmp_path
):
  # It does not validate: that changes nothing, either.
  config = validating(config)
  config.eval.every_steps = 0
  resumed = interrupted(whole, tmp_path)
  shutil.copytree(whole / 'logs', resumed / 'logs')
  assert loop.train(config, resumed, validation.Validator)
  assert not (resumed / best.FOLDER).exists()
  # Curves do not run back: what was written of later steps is gone.
  scalars = [
    scalar
    for path in (resumed / 'logs').glob(event_files.PATTERN)
    for scalar in event_files.read_scalars(path)
  ]
  losses = sorted(s for s in scalars if s.tag == 'loss')
  assert [s.step for s in losses] == sorted({s.step for s in losses})
  assert losses[-1].step == 6

  for use_ema in (False, True):
    step, expected = params_of(whole, config, 6, use_ema)
    _, found = params_of(resumed, config, 6, use_ema)
    assert step == 6
    assert_same(expected, found)
  _, early = params_of(whole, config, 3)
  _, late = params_of(whole, config, 6)
  moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), early, late)
  assert max(jax.tree.leaves(moved)) > 0


def best_of(workdir):
  """Step, score and averaged parameters of the best checkpoint."""
  (folder,) = (workdir / best.FOLDER).iterdir()
  meta = json.loads((folder / 'meta' / 'metadata').read_text())
  found = network.load(workdir, use_best=True)
  assert found.averaged
  assert (found.step, meta['step']) == (int(folder.name),) * 2
  return found.step, meta['note']['score'], found.params


def test_the_best_is_kept_and_known_after_an_interruption(
  whole, config, tmp_path
):
  step, score, params = best_of(whole)
  assert_same(params, params_of(whole, config, step, use_ema=True)[1])
  resumed = interrupted(whole, tmp_path)
  shutil.copytree(whole / best.FOLDER, resumed / best.FOLDER)
  assert loop.train(validating(config), resumed, validation.Validator)
  assert best_of(resumed)[:2] == (step, score)
  assert_same(best_of(resumed)[2], params)


def test_tensorboard_gets_the_curves_and_the_strips(whole):
  pytest.importorskip('tensorboard', reason='tensorboard is not installed')
  from tensorboard.backend.event_processing import event_accumulator
  from tensorboard.util import tensor_util

  (path,) = (whole / 'logs').glob('events.out.tfevents.*')
  events = event_accumulator.EventAccumulator(str(path)).Reload()
  tags = [f'validation/{name}' for name in ('J', 'F', 'J&F')]
  rows = [
    [(e.step, float(tensor_util.make_ndarray(e.tensor_proto))) for e in found]
    for found in map(events.Tensors, tags)
  ]
  assert [step for step, _ in rows[0]] == [3, 6]
  scores = {step: score for step, score in rows[2]}
  np.testing.assert_allclose(
    [(j + f) / 2 for (_, j), (_, f) in zip(*rows[:2], strict=True)],
    list(scores.values()),
    rtol=1e-6,
  )
  step, score, _ = best_of(whole)
  np.testing.assert_allclose(score, scores[step], rtol=1e-6)
  assert score == pytest.approx(max(scores.values()))
  videos = opening.load_split(smoke.get_config(), whole, 'val')
  for video in videos:
    drawn = events.Tensors(f'validation/{video.name}')
    assert [event.step for event in drawn] == [3, 6]
    picture = tensor_util.make_ndarray(drawn[-1].tensor_proto)[2]
    picture = np.asarray(Image.open(io.BytesIO(picture)))
    assert picture.shape[0] == 2 * 120 + 4


def test_training_lowers_the_loss_and_writes_its_logs(config, tmp_path, caplog):
  config.train.steps = 40
  config.train.log_every = 10
  config.train.batch_size = 4
  config.train.checkpoint_every = 40
  config.sampling.clip_frames = 2
  config.train.recurrence = 'through_time'
  config.train.rematerialise = True
  config.train.teacher_forcing_iou = 0.2
  with caplog.at_level('INFO', 'savos_jax'):
    loop.train(config, tmp_path)
  losses = [float(x) for x in re.findall(r'loss ([\d.]+)', caplog.text)]
  assert len(losses) == 4
  assert losses[-1] < 0.8 * losses[0]
  assert 'examples/s' in caplog.text
  assert 'ETA' in caplog.text
  logs = tmp_path / 'logs'
  assert 'encoder/conv1/kernel' in (logs / 'parameters.txt').read_text()
  assert list(logs.glob('events.out.tfevents.*'))
  # Nothing left to do: returns at once and changes nothing.
  before = (tmp_path / 'checkpoints' / '40').stat().st_mtime_ns
  assert loop.train(config, tmp_path)
  assert (tmp_path / 'checkpoints' / '40').stat().st_mtime_ns == before


def test_non_finite_loss_stops_with_step_and_names(config, tmp_path):
  config.train.steps = 8
  config.train.checkpoint_every = 1
  config.train.learning_rate = 1e6
  config.train.clip_norm = 0.0
  config.train.optimizer = 'sgd'
  config.train.warmup_steps = 0
  with pytest.raises(errors.SavosError) as caught:
    loop.train(config, tmp_path)
  message = str(caught.value)
  step = int(re.search(r'stopped at step (\d+)', message)[1])
  assert len(re.findall(r'(clip|dream) of \S+ \(object \d', message)) == 2
  saved = [int(path.name) for path in (tmp_path / 'checkpoints').iterdir()]
  assert step > 1
  assert max(saved) < step


def test_sigterm_saves_and_the_same_command_goes_on(clips, tmp_path):
  command = [
    sys.executable, '-m', 'savos_jax.main', '--config=configs/smoke.py',
    f'--workdir={tmp_path}', f'--config.data.root={clips}',
    '--config.train.checkpoint_every=100000', '--config.train.log_every=1',
    '--config.sampling.clip_frames=1', '--config.train.schedule=constant',
    '--config.train.warmup_steps=3',
  ]  # fmt: skip
  environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
  process = subprocess.Popen(
    [*command, '--config.train.steps=100000', '--mode=train'],
    cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True,
  )  # fmt: skip
  for line in process.stdout:
    if 'step 5/' in line:
      process.send_signal(signal.SIGTERM)
      break
  output, _ = process.communicate(timeout=60)
  assert process.returncode == 143  # Not done: to be started again.
  stopped = int(re.search(r'stopped by a signal after step (\d+)', output)[1])
  assert stopped >= 5
  assert (tmp_path / 'checkpoints' / str(stopped)).is_dir()

  result = subprocess.run(
    [*command, f'--config.train.steps={stopped + 2}', '--mode=train'],
    cwd=REPOSITORY, env=environment, capture_output=True, text=True,
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  assert f'resuming from the checkpoint of step {stopped}' in result.stdout
  assert (tmp_path / 'checkpoints' / str(stopped + 2)).is_dir()


def test_ema_starts_fast_and_ends_at_the_decay():
  decays = [float(steps._ema_decay(np.asarray(s), 0.9)) for s in (0, 10, 1000)]
  np.testing.assert_allclose(decays, [0.1, 0.55, 0.9], rtol=1e-6)


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('config.train.keep_checkpoints', -1),
    ('config.eval.aggregation', 'nonsense'),
  ],
)
def test_wrong_fields_are_refused_before_anything(
  config, tmp_path, name, value
):
  _, section, field = name.split('.')
  config[section][field] = value
  with pytest.raises(errors.SavosError, match=f'{name} is {value!r}'):
    loop.train(config, tmp_path)
  assert not list(tmp_path.iterdir())


def checksum(folder):
  digest = hashlib.sha256()
  for path in sorted(folder.rglob('*')):
    if path.is_file():
      digest.update(path.read_bytes())
  return digest.hexdigest()


def damage_truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 0x10
  path.write_bytes(bytes(content))


@pytest.mark.parametrize('damage', [damage_truncate, damage_flip, None])
def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
  config, tmp_path, caplog, damage
):
  config.train.steps = 4
  config.train.checkpoint_every = 2
  loop.train(config, tmp_path)
  newest = tmp_path / 'checkpoints' / '4' / 'params'
  if damage is None:
    shutil.rmtree(newest)
  else:
    largest = max(
      (path for path in newest.rglob('*') if path.is_file()),
      key=lambda path: path.stat().st_size,
    )
    damage(largest)
  with caplog.at_level('WARNING', 'savos_jax'):
    step, _ = params_of(tmp_path, config)
  assert step == 2
  assert 'checkpoint 4' in caplog.text
  gc.collect()  # What Orbax abandoned is reported here, not in another file.


def test_checkpoint_of_another_network_is_refused(config, tmp_path):
  loop.train(config, tmp_path)
  before = checksum(tmp_path / 'checkpoints')
  config.model.decoder_features = 12
  with pytest.raises(errors.SavosError, match='decoder_features: 8'):
    params_of(tmp_path, config)
  with pytest.raises(errors.SavosError, match='decoder_features: 8'):
    loop.train(config, tmp_path)
  assert checksum(tmp_path / 'checkpoints') == before


def test_another_optimizer_is_refused(config, tmp_path):
  loop.train(config, tmp_path)
  config.train.optimizer = 'sgd'
  config.train.steps = 6
  with pytest.raises(errors.SavosError, match='optimiser'):
    loop.train(config, tmp_path)


def test_missing_checkpoints_are_explained(config, tmp_path):
  with pytest.raises(errors.SavosError, match='no checkpoint'):
    params_of(tmp_path, config)


def test_data_wait_is_measured():
  window = loop._Window()
  window.metrics.append({'loss': np.float32(1.0)})
  window.started = time.monotonic() - 9.0
  window.leave_out(7.0)
  window.waited = 0.5
  summary = window.summary(batch_size=3)
  np.testing.assert_allclose(summary['data_wait_fraction'], 0.25, rtol=0.05)
  np.testing.assert_allclose(summary['examples_per_second'], 1.5, rtol=0.05)
