"""Losses against sums written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.inference import aggregation
from savos_jax.training import losses


@pytest.fixture
def case():
  rng = np.random.default_rng(0)
  margins = 3.0 * rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
  ids = rng.integers(0, 4, (2, 4, 5))
  masks = (ids[:, None] == np.arange(1, 4).reshape(1, 3, 1, 1)).astype('f4')
  return margins, masks, 1 / (1 + np.exp(-margins))


def test_margins_are_the_logits_of_a_softmax_of_two():
  logits = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 2)))
  np.testing.assert_allclose(
    jax.nn.sigmoid(losses.margins_of(logits)),
    jax.nn.softmax(logits)[..., 1],
    rtol=1e-5,
  )


def test_cross_entropy(case):
  margins, masks, p = case
  per_pixel = -np.log(np.where(masks == 1, p, 1 - p))
  total = losses.cross_entropy(jnp.asarray(margins), jnp.asarray(masks), 'sum')
  np.testing.assert_allclose(total, per_pixel.sum((2, 3)), rtol=1e-5)
  mean = losses.cross_entropy(jnp.asarray(margins), jnp.asarray(masks), 'mean')
  np.testing.assert_allclose(mean, per_pixel.mean((2, 3)), rtol=1e-5)


def test_cross_entropy_stays_finite_on_extreme_margins():
  margins = jnp.asarray([[-2e4]])
  loss = losses.cross_entropy(margins, jnp.ones((1, 1)), 'mean')
  np.testing.assert_allclose(loss, 2e4)
  joint = losses.joint_logits(
    jnp.asarray([1e4, -1e4]).reshape(1, 2, 1, 1), jnp.ones((1, 2), bool)
  )
  assert jnp.isfinite(joint).all()


def test_soft_iou(case):
  _, masks, p = case
  found = losses.soft_iou_loss(jnp.asarray(p), jnp.asarray(masks))
  both = (p * masks).sum((2, 3))
  either = (p + masks - p * masks).sum((2, 3))
  np.testing.assert_allclose(found, 1 - (both + 1) / (either + 1), rtol=1e-5)


def test_joint_probabilities_are_those_of_inference(case):
  margins, _, p = case
  logits = losses.joint_logits(jnp.asarray(margins), jnp.ones((2, 3), bool))
  found = jax.nn.softmax(logits, axis=1)[:, 1:]
  for b in range(2):
    expected = aggregation.aggregate(jnp.asarray(p[b]), 'softmax')
    np.testing.assert_allclose(found[b], expected, rtol=1e-4, atol=1e-6)


def test_joint_cross_entropy(case):
  margins, masks, _ = case
  logits = losses.joint_logits(jnp.asarray(margins), jnp.ones((2, 3), bool))
  p = np.asarray(jax.nn.softmax(logits, axis=1))
  ids = (masks * np.arange(1, 4).reshape(1, 3, 1, 1)).sum(1).astype(int)
  of_truth = np.take_along_axis(p, ids[:, None], axis=1)
  found = losses.joint_cross_entropy(logits, jnp.asarray(masks), 'mean')
  np.testing.assert_allclose(
    found, -np.log(of_truth).mean((1, 2, 3)), rtol=1e-4
  )


@pytest.mark.parametrize('joint', [True, False])
def test_one_object_has_the_loss_of_one(case, joint):
  margins, masks, p = (jnp.asarray(x)[:, :1] for x in case)
  loss, found = losses.clip_frame(
    margins, masks, jnp.ones((2, 1), bool), 'mean', 0.5, joint
  )
  expected = losses.cross_entropy(margins, masks, 'mean')
  expected += 0.5 * losses.soft_iou_loss(p, masks)
  np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
  np.testing.assert_allclose(found, p, rtol=1e-5)


@pytest.mark.parametrize('joint', [True, False])
def test_objects_that_are_not_there_do_not_count(case, joint):
  margins, masks, p = (jnp.asarray(x) for x in case)
  present = jnp.zeros((2, 3), bool).at[:, 1].set(True)
  loss, found = losses.clip_frame(margins, masks, present, 'mean', 0.5, joint)
  alone, _ = losses.clip_frame(
    margins[:, 1:2], masks[:, 1:2], present[:, 1:2], 'mean', 0.5, joint
  )
  np.testing.assert_allclose(loss, alone, rtol=1e-5)
  np.testing.assert_allclose(found[:, 1], p[:, 1], rtol=1e-4)
  assert not found[:, 0].any()
  assert not found[:, 2].any()


def test_iou(case):
  _, masks, p = case
  predicted, truth = p > 0.5, masks > 0.5
  expected = (predicted & truth).sum((2, 3)) / (predicted | truth).sum((2, 3))
  found = losses.iou(jnp.asarray(p), jnp.asarray(masks))
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_iou_of_two_empty_masks_is_one():
  assert losses.iou(jnp.zeros((1, 3, 3)), jnp.zeros((1, 3, 3))).tolist() == [
    1.0
  ]
