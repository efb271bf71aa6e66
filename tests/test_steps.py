"""One training step against its parts, taken by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from savos_jax import objective
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.training import losses
from savos_jax.training import state as state_lib
from savos_jax.training import steps

MODEL = savos.SAVOS(
  savos_config.SavosConfig(
    block_counts=(1, 1, 1, 1), width_multiplier=1 / 16, decoder_features=8
  )
)
RATE = 0.1


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(0)
  shape = (2, 32, 32)
  return {
    'reference_frame': rng.integers(0, 256, (*shape, 3), np.uint8),
    'reference_mask': rng.integers(0, 2, shape, np.uint8),
    'frames': rng.integers(0, 256, (2, 1, 32, 32, 3), np.uint8),
    'masks': rng.integers(0, 2, (2, 1, 32, 32), np.uint8),
    'guidance': rng.integers(0, 256, shape, np.uint8),
  }


@pytest.fixture(scope='module')
def taken(batch):
  """(state before, state after, metrics) of a step of plain SGD."""
  optimizer = optax.sgd(RATE)
  before = jax.jit(
    functools.partial(
      state_lib.create, MODEL, optimizer=optimizer, use_ema=True
    )
  )(jax.random.key(0))
  step = functools.partial(
    steps.train_step,
    model=MODEL,
    optimizer=optimizer,
    objective=objective.Objective('mean', soft_iou_weight=0.5),
    ema_decay=0.9,
  )
  after, metrics = jax.jit(step)(before, batch)
  return before, after, metrics


def by_hand(params, batch):
  """The loss, from the arrays as their docstrings describe them."""
  logits = MODEL.apply(
    {'params': params},
    jnp.asarray(batch['reference_frame'] / np.float32(255)),
    jnp.asarray(batch['reference_mask'], jnp.float32),
    jnp.asarray(batch['frames'][:, 0] / np.float32(255)),
    jnp.asarray(batch['guidance'] / np.float32(255)),
  )
  mask = jnp.asarray(batch['masks'][:, 0], jnp.float32)
  margins = losses.margins_of(logits)
  loss = losses.cross_entropy(margins, mask, 'mean')
  loss += 0.5 * losses.soft_iou_loss(jax.nn.sigmoid(margins), mask)
  return loss.mean()


def test_a_step_follows_the_gradient_of_the_loss(batch, taken):
  before, after, metrics = taken
  loss, gradients = jax.jit(
    lambda params: jax.value_and_grad(by_hand)(params, batch)
  )(before.params)
  np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)
  np.testing.assert_allclose(
    metrics['gradient_norm'], optax.tree.norm(gradients), rtol=1e-4
  )
  assert metrics.keys() == {'loss', 'iou', 'gradient_norm'}
  assert after.step == 1
  jax.tree.map(
    lambda new, old, gradient: np.testing.assert_allclose(
      new, old - RATE * gradient, rtol=1e-4, atol=1e-6
    ),
    after.params,
    before.params,
    gradients,
  )
  assert optax.tree.norm(gradients) > 0


def test_averaged_parameters_move_by_one_minus_the_decay(taken):
  before, after, _ = taken
  decay = steps._ema_decay(before.step, 0.9)  # 0.1 at the first step.
  jax.tree.map(
    lambda average, old, new: np.testing.assert_allclose(
      average, decay * old + (1 - decay) * new, rtol=1e-5, atol=1e-7
    ),
    after.ema_params,
    before.params,
    after.params,
  )
  differ = optax.tree.norm(optax.tree.sub(after.ema_params, after.params))
  assert differ > 0
  assert after.best_params is after.ema_params
