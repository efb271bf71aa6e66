"""Loss and gradient of clips against recurrences written out by hand.

A pixel-wise network stands for the real one: it compiles in no time.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from savos_jax import objective as objective_lib
from savos_jax.inference import aggregation
from savos_jax.models import savos
from savos_jax.training import losses
from savos_jax.training import recurrence
from tests import tiny_resnets

pytestmark = pytest.mark.slow

LAYERS = 6
OBJECTIVE = objective_lib.Objective('mean', soft_iou_weight=0.5)


class PixelNetwork:
  """The interface of SAVOS; each pixel is a network of dense layers."""

  def apply(self, variables, *arguments, method, **named):
    """Calls a method of SAVOS."""
    name = getattr(savos.SAVOS, method.__name__).__name__
    return getattr(self, name)(variables['params'], *arguments, **named)

  def encode_reference(self, params, frame, mask):
    """Returns the mean over the pixels of the hidden features."""
    return self._hidden(params, frame, mask).mean(axis=(1, 2))

  def segment(self, params, frame, guidance, reference):
    """Returns logits."""
    x = self._hidden(params, frame, guidance)
    return (x * reference[:, None, None]) @ params['last']

  def segment_traced(self, params, frame, guidance, reference, memory=None):
    """Returns logits; nothing is remembered."""
    assert memory is None
    return self.segment(params, frame, guidance, reference), None

  def _hidden(self, params, frame, mask):
    x = jnp.concatenate([frame, mask[..., None]], axis=-1) @ params['first']
    for kernel in params['hidden']:
      x = jnp.tanh(x @ kernel)
    return x


def make_params(features=8):
  rng = np.random.default_rng(1)

  def kernel(rows, columns):
    return jnp.asarray(
      rng.normal(0, 2 / np.sqrt(rows), (rows, columns)), jnp.float32
    )

  return {
    'first': kernel(4, features),
    'hidden': [kernel(features, features) for _ in range(LAYERS)],
    'last': kernel(features, 2),
  }


def make_batch(length, size=(12, 14)):
  rng = np.random.default_rng(0)
  shape, clip = (2, *size), (2, length, *size)
  return {
    'reference_frame': rng.integers(0, 256, (*shape, 3), np.uint8),
    'reference_mask': rng.integers(0, 2, shape, np.uint8),
    'frames': rng.integers(0, 256, (*clip, 3), np.uint8),
    'masks': rng.integers(0, 2, clip, np.uint8),
    'guidance': rng.integers(0, 256, shape, np.uint8),
  }


def compiled(params, batch, **fields):
  function = functools.partial(
    recurrence.gradients,
    model=PixelNetwork(),
    objective=dataclasses.replace(OBJECTIVE, **fields),
  )
  return jax.jit(function).lower(params, batch).compile()


def take(params, batch, **fields):
  """(gradient, metrics) with these fields of the objective."""
  return compiled(params, batch, **fields)(params, batch)


def segment(params, batch, t, guidance):
  """(loss, probability) of a frame, from the arrays as they are described."""
  model = PixelNetwork()
  reference = model.encode_reference(
    params,
    jnp.asarray(batch['reference_frame'] / np.float32(255)),
    jnp.asarray(batch['reference_mask'], jnp.float32),
  )
  frame = jnp.asarray(batch['frames'][:, t] / np.float32(255))
  logits = model.segment(params, frame, guidance, reference)
  mask = jnp.asarray(batch['masks'][:, t], jnp.float32)
  margins = losses.margins_of(logits)
  p = jax.nn.sigmoid(margins)
  loss = losses.cross_entropy(margins, mask, 'mean')
  loss += 0.5 * losses.soft_iou_loss(p, mask)
  return loss.mean(), p


def first_guidance(batch):
  return jnp.asarray(batch['guidance'] / np.float32(255))


def assert_close(found, expected):
  """Equal but for rounding, measured against the largest of each array."""
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(
      a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max())
    ),
    found,
    expected,
  )


def iou(p, mask):
  predicted, truth = np.asarray(p) > 0.5, mask > 0
  return (predicted & truth).sum() / (predicted | truth).sum()


def test_through_time_is_the_gradient_of_the_unrolled_loss():
  params, batch = make_params(), make_batch(2)

  def by_hand(params):
    loss_0, p_0 = segment(params, batch, 0, first_guidance(batch))
    loss_1, p_1 = segment(params, batch, 1, p_0)
    return (loss_0 + loss_1) / 2, (p_0, p_1)

  (loss, ps), expected = jax.value_and_grad(by_hand, has_aux=True)(params)
  found, metrics = take(params, batch, recurrence='through_time')
  assert_close(found, expected)
  np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)
  ious = [
    [iou(ps[t][b], batch['masks'][b, t]) for b in range(2)] for t in range(2)
  ]
  np.testing.assert_allclose(metrics['iou'], np.mean(ious), rtol=1e-5)
  np.testing.assert_allclose(metrics['iou_last'], np.mean(ious[1]), rtol=1e-5)
  assert metrics['forced'] == 0


def test_detached_takes_the_guidance_for_a_constant():
  params, batch = make_params(), make_batch(3)
  guidance = [first_guidance(batch)]
  for t in range(2):
    guidance.append(segment(params, batch, t, guidance[t])[1])

  def by_hand(params):
    parts = [segment(params, batch, t, guidance[t])[0] for t in range(3)]
    return sum(parts) / 3

  loss, expected = jax.value_and_grad(by_hand)(params)
  found, metrics = take(params, batch, recurrence='detached')
  assert_close(found, expected)
  np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)


def test_the_recurrences_differ_in_the_gradient_alone():
  params, batch = make_params(), make_batch(2)
  detached, through_time = (
    take(params, batch, recurrence=name) for name in objective_lib.RECURRENCES
  )
  assert_close(detached[1], through_time[1])
  differences = jax.tree.map(
    lambda a, b: float(jnp.abs(a - b).max() / jnp.abs(b).max()),
    detached[0],
    through_time[0],
  )
  assert min(jax.tree.leaves(differences)) > 1e-3


def test_one_frame_is_no_recurrence():
  params, batch = make_params(), make_batch(1)
  expected = jax.grad(
    lambda params: segment(params, batch, 0, first_guidance(batch))[0]
  )(params)
  for name in objective_lib.RECURRENCES:
    found, metrics = take(params, batch, recurrence=name)
    assert_close(found, expected)
    assert metrics.keys() == {'loss', 'iou'}


@pytest.mark.parametrize('name', objective_lib.RECURRENCES)
def test_rematerialisation_changes_no_gradient(name):
  params, batch = make_params(), make_batch(3)
  kept = take(params, batch, recurrence=name)
  again = take(params, batch, recurrence=name, rematerialise=True)
  assert_close(again, kept)
  assert optax.tree.norm(kept[0]) > 0


def test_memory_is_that_of_one_frame():
  params, size = make_params(features=32), (64, 64)

  def megabytes(length, **fields):
    analysis = compiled(params, make_batch(length, size), **fields)
    return analysis.memory_analysis().temp_size_in_bytes / 1e6

  one = megabytes(1)
  layer = 2 * 64 * 64 * 32 * 4 / 1e6
  assert one > 2 * LAYERS * layer  # The reference's and the frame's.
  assert megabytes(4) < 1.3 * one
  kept = megabytes(4, recurrence='through_time')
  assert kept > one + 3 * LAYERS * layer
  again = megabytes(4, recurrence='through_time', rematerialise=True)
  assert again < 1.3 * one
  # Without the reference's activations.
  assert megabytes(4, rematerialise=True) < 0.8 * one


@pytest.mark.parametrize('name', objective_lib.RECURRENCES)
def test_teacher_forcing_gives_the_true_mask_to_the_lost_examples(name):
  params, batch = make_params(), make_batch(2)
  p_0 = segment(params, batch, 0, first_guidance(batch))[1]
  # Example 0 follows its object, example 1 has lost it.
  right = np.asarray(p_0 > 0.5)
  batch['masks'][:, 0] = np.stack([right[0], ~right[1]])

  def by_hand(params):
    loss_0, p_0 = segment(params, batch, 0, first_guidance(batch))
    if name == 'detached':
      p_0 = jax.lax.stop_gradient(p_0)
    truth = jnp.asarray(batch['masks'][1, 0], jnp.float32)
    loss_1, _ = segment(params, batch, 1, jnp.stack([p_0[0], truth]))
    return (loss_0 + loss_1) / 2

  loss, expected = jax.value_and_grad(by_hand)(params)
  found, metrics = take(params, batch, recurrence=name, teacher_forcing_iou=0.5)
  assert metrics['forced'] == 0.5
  np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-5)
  assert_close(found, expected)
  _, all_forced = take(params, batch, recurrence=name, teacher_forcing_iou=1.0)
  assert all_forced['forced'] == 0.5  # An IoU of 1 is not below 1.
  _, never = take(params, batch, recurrence=name)
  assert never['forced'] == 0.0


def _with_objects(batch, count):
  """The batch with ids 0..count, and a guidance for each object."""
  rng = np.random.default_rng(2)
  masks = {
    name: rng.integers(0, count + 1, batch[name].shape).astype(np.uint8)
    for name in ('reference_mask', 'masks')
  }
  size = batch['guidance'].shape[1:]
  guidance = rng.integers(0, 256, (2, count, *size)).astype(np.uint8)
  return batch | masks | {'guidance': guidance}


def _of_object(batch, number):
  """The batch as a network sees it that knows of one object alone."""
  return batch | {
    'reference_mask': (batch['reference_mask'] == number).astype(np.uint8),
    'masks': (batch['masks'] == number).astype(np.uint8),
    'guidance': batch['guidance'][:, number - 1],
  }


@pytest.mark.parametrize('name', objective_lib.RECURRENCES)
def test_objects_side_by_side_are_the_mean_of_each(name):
  params, batch = make_params(), _with_objects(make_batch(2), 2)
  found, metrics = take(params, batch, recurrence=name, joint=False)
  each = [take(params, _of_object(batch, i), recurrence=name) for i in (1, 2)]
  mean = jax.tree.map(lambda a, b: (a + b) / 2, *each)
  assert_close(found, mean[0])
  np.testing.assert_allclose(metrics['loss'], mean[1]['loss'], rtol=1e-5)
  np.testing.assert_allclose(metrics['iou'], mean[1]['iou'], rtol=1e-5)


def test_one_object_has_the_same_loss_with_and_without_others_to_join():
  params, batch = make_params(), _with_objects(make_batch(2), 1)
  plain = take(params, _of_object(batch, 1))
  assert_close(take(params, batch, joint=True), plain)
  assert_close(take(params, batch, joint=False), plain)


def test_joined_objects_guide_the_next_frame_as_in_inference():
  params, batch = make_params(), _with_objects(make_batch(2), 2)

  def frame(t, guidance):
    ps = [
      segment(params, _of_object(batch, i + 1), t, guidance[i])[1]
      for i in range(2)
    ]
    joined = [
      aggregation.aggregate(jnp.stack([p[b] for p in ps]), 'softmax')
      for b in range(2)
    ]
    return jnp.stack(joined, axis=1)

  first = jnp.asarray(batch['guidance'].swapaxes(0, 1) / np.float32(255))
  ps = [frame(0, first)]
  ps.append(frame(1, ps[0]))
  ious = [
    iou(p[i, b], batch['masks'][b, t] == i + 1)
    for t, p in enumerate(ps)
    for i in range(2)
    for b in range(2)
  ]
  _, metrics = take(params, batch)
  np.testing.assert_allclose(metrics['iou'], np.mean(ious), rtol=1e-5)


def test_a_network_that_looks_back_remembers_its_own_frames():
  model = tiny_resnets.LOOKING_BACK
  params = tiny_resnets.looking_back_params()
  batch = _with_objects(make_batch(2, (32, 32)), 2)
  # The true mask guides the second frame: what the first one looked like can
  # change its loss by the memory alone.
  objective = dataclasses.replace(OBJECTIVE, teacher_forcing_iou=1.0)
  run = jax.jit(
    functools.partial(recurrence.gradients, model=model, objective=objective)
  )
  gradient, one = run(params, batch)
  for leaf in jax.tree.leaves(gradient['matching']):
    assert jnp.abs(leaf).max() > 0
  other = batch['frames'].copy()
  other[:, 0] = 255 - other[:, 0]
  _, two = run(params, batch | {'frames': other})
  assert np.isfinite(one['loss'])
  assert one['iou_last'] != two['iou_last']
