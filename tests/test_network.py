"""A trained network, from a training's folder and from an exported file."""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest
import safetensors.numpy

from savos_jax import evaluate
from savos_jax import network
from savos_jax import settings
from savos_jax.configs import smoke
from savos_jax.evaluation import tables
from savos_jax.foundation import errors
from savos_jax.models import fields
from savos_jax.models import savos
from savos_jax.tools import export_checkpoint
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import checkpoint
from savos_jax.training import state as state_lib
from savos_jax.weights import pretrained
from savos_jax.weights import tensor_file
from tests import tiny_resnets

pytestmark = pytest.mark.usefixtures('library_promotion')


def test_what_segments_imports_no_training():
  """Nor TensorFlow, which takes longer than the first mask."""
  code = (
    'import sys\n'
    'from savos_jax import network\n'
    'from savos_jax.tools import networks, segmenting\n'
    'print(*{"optax", "orbax", "tensorflow"} & {*sys.modules})'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.split() == []


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A training's folder with two checkpoints, and their states."""
  workdir = tmp_path_factory.mktemp('runs') / 'run'
  model = savos.SAVOS(settings.model_config(smoke.get_config()))
  states = {}
  with checkpoint.Checkpoints(workdir / 'checkpoints', model.config) as saved:
    for step in (3, 5):
      params = tiny_resnets.network_params(model, seed=step)
      state = state_lib.TrainState(
        step=np.asarray(step, np.int32),
        params=params,
        opt_state=optax.sgd(0.1).init(params),
        ema_params=jax.tree.map(lambda leaf: 0.5 * leaf, params),
      )
      saved.save(state)
      states[step] = state
  config = json.dumps(smoke.get_config().to_dict())
  (workdir / 'config.json').write_text(config)
  return workdir, states


@pytest.fixture
def workdir(trained, tmp_path):
  """A copy that a test may damage."""
  return shutil.copytree(trained[0], tmp_path / 'run')


def assert_same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
  ('step', 'use_ema', 'found'), [(None, True, 5), (3, True, 3), (3, False, 3)]
)
def test_a_folder_tells_what_its_network_is(trained, step, use_ema, found):
  workdir, states = trained
  loaded = network.load(workdir, step, use_ema)
  assert (loaded.step, loaded.averaged) == (found, use_ema)
  assert loaded.model.config == settings.model_config(smoke.get_config())
  state = states[found]
  assert_same(loaded.params, state.ema_params if use_ema else state.params)


def test_a_file_gives_back_the_network(trained, tmp_path):
  workdir, states = trained
  path = tmp_path / 'savos.safetensors'
  export_checkpoint.main([str(workdir), f'--out={path}', '--step=3'])
  loaded = network.load(path)
  original = network.load(workdir, 3)
  assert_same(loaded.params, original.params)
  assert loaded.model == original.model
  assert (loaded.step, loaded.averaged) == (3, True)
  assert loaded.config == original.config
  assert loaded.config['eval']['strips'] is True
  # The masks are the same, so the network is.
  assert_same(loaded.params, states[3].ema_params)


def test_the_best_in_place_of_the_newest(workdir, tmp_path, capsys):
  path = tmp_path / 'savos.safetensors'
  export = [str(workdir), f'--out={path}', '--best']
  with pytest.raises(SystemExit):
    export_checkpoint.main(export)
  assert 'config.eval.every_steps' in capsys.readouterr().err
  # Step 3 of two; the folder that the training keeps it in is like the other.
  shutil.copytree(
    workdir / 'checkpoints' / '3', workdir / 'checkpoints_best' / '3'
  )
  export_checkpoint.main(export)
  assert network.load(path).step == 3
  config = smoke.get_config()
  for use_best, step in ((False, 5), (True, 3)):
    config.eval.use_best = use_best
    assert evaluate._restore(config, workdir).step == step
  with pytest.raises(errors.SavosError, match='no checkpoint 5'):
    network.load(workdir, step=5, use_best=True)
  with pytest.raises(errors.SavosError, match='has a single checkpoint'):
    network.load(path, use_best=True)


def test_no_path_leaves_with_the_file(workdir, tmp_path):
  config = json.loads((workdir / 'config.json').read_text())
  config['data']['root'] = '/home/somebody/DAVIS'
  config['model']['pretrained'] = '/home/somebody/resnet50.safetensors'
  config['eval']['checkpoint'] = '/home/somebody/other'
  (workdir / 'config.json').write_text(json.dumps(config))
  path = tmp_path / 'savos.safetensors'
  export_checkpoint.main([str(workdir), f'--out={path}'])
  assert b'somebody' not in path.read_bytes()


def test_without_a_kept_configuration(workdir, tmp_path):
  (workdir / 'config.json').unlink()
  assert network.load(workdir).config == {}


def test_half_precision_halves_the_file(trained, tmp_path, capsys):
  workdir, _ = trained
  sizes = []
  for dtype in ('float32', 'float16'):
    path = tmp_path / f'{dtype}.safetensors'
    export_checkpoint.main([str(workdir), f'--out={path}', f'--dtype={dtype}'])
    arrays = safetensors.numpy.load_file(path).values()
    sizes.append(sum(array.nbytes for array in arrays))
    assert dtype in capsys.readouterr().out
  assert sizes[0] == 2 * sizes[1]
  loaded, original = network.load(path), network.load(workdir)
  for a, b in zip(
    *map(jax.tree.leaves, (loaded.params, original.params)), strict=True
  ):
    assert a.dtype == np.float32
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7)


def test_a_file_may_compute_otherwise_than_its_training(trained, tmp_path):
  workdir, _ = trained
  path = tmp_path / 'savos.safetensors'
  export = [str(workdir), f'--out={path}']
  export_checkpoint.main([*export, '--compute_dtype=bfloat16'])
  loaded, original = network.load(path), network.load(workdir)
  assert original.model.config.compute_dtype == 'float32'
  assert loaded.model.config == dataclasses.replace(
    original.model.config, compute_dtype='bfloat16'
  )
  assert_same(loaded.params, original.params)


def test_what_float16_cannot_hold_is_not_written(trained, tmp_path):
  loaded = network.load(trained[0])
  loaded.params['decoder']['predict']['bias'] = np.array([1e6, 0], np.float32)
  path = tmp_path / 'savos.safetensors'
  with (
    pytest.raises(errors.SavosError, match='float16'),
    np.errstate(over='ignore'),
  ):
    network.write(path, loaded, 'float16')
  assert not path.exists()


def test_a_whole_network_is_a_start_for_training(trained, tmp_path):
  workdir, states = trained
  path = tmp_path / 'savos.safetensors'
  export_checkpoint.main([str(workdir), f'--out={path}', '--no-ema'])
  config = smoke.get_config()
  config.model.pretrained = str(path)
  assert settings.model_config(config) == network.load(path).model.config
  loaded = pretrained.load(path, states[3].params)
  assert_same(loaded, states[5].params)
  config.model.decoder_features = 16
  with pytest.raises(errors.SavosError, match='decoder_features: 8'):
    settings.model_config(config)


def test_older_checkpoints_have_the_defaults_of_fields_they_lack(workdir):
  meta = next((workdir / 'checkpoints' / '5' / 'meta').iterdir())
  content = json.loads(meta.read_text())
  del content['model']['stem_pool_padding']
  meta.write_text(json.dumps(content))
  loaded = network.load(workdir)
  assert loaded.model.config == settings.model_config(smoke.get_config())


def test_older_files_have_the_defaults_of_fields_they_lack(trained, tmp_path):
  path = tmp_path / 'savos.safetensors'
  original = network.load(trained[0])
  architecture = fields.as_fields(original.model.config)
  del architecture['attention_residual']
  description = {'architecture': architecture}
  tensor_file.write(path, 'model', original.params, description)
  wanted = original.model.config
  assert pretrained.architecture(path, wanted) == wanted
  with pytest.raises(errors.SavosError, match='averaged, config, step'):
    network.load(path)
  other = dataclasses.replace(wanted, attention_residual=False)
  with pytest.raises(errors.SavosError, match='attention_residual: True'):
    pretrained.architecture(path, other)


def test_evaluation_takes_a_file_or_a_folder(trained, tmp_path):
  """The checkpoint's network is used, whatever config.model says."""
  workdir, _ = trained
  path = tmp_path / 'savos.safetensors'
  export_checkpoint.main([str(workdir), f'--out={path}', '--step=3'])
  config = smoke.get_config()
  config.data.root = str(tmp_path / 'clips')
  config.model.decoder_features = 32
  config.eval.strips = False
  config.eval.baselines = ()
  config.eval.checkpoint = str(path)
  first = evaluate.evaluate(config, tmp_path / 'file')
  config.eval.checkpoint = str(workdir)
  config.eval.checkpoint_step = 3
  second = evaluate.evaluate(config, tmp_path / 'folder')
  assert tables.to_json_dict(first) == tables.to_json_dict(second)
  config.eval.checkpoint = ''
  with pytest.raises(errors.SavosError, match=r'decoder_features: 8 .*32'):
    evaluate.evaluate(config, workdir)


def mistakes(path, workdir):
  """What a user may name by mistake, and what the message must hold."""
  cut = path.with_name('cut.safetensors')
  cut.write_bytes(path.read_bytes()[:1000])
  backbone = path.with_name('backbone.safetensors')
  tensor_file.write(backbone, 'backbone', {'a': np.ones(1)}, {})
  empty = path.with_name('empty')
  empty.mkdir()
  return {
    'absent': (path.with_name('absent'), ['no such file']),
    'cut': (cut, ['truncated']),
    'backbone': (backbone, ['a backbone alone', 'config.model.pretrained']),
    'empty': (empty, ['no such folder', '--mode=train']),
    'step': (workdir, ['no checkpoint 4', '5, 3', '--workdir']),
    'other step': (path, ['only step 5', '4']),
  }


@pytest.mark.parametrize(
  'name', ['absent', 'cut', 'backbone', 'empty', 'step', 'other step']
)
def test_mistakes_are_explained(trained, tmp_path, capsys, name):
  workdir, _ = trained
  path = tmp_path / 'savos.safetensors'
  network.write(path, network.load(workdir))
  source, expected = mistakes(path, workdir)[name]
  out = tmp_path / 'out.safetensors'
  with pytest.raises(SystemExit, match='2'):
    export_checkpoint.main([str(source), f'--out={out}', '--step=4'])
  message = capsys.readouterr().err
  for text in [str(source), *expected]:
    assert text in message
  assert not out.exists()


def test_a_damaged_newest_checkpoint_falls_back(workdir, caplog):
  meta = next((workdir / 'checkpoints' / '5' / 'meta').iterdir())
  meta.write_text(meta.read_text()[:20])
  assert network.load(workdir).step == 3
  assert 'checkpoint 5' in caplog.text


def test_no_tensorflow_to_load_a_network():
  """Segmenting needs no TensorFlow, which takes seconds to import."""
  code = (
    'import sys; from savos_jax import network; from savos_jax.inference '
    'import tracker; assert "tensorflow" not in sys.modules'
  )
  repository = pathlib.Path(__file__).parents[1]
  subprocess.run([sys.executable, '-c', code], check=True, cwd=repository)


def test_benchmarks_take_either(trained, tmp_path):
  workdir, _ = trained
  path = tmp_path / 'savos.safetensors'
  network.write(path, network.load(workdir))
  parser = argparse.ArgumentParser()
  shared.add_architecture_arguments(parser)
  for checkpoint_path in (workdir, path):
    arguments = parser.parse_args([f'--checkpoint={checkpoint_path}'])
    found = common.architecture(arguments, 'bfloat16')
    assert found.decoder_features == 8
    assert found.compute_dtype == 'bfloat16'


TOLD = [
  (('architecture', 'decoder_features'), 10**9, 'at most 16384'),
  (('architecture', 'decoder_features'), 8.0, 'a whole number'),
  (('architecture', 'decoder_features'), '8', 'a whole number'),
  (('architecture', 'block_counts'), [10**6] * 4, 'at most 64'),
  (('architecture', 'block_counts'), 3, 'a list'),
  (('architecture', 'block_counts'), [], 'block_counts is'),
  (('architecture', 'width_multiplier'), float('inf'), 'at most 16'),
  (('architecture', 'rgb_std'), [[1], [1], [1]], 'a number'),
  (('architecture', 'attention'), 'no', 'true or false'),
  (('architecture', 'unheard_of'), 1, 'unknown fields'),
  (('architecture',), [1], 'fields and values'),
  (('step',), 'five', 'a whole number'),
  (('step',), 10**30, 'at most'),
  (('averaged',), 1, 'true or false'),
  (('config',), [1], 'config.eval'),
  (('config', 'eval'), 'fast', 'config.eval'),
  (('config', 'eval', 'short_side'), 'large', 'short_side'),
  (('config', 'eval', 'short_side'), 10**9, 'short_side'),
  (('config', 'eval', 'zoom'), 0.5, 'zoom'),
  (('config', 'eval', 'memory_frames'), None, 'memory_frames'),
]


@pytest.mark.parametrize(('names', 'value', 'expected'), TOLD)
def test_what_a_file_tells_is_checked_first(
  trained, tmp_path, names, value, expected
):
  path = tmp_path / 'savos.safetensors'
  network.write(path, network.load(trained[0]))
  arrays = safetensors.numpy.load_file(path)
  with safetensors.safe_open(path, 'numpy') as opened:
    metadata = opened.metadata()
  told = json.loads(metadata['description'])
  inner = told
  for name in names[:-1]:
    inner = inner[name]
  inner[names[-1]] = value
  metadata['description'] = json.dumps(told)
  safetensors.numpy.save_file(arrays, path, metadata)
  with pytest.raises(errors.SavosError, match=f'{path}: .*{expected}'):
    network.load(path)
  if names[0] == 'architecture':
    config = settings.model_config(smoke.get_config())
    with pytest.raises(errors.SavosError, match=f'{path}: .*{expected}'):
      pretrained.architecture(path, config)


@pytest.mark.parametrize('content', ['[1]', '{"eval": 3}', '{', '[' * 10**5])
def test_a_kept_configuration_is_not_believed(workdir, content):
  (workdir / 'config.json').write_text(content)
  with pytest.raises(errors.SavosError, match=r'config\.json: '):
    network.load(workdir)


@pytest.mark.parametrize('name', ['config.json', 'checkpoints/5/params/more'])
def test_a_pipe_is_not_waited_for(workdir, name):
  path = workdir / name
  path.unlink(missing_ok=True)
  os.mkfifo(path)
  with pytest.raises(errors.SavosError, match=f'{path}: a pipe'):
    network.load(workdir)


def test_a_checkpoints_architecture_is_not_believed(workdir):
  for step in (3, 5):
    meta = next((workdir / 'checkpoints' / str(step) / 'meta').iterdir())
    content = json.loads(meta.read_text())
    content['model']['decoder_features'] = 10**9
    meta.write_text(json.dumps(content))
  with pytest.raises(errors.SavosError, match='decoder_features is 1000000000'):
    network.load(workdir)


def test_arrays_of_other_shapes_are_not_read(workdir, caplog):
  """Orbax reads them, whatever shapes it is asked for."""
  meta = next((workdir / 'checkpoints' / '5' / 'meta').iterdir())
  content = json.loads(meta.read_text())
  content['model']['decoder_features'] = 4
  meta.write_text(json.dumps(content))
  with pytest.raises(errors.SavosError, match='none of the checkpoints'):
    network.load(workdir, step=5)
  assert "arrays of other shapes in 'ema_params'" in caplog.text


def test_no_network_with_what_is_no_number(trained, tmp_path):
  """From a file, from a training's folder, and to start a training with."""
  loaded = network.load(trained[0])
  params = jax.tree.map(np.array, loaded.params)
  params['decoder']['predict']['bias'][0] = np.nan
  path = tmp_path / 'savos.safetensors'
  description = {
    'architecture': fields.as_fields(loaded.model.config),
    'step': 1, 'averaged': False, 'config': {},
  }  # fmt: skip
  tensor_file.write(path, 'model', params, description)
  workdir = tmp_path / 'run'
  with checkpoint.Checkpoints(
    workdir / 'checkpoints', loaded.model.config
  ) as saved:
    state = state_lib.TrainState(np.int32(1), params, {}, {})
    saved.save(state, with_optimizer=False)
  for read in (
    lambda: network.load(path),
    lambda: network.load(workdir),
    lambda: pretrained.load(path, loaded.params),
  ):
    with pytest.raises(
      errors.SavosError, match=r'NaN or infinite.*predict/bias'
    ):
      read()


@pytest.mark.parametrize('name', ['a\\b', 'a\nb', '\udcff'])
def test_a_folder_that_orbax_takes_for_another_is_named(workdir, name):
  odd = workdir.rename(workdir.with_name(name))
  with pytest.raises(errors.SavosError, match='not usable for checkpoints'):
    network.load(odd)


def test_a_checkpoint_that_may_not_be_read_is_not_passed_over(
  workdir, monkeypatch
):
  may = os.access
  newest = workdir / 'checkpoints' / '5'

  def access(path, mode):
    forbidden = newest in pathlib.Path(path).parents
    return may(path, mode) and not forbidden

  monkeypatch.setattr(os, 'access', access)  # Root may read anything.
  with pytest.raises(errors.SavosError, match=f'{newest}/.*Permission denied'):
    network.load(workdir)
