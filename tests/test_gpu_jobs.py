"""The jobs of launch/gpu at tiny size, on a CPU.

SAVOS_GPU_PYTHON names the Python to try them with, which takes minutes: .ci/run
tries an environment of nothing but what launch/gpu/machine.txt and wheels.txt
list, and this one with PyTorch.
"""

import gzip
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from savos_jax.datasets import pack
from savos_jax.synthetic import embedded_clips
from savos_jax.training import curves
from tests import sampling_videos

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = os.environ.get('SAVOS_GPU_PYTHON') or sys.executable
JOBS = ROOT / 'launch' / 'gpu'
tries = pytest.mark.skipif(
  'SAVOS_GPU_PYTHON' not in os.environ,
  reason='SAVOS_GPU_PYTHON is unset: .ci/run tries the jobs',
)


def run(*command, **environment):
  return subprocess.run(
    list(map(str, command)),
    cwd=ROOT,
    # PyTorch's threads and XLA's, of two tests, would wait for each other.
    env=os.environ | {'OMP_NUM_THREADS': '1'} | environment,
    capture_output=True,
    text=True,
    check=False,
  )


def has_torch() -> bool:
  return run(PYTHON, '-c', 'import torch').returncode == 0


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
  folder = tmp_path_factory.mktemp('packed')
  video = sampling_videos.open_video(folder, 'video', 6)
  pack.write(folder / 'a.pack', [video], (64, 96), 'jpeg', 85)
  return folder / 'a.pack'


def rows_of(path: pathlib.Path) -> list[dict]:
  result = json.loads(path.read_text())
  assert 'failed' not in result
  return result['rows']


@tries
def test_inference_beside_torch(tmp_path):
  out = tmp_path / 'inference.json'
  done = run(PYTHON, JOBS / 'inference.py', '--quick', f'--json={out}')
  assert done.returncode == 0, done.stdout + done.stderr
  rows = rows_of(out)
  assert [row['videos'] for row in rows] == [1, 2, 1]
  assert [row['plain'] for row in rows] == [False, False, True]
  for row in rows:
    assert row['jax_frames_per_s'] > 0
    assert row['share_of_peak'] > 0
    beside = has_torch() and row['torch'] != '-'
    assert (row['torch_eager_frames_per_s'] is not None) == beside


@tries
def test_training_beside_torch_and_the_data(tmp_path, packed):
  out = tmp_path / 'training.json'
  # Once is enough for what compiles for a minute.
  data = [] if has_torch() else [f'--pack={packed}']
  done = run(PYTHON, JOBS / 'training.py', '--quick', f'--json={out}', *data)
  assert done.returncode == 0, done.stdout + done.stderr
  assert [row['dtype'] for row in rows_of(out)] == ['float32', 'bfloat16']
  for found in [json.loads(out.read_text())['data']] if data else []:
    assert found['scenes_per_s'] > 0
  for row in rows_of(out):
    assert row['jax_examples_per_s'] > 0
    beside = has_torch() and row['torch'] != '-'
    assert (row['torch_eager_examples_per_s'] is not None) == beside


@tries
def test_profiles_tell_what_takes_the_time(tmp_path):
  out = tmp_path / 'profiles.json'
  done = run(
    PYTHON,
    JOBS / 'profiling.py',
    '--quick',
    f'--out={tmp_path / "profiles"}',
    f'--json={out}',
  )
  assert done.returncode == 0, done.stdout + done.stderr
  rows = rows_of(out)
  for program in ('frame', 'step'):
    found = [row for row in rows if row['program'] == program]
    assert found[-1]['operation'] == '(device idle)'
    assert sum(row['share'] for row in found[:-1]) == pytest.approx(1, 1e-4)
    assert len(found) > 5


def test_a_trace_is_added_up(tmp_path):
  def event(name, begin, duration, **more):
    return {
      'ph': 'X',
      'ts': begin,
      'dur': duration,
      'args': {'hlo_op': name},
    } | more

  events = [
    event('convolution.12', 0, 100),
    event('fusion', 50, 100),
    event('convolution.3', 200, 50),
    event('', 0, 9_999, args={}),
    event('fusion.1', 0, 9_999, ph='M'),
  ]
  path = tmp_path / 'trace.json.gz'
  with gzip.open(path, 'wt') as file:
    json.dump({'traceEvents': events}, file)
  code = (
    f'import sys; sys.path.insert(0, {str(JOBS)!r}); import profiling, pathlib;'
    f'print(profiling.read(pathlib.Path({str(path)!r})))'
  )
  done = run(PYTHON, '-c', code)
  assert done.returncode == 0, done.stderr
  parts = "Part(name='convolution', calls=2, seconds=0.00015"
  assert parts in done.stdout
  numbers = done.stdout.strip().rstrip(')').split(', ')[-2:]
  np.testing.assert_allclose(list(map(float, numbers)), [2e-4, 2.5e-4])


@tries
def test_what_fails_is_told_and_the_next_one_is_run(tmp_path):
  # JSON can't be written: each job fails, none keeps the others from running.
  out = tmp_path / 'out'
  out.mkdir()
  for name in ('inference', 'training'):
    (out / f'{name}.json').mkdir()
  done = run(JOBS / 'run.sh', out, PYTHON=PYTHON, FLAGS='--quick', JOBS='2 3 5')
  assert done.returncode == 1
  assert done.stdout.count('== job') == 3
  assert 'failed: 2 (status 1) 3 (status 1)' in done.stdout
  assert (out / 'profiles.json').exists()


@tries
def test_correctness_names_what_is_broken(tmp_path, packed):
  out = tmp_path / 'correctness.json'
  done = run(
    PYTHON,
    JOBS / 'correctness.py',
    '--quick',
    f'--out={out}',
    f'--pack={packed}',
  )
  assert done.returncode == 0, done.stdout + done.stderr
  result = json.loads(out.read_text())
  assert not result['failed']
  assert all(row['error'] <= row['bound'] for row in result['bounds'])
  # On a CPU both are the CPU's.
  assert result['masks'][0]['equal_pixels'] == 1.0


TINY = (
  '--config.model.width_multiplier=0.0625 --config.model.decoder_features=8 '
  '--config.model.matching_keys=4 --config.model.matching_values=6 '
  '--config.sampling.crop_size=(64,96) --config.sampling.clip_frames=1 '
  '--config.train.batch_size=2 --config.data.held_out=() '
  '--config.train.schedule=constant --config.train.steps=4 '
  '--config.train.warmup_steps=1'
)


@tries
def test_rows_of_the_ablation_are_trained_and_scored(tmp_path, packed):
  embedded_clips.generate(
    tmp_path / 'choice' / 'clips',
    size=(64, 96), train_clips=1, val_clips=1, frames=4,
  )  # fmt: skip
  out = tmp_path / 'out'
  done = run(
    JOBS / 'ablation.sh', out, '', tmp_path / 'choice', packed, packed,
    PYTHON=PYTHON, ROWS='plain', FLAGS=f'{TINY} --config.model.pretrained=',
    SCORE_FLAGS='--config.eval.short_side=64',
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
  (line,) = (out / 'scores.txt').read_text().splitlines()
  assert line.startswith('plain0 clips zoom=0 memory=0 ')
  assert line in done.stdout


@tries
def test_training_comes_back_in_parts_and_goes_on(tmp_path, packed):
  environment = {
    'PYTHON': PYTHON,
    'SECONDS_A_STAGE': '60',
    'STAGES': 'held_out',
    'FLAGS': TINY,
    'FROM': '',
  }
  out = tmp_path / 'out'
  script = JOBS / 'train.sh'
  done = run(script, out, packed, WORK=str(tmp_path / 'one'), **environment)
  assert done.returncode == 0, done.stdout + done.stderr
  whole = tmp_path / 'network.safetensors'
  parts = sorted(out.glob('held_out.safetensors.*'))
  whole.write_bytes(b''.join(part.read_bytes() for part in parts))
  assert (out / 'held_out.log').exists()
  assert curves.read(out / 'held_out')['iou']
  environment |= {'FROM': str(whole), 'STAGES': 'all'}
  done = run(script, out, packed, WORK=str(tmp_path / 'two'), **environment)
  assert done.returncode == 0, done.stdout + done.stderr
  assert f'starting from the weights of {whole}' in done.stdout + done.stderr
  assert list(out.glob('all.safetensors.*'))
