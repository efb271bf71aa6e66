"""The look back against plain NumPy, and what the network makes of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.models import matching
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.training import state
from tests import tiny_resnets

CONFIG = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1),
  width_multiplier=1 / 16,
  decoder_features=8,
  matching=True,
  matching_keys=4,
  matching_values=6,
)
PLAIN = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1), width_multiplier=1 / 16, decoder_features=8
)


def _random(*shape, seed=0):
  rng = np.random.default_rng((seed, *shape))
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


def test_read_is_the_mean_of_the_values_weighted_by_distance():
  query, keys, values = _random(2, 5, 4), _random(2, 7, 4), _random(2, 7, 3)
  valid = np.ones((2, 7), bool)
  valid[1, 2:5] = False
  found = matching.read(query, keys, values, jnp.asarray(valid))
  for b in range(2):
    for q in range(5):
      there = np.flatnonzero(valid[b])
      away = np.asarray(query)[b, q] - np.asarray(keys)[b, there]
      distances = np.square(away).sum(-1)
      weights = np.exp(-distances / np.sqrt(4))
      expected = weights @ np.asarray(values[b])[there] / weights.sum()
      np.testing.assert_allclose(found[b, q], expected, rtol=2e-5)


def test_cells_are_means_of_parts_of_each_place():
  mask = np.random.default_rng(0).random((2, 32, 48)).astype(np.float32)
  found = matching.cells(jnp.asarray(mask))
  assert found.shape == (2, 2, 3, 16)
  for row in range(4):
    for column in range(4):
      part = mask[
        1, 16 + 4 * row : 20 + 4 * row, 32 + 4 * column : 36 + 4 * column
      ]
      np.testing.assert_allclose(
        found[1, 1, 2, 4 * row + column], part.mean(), rtol=1e-6
      )


def _remembered(seed):
  return matching.Remembered(
    _random(1, 2, 3, 4, seed=seed), _random(1, 2, 3, 6, seed=seed)
  )


def test_together_puts_the_reference_in_front_and_tells_what_is_there():
  reference = _remembered(0)
  others = [_remembered(1), _remembered(2)]
  memory = matching.Memory(
    jnp.stack([o.keys for o in others], axis=1),
    jnp.stack([o.values for o in others], axis=1),
    jnp.asarray([[False, True]]),
  )
  keys, values, valid = matching.together(reference, memory)
  np.testing.assert_array_equal(keys[0, :6], reference.keys.reshape(6, 4))
  np.testing.assert_array_equal(values[0, 12:], others[1].values.reshape(6, 6))
  assert valid.tolist() == [[True] * 6 + [False] * 6 + [True] * 6]
  keys, _, valid = matching.together(reference, None)
  assert keys.shape == (1, 6, 4)
  assert valid is None


@pytest.fixture(scope='module')
def networks():
  """(model, parameters) with and without a look back, else the same."""
  model, plain = savos.SAVOS(CONFIG), savos.SAVOS(PLAIN)
  params = tiny_resnets.network_params(model)
  # As it is drawn by a training.
  params['matching']['join'] = jax.tree.map(
    np.zeros_like, params['matching']['join']
  )
  rest = {name: value for name, value in params.items() if name != 'matching'}
  return model, params, plain, rest


@functools.partial(jax.jit, static_argnums=0)
def _segment(model, params, frames, masks, memory_of=None):
  """Segments frame 1 from frame 0; remembers others where they are given."""
  apply = functools.partial(model.apply, {'params': params})
  reference = apply(frames[0], masks[0], method='encode_reference')
  memory = None
  if memory_of is not None:
    frame, mask = memory_of
    _, trace = apply(frame, mask, reference, method='segment_traced')
    found = apply(trace, mask, method='remember')
    memory = matching.Memory(
      found.keys[:, None], found.values[:, None], jnp.ones((1, 1), bool)
    )
  logits, trace = apply(
    frames[1], masks[1], reference, memory=memory, method='segment_traced'
  )
  return logits, trace


def _frames():
  frames = [jnp.abs(_random(1, 32, 48, 3, seed=i)) for i in range(3)]
  masks = [(_random(1, 32, 48, seed=i) > 0).astype(jnp.float32) for i in (4, 5)]
  return frames, masks


def test_at_first_a_look_back_changes_nothing(networks):
  model, params, plain, rest = networks
  frames, masks = _frames()
  with_it, trace = _segment(model, params, frames[:2], masks)
  without, nothing = _segment(plain, rest, frames[:2], masks)
  np.testing.assert_array_equal(with_it, without)
  assert trace is not None
  assert nothing is None


def test_what_is_remembered_changes_the_prediction():
  model = tiny_resnets.LOOKING_BACK
  params = tiny_resnets.looking_back_params()
  frames, masks = _frames()
  alone, _ = _segment(model, params, frames[:2], masks)
  other, _ = _segment(model, params, frames[:2], masks, (frames[2], masks[0]))
  inverse, _ = _segment(
    model, params, frames[:2], masks, (frames[2], 1 - masks[0])
  )
  assert not np.allclose(alone, other)
  assert not np.allclose(other, inverse)


def test_the_same_frame_again_is_the_reference_alone(networks):
  _, params, _, _ = networks
  matcher = matching.Matching(4, 6, 8)
  trace = matching.Trace(_random(1, 2, 3, 4), _random(1, 2, 3, 6))
  reference = _remembered(3)
  memory = matching.Memory(
    reference.keys[:, None], reference.values[:, None], jnp.ones((1, 1), bool)
  )
  variables = {'params': params['matching']}
  found = [
    matcher.apply(variables, trace, reference, m) for m in (None, memory)
  ]
  np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('field', ['matching_keys', 'matching_values'])
def test_channels_are_at_least_one(field):
  with pytest.raises(ValueError, match=field):
    savos_config.SavosConfig(**{field: 0})


def test_parameters_at_full_size():
  config = savos_config.SavosConfig(
    width_multiplier=0.5, decoder_features=128, matching=True
  )
  shapes = state.param_shapes(savos.SAVOS(config))['matching']
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  # key 3x3x512x64, feature 512x128, mask 16x128, value 128x128, mix
  # 3x3x256x128, join 3x3x128x128, and biases.
  assert count == (
    294_912 + 65_536 + 2_048 + 16_384 + 294_912 + 147_456 + 64 + 5 * 128
  )
