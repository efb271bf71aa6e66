"""The network that is shipped: found by its name, whole, as its card says."""

import hashlib
import pathlib
import re

import jax
import numpy as np
import pytest

from savos_jax import checkpoints
from savos_jax import network
from savos_jax import settings
from savos_jax.configs import shipped as recipes
from savos_jax.foundation import errors
from savos_jax.models import fields
from savos_jax.tools import segment
from savos_jax.tools import segmenting
from savos_jax.training import state
from savos_jax.weights import pretrained
from tests import tiny_resnets

_MOST_BYTES = 30_000_000


@pytest.fixture(scope='module')
def shipped():
  return network.load(checkpoints.DEFAULT)


@pytest.fixture(scope='module')
def card():
  path = checkpoints.find(checkpoints.DEFAULT).with_name('README.md')
  return path.read_text('utf-8')


def test_it_need_not_be_compared_with_its_network(shipped):
  """Which takes longer than to read it: here it is, once for all."""
  expected = jax.tree.map(np.shape, state.param_shapes(shipped.model))
  assert jax.tree.map(np.shape, shipped.params) == expected


def test_it_is_of_its_recipe(shipped):
  recipe = settings.model_config(recipes.get_config())
  # The backbone's file decides what this leaves.
  found = fields.differences(shipped.model.config, recipe)
  assert {text.split(':')[0] for text in found} <= set(
    pretrained.DECIDED_BY_FILE
  )
  assert shipped.averaged


def test_card_names_the_file(card):
  path = checkpoints.find(checkpoints.DEFAULT)
  assert path.stat().st_size < _MOST_BYTES
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  assert digest in card


def test_means_of_the_card_are_those_of_its_rows(card):
  """What was typed wrong shows."""
  rows = re.findall(r'^\| ([a-z][a-z-]*) \|(.*)\|$', card, re.MULTILINE)
  cells = [
    (name, [float(cell) for cell in row.split('|')])
    for name, row in rows
    if re.fullmatch(r'[\d\s.|-]+', row)
  ]
  assert len(cells) == 22
  for table in cells[:11], cells[11:]:  # One scale, three scales.
    *sequences, (last, mean) = table
    assert last == 'mean'
    assert len(dict(sequences)) == 10
    found = np.mean([row for _, row in sequences], axis=0)
    np.testing.assert_allclose(found, mean, atol=0.06)


def test_any_program_finds_it_by_default():
  arguments = segment._parse(['--video=a', '--mask=b', '--out=c'])
  assert str(arguments.checkpoint) == checkpoints.DEFAULT


def test_videos_are_segmented_as_its_card_was_scored(shipped):
  arguments = segment._parse(['--video=a', '--mask=b', '--out=c'])
  found = segmenting.inference_config(arguments, shipped.config['eval'])
  assert found == settings.inference_config(recipes.get_config())
  arguments.zoom = 3.0
  found = segmenting.inference_config(arguments, shipped.config['eval'])
  assert found.zoom == 3.0


def test_a_network_that_remembers_does_so_in_any_program(shipped):
  stored = {**shipped.config['eval'], 'memory_frames': 3, 'memory_every': 9}
  arguments = segment._parse(['--video=a', '--mask=b', '--out=c'])
  found = segmenting.inference_config(arguments, stored)
  assert (found.memory_frames, found.memory_every) == (3, 9)


def test_other_paths_are_taken_as_they_are(tmp_path):
  assert checkpoints.find(tmp_path / 'default') == tmp_path / 'default'
  assert checkpoints.find('~/a') == pathlib.Path.home() / 'a'


def test_a_training_may_start_from_it(shipped):
  config = recipes.get_config()
  config.model.pretrained = checkpoints.DEFAULT
  found = pretrained.load(
    config.model.pretrained, tiny_resnets.network_params(shipped.model)
  )
  np.testing.assert_array_equal(
    found['encoder']['conv1']['kernel'],
    shipped.params['encoder']['conv1']['kernel'],
  )
  assert settings.model_config(config) == shipped.model.config


def test_a_checkout_without_it_is_explained(monkeypatch):
  monkeypatch.setattr(
    checkpoints, '_SHIPPED', pathlib.Path('absent.safetensors')
  )
  with pytest.raises(errors.SavosError, match=r'absent\.safetensors'):
    network.load(checkpoints.DEFAULT)
