"""Optimisers against their update rules written out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from savos_jax.configs import davis16_cpu
from savos_jax.configs import default
from savos_jax.training import optimizer as optimizer_lib

pytestmark = pytest.mark.usefixtures('library_promotion')


def params_like():
  return {
    'encoder': {
      'conv1': {'kernel': jnp.full((2, 2), 0.5)},
      'bn1': {'scale': jnp.ones(2), 'bias': jnp.zeros(2)},
      'res3_0': {'downsample_bn': {'scale': jnp.ones(2)}},
    },
    'decoder': {'predict': {'kernel': jnp.full((2, 2), -1.0)}},
  }


def gradients_like(params, value=1.0):
  return jax.tree.map(lambda x: jnp.full_like(x, value), params)


def run(train, gradients, pretrained=True):
  """Applies the gradients one after another to `params_like()`."""
  params = params_like()
  optimizer = optimizer_lib.make_optimizer(train, params, pretrained)
  state = optimizer.init(params)
  for value in gradients:
    updates, state = optimizer.update(
      gradients_like(params, value), state, params
    )
    params = optax.apply_updates(params, updates)
  return params


def paper(**changes):
  train = default.get_config().train
  train.steps = 10
  train.update(changes)
  return train


def test_paper_preset_is_sgd_with_momentum_and_poly_decay():
  train = default.get_config().train
  assert (train.optimizer, train.momentum, train.learning_rate) == (
    'sgd', 0.5, 1e-5,
  )  # fmt: skip
  assert train.loss_reduction == 'sum'
  params = run(paper(learning_rate=0.1, weight_decay=0.01), [1.0, -2.0, 3.0])
  kernel, velocity = -1.0, 0.0
  for step, gradient in enumerate([1.0, -2.0, 3.0]):
    velocity = 0.5 * velocity + gradient + 0.01 * kernel
    kernel -= 0.1 * (1 - step / 10) ** 0.9 * velocity
  np.testing.assert_allclose(
    params['decoder']['predict']['kernel'], kernel, rtol=1e-5
  )


def test_frozen_batch_norm_does_not_move_and_thawed_does():
  frozen = run(paper(learning_rate=0.1), [1.0])
  start = params_like()
  np.testing.assert_array_equal(
    frozen['encoder']['bn1']['scale'], start['encoder']['bn1']['scale']
  )
  np.testing.assert_array_equal(
    frozen['encoder']['res3_0']['downsample_bn']['scale'], 1.0
  )
  assert frozen['encoder']['conv1']['kernel'][0, 0] != 0.5
  thawed = run(paper(learning_rate=0.1, freeze_batch_norm=False), [1.0])
  np.testing.assert_allclose(thawed['encoder']['bn1']['scale'], 0.9)
  from_scratch = run(paper(learning_rate=0.1), [1.0], pretrained=False)
  np.testing.assert_allclose(from_scratch['encoder']['bn1']['scale'], 0.9)


def test_encoder_learns_slower_by_the_factor():
  train = paper(learning_rate=0.1, encoder_learning_rate_factor=0.2)
  params = run(train, [1.0])
  np.testing.assert_allclose(params['encoder']['conv1']['kernel'], 0.48)
  np.testing.assert_allclose(params['decoder']['predict']['kernel'], -1.1)


def test_clipping_bounds_the_norm_and_ignores_what_is_frozen():
  train = paper(learning_rate=1.0, clip_norm=1.0)
  params = run(train, [100.0])
  moved = np.concatenate(
    [
      np.ravel(params['encoder']['conv1']['kernel']) - 0.5,
      np.ravel(params['decoder']['predict']['kernel']) + 1.0,
    ]
  )
  np.testing.assert_allclose(np.linalg.norm(moved), 1.0, rtol=1e-5)


def test_practical_preset_warms_up_and_decays():
  train = davis16_cpu.get_config().train
  schedule = optimizer_lib.make_schedule(train)
  assert schedule(0) == 0.0
  np.testing.assert_allclose(
    schedule(train.warmup_steps), train.learning_rate, rtol=1e-6
  )
  middle = (train.warmup_steps + train.steps) // 2
  np.testing.assert_allclose(
    schedule(middle), train.learning_rate / 2, rtol=1e-5
  )
  np.testing.assert_allclose(schedule(train.steps), 0.0, atol=1e-9)
  # AdamW's first steps are of the learning rate's size whatever the gradient.
  constant = paper(
    optimizer='adamw', schedule='constant', learning_rate=0.1,
    freeze_batch_norm=False,
  )  # fmt: skip
  params = run(constant, [1e-3])
  np.testing.assert_allclose(params['encoder']['bn1']['bias'], -0.1, rtol=1e-3)


def test_weight_decay_spares_biases():
  train = paper(
    optimizer='adamw', schedule='constant', learning_rate=0.1,
    weight_decay=0.5, freeze_batch_norm=False,
  )  # fmt: skip
  params = run(train, [0.0])
  np.testing.assert_allclose(params['encoder']['bn1']['scale'], 1.0)
  np.testing.assert_allclose(
    params['decoder']['predict']['kernel'], -1.0 + 0.1 * 0.5, rtol=1e-5
  )
