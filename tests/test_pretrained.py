"""Training from a file: an encoder's or a whole network's."""

import dataclasses
import json
from unittest import mock

import jax
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from savos_jax import network
from savos_jax import settings
from savos_jax.configs import smoke
from savos_jax.foundation import errors
from savos_jax.models import savos
from savos_jax.training import loop
from savos_jax.training import optimizer
from savos_jax.weights import pretrained
from savos_jax.weights import resnet_params
from tests import tiny_resnets

pytestmark = pytest.mark.slow

COUNTS = (1, 1, 1, 1)


def write_backbone(path, seed=0, **fields):
  """Writes what the importer writes, and returns the folded parameters."""
  drawn = tiny_resnets.tensors(counts=COUNTS, seed=seed)
  source = tiny_resnets.source(drawn, **fields)
  backbone, params = resnet_params.fold(source)
  pretrained.write_backbone(path, backbone, params, source, 'tiny.pth', 'abc')
  return params


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'backbone.safetensors'
  write_backbone(path, stride_variant='v1', stem_pool_padding=(0, 1))
  return path


@pytest.fixture
def config(file):
  config = smoke.get_config()
  config.model.pretrained = str(file)
  return config


def initial(config, seed=0):
  model = savos.SAVOS(settings.model_config(config))
  return tiny_resnets.network_params(model, seed)


def test_the_file_decides_what_its_parameters_mean(config):
  model = settings.model_config(config)
  assert model.stride_variant == 'v1'
  assert model.stem_features == tiny_resnets.STEM
  assert model.stem_pool_padding == (0, 1)
  config.model.pretrained = ''
  scratch = settings.model_config(config)
  assert scratch.stride_variant == 'v1.5'
  assert dataclasses.replace(
    scratch, **{f: getattr(model, f) for f in pretrained.DECIDED_BY_FILE}
  ) == model  # fmt: skip


@pytest.mark.parametrize(
  ('field', 'value', 'found'),
  [
    ('width_multiplier', 0.5, '0.0625 (expected 0.5)'),
    ('block_counts', (3, 4, 6, 3), '(1, 1, 1, 1) (expected (3, 4, 6, 3))'),
  ],
)
def test_another_architecture_is_refused(config, file, field, value, found):
  config.model[field] = value
  with pytest.raises(errors.SavosError) as caught:
    settings.model_config(config)
  for text in (str(file), field, found, 'config.model.pretrained'):
    assert text in str(caught.value)


def test_the_encoder_is_replaced_and_nothing_else(config, file):
  params = initial(config)
  loaded = pretrained.load(file, params)
  expected = write_backbone(file)
  kernel = loaded['encoder']['conv1']['kernel']
  np.testing.assert_array_equal(kernel[:, :, :3], expected['conv1']['kernel'])
  np.testing.assert_array_equal(
    kernel[:, :, 3:], params['encoder']['conv1']['kernel'][:, :, 3:]
  )
  del expected['conv1'], loaded['encoder']['conv1']
  jax.tree.map(np.testing.assert_array_equal, loaded.pop('encoder'), expected)
  params.pop('encoder')
  jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_the_masks_filter_is_the_seeds(config, file):
  filters = [
    pretrained.load(file, initial(config, seed))['encoder']['conv1']['kernel']
    for seed in (0, 1)
  ]
  assert (filters[0][:, :, :3] == filters[1][:, :, :3]).all()
  assert (filters[0][:, :, 3] != filters[1][:, :, 3]).any()


def test_arrays_of_another_network_are_named(config, file):
  params = initial(config)
  del params['encoder']['bn1']['bias']
  params['encoder']['res5_0']['bn2']['scale'] = np.ones(7)
  with pytest.raises(errors.SavosError) as caught:
    pretrained.load(file, params)
  assert '  bn1/bias: [6] (expected missing)' in str(caught.value)
  assert '  res5_0/bn2/scale: [32] (expected [7])' in str(caught.value)


def test_a_later_versions_field_is_explained(config, file):
  arrays = safetensors.numpy.load_file(file)
  with safetensors.safe_open(file, 'numpy') as opened:
    metadata = opened.metadata()
  description = json.loads(metadata['description'])
  description['architecture']['anti_aliasing'] = True
  metadata['description'] = json.dumps(description)
  safetensors.numpy.save_file(arrays, file, metadata)
  with pytest.raises(errors.SavosError, match='anti_aliasing'):
    settings.model_config(config)


@pytest.mark.usefixtures('library_promotion')
def test_a_training_starts_from_the_file(config, file, tmp_path, monkeypatch):
  """A learning rate of 0 shows what a training started from."""
  config.train.learning_rate = 0.0
  config.train.steps = 1
  config.train.warmup_steps = 0
  config.train.schedule = 'constant'  # Both lengths are one program then.
  config.sampling.clip_frames = 1
  config.data.root = str(tmp_path / 'clips')
  expected = write_backbone(file, stride_variant='v1')

  def assert_started_from_it(step):
    for use_ema in (False, True):
      trained = network.load(tmp_path / 'run', use_ema=use_ema)
      assert (trained.step, trained.averaged) == (step, use_ema)
      assert trained.model.config == settings.model_config(config)
      encoder = trained.params['encoder']
      encoder['conv1']['kernel'] = encoder['conv1']['kernel'][:, :, :3]
      # An average of equal numbers is rounded.
      jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7),
        encoder,
        expected,
      )

  make_optimizer = mock.Mock(wraps=optimizer.make_optimizer)
  monkeypatch.setattr(optimizer, 'make_optimizer', make_optimizer)
  loop.train(config, tmp_path / 'run')
  assert_started_from_it(step=1)
  # It freezes the file's BatchNorms.
  assert make_optimizer.call_args.kwargs == {'pretrained': True}
  # Other weights of the same architecture: a checkpoint goes before the file.
  write_backbone(file, seed=1, stride_variant='v1')
  config.train.steps = 2
  loop.train(config, tmp_path / 'run')
  assert_started_from_it(step=2)


def test_to_evaluate_the_file_is_not_needed(config, file):
  stored = settings.model_config(config)
  file.unlink()
  assert settings.evaluated_model(config, stored) == stored
  config.model.compute_dtype = 'bfloat16'
  assert settings.evaluated_model(config, stored).compute_dtype == 'bfloat16'
  config.model.decoder_features = 16
  with pytest.raises(errors.SavosError, match='decoder_features: 8'):
    settings.evaluated_model(config, stored)
  # A checkpoint that was named by hand tells itself what it is.
  config.eval.checkpoint = 'savos.safetensors'
  used = settings.evaluated_model(config, stored)
  assert used == dataclasses.replace(stored, compute_dtype='bfloat16')
  config.eval.checkpoint = ''
  # Without a file, the fields that it would decide are the configuration's.
  config.model.decoder_features = 8
  config.model.pretrained = ''
  with pytest.raises(errors.SavosError, match="stride_variant: 'v1'"):
    settings.evaluated_model(config, stored)
