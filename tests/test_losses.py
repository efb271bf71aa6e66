"""Losses against sums written out in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.training import losses


@pytest.fixture
def case():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
  mask = (rng.random((2, 4, 5)) > 0.5).astype(np.float32)
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  return logits, mask, p


def test_cross_entropy(case):
  logits, mask, p = case
  per_pixel = -np.log(np.where(mask == 1, p[..., 1], p[..., 0]))
  total = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(mask), 'sum')
  np.testing.assert_allclose(total, per_pixel.sum() / 2, rtol=1e-5)
  mean = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(mask), 'mean')
  np.testing.assert_allclose(mean, per_pixel.mean(), rtol=1e-5)


def test_cross_entropy_stays_finite_on_extreme_logits():
  logits = jnp.asarray([[[[1e4, -1e4]]]])
  loss = losses.cross_entropy(logits, jnp.ones((1, 1, 1)), 'mean')
  np.testing.assert_allclose(loss, 2e4)


def test_soft_iou(case):
  logits, mask, p = case
  expected = [
    1 - ((q * m).sum() + 1) / ((q + m - q * m).sum() + 1)
    for q, m in zip(p[..., 1], mask, strict=True)
  ]
  found = losses.soft_iou_loss(jnp.asarray(logits), jnp.asarray(mask))
  np.testing.assert_allclose(found, np.mean(expected), rtol=1e-5)


def test_iou(case):
  logits, mask, p = case
  predicted = p[..., 1] > 0.5
  truth = mask > 0.5
  expected = [
    (a & b).sum() / (a | b).sum() for a, b in zip(predicted, truth, strict=True)
  ]
  np.testing.assert_allclose(
    losses.iou(jnp.asarray(logits), jnp.asarray(mask)), expected, rtol=1e-6
  )


def test_iou_of_two_empty_masks_is_one():
  logits = jnp.zeros((1, 3, 3, 2)).at[..., 0].set(5.0)
  assert losses.iou(logits, jnp.zeros((1, 3, 3))).tolist() == [1.0]
