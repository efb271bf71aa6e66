"""The network: full size by shapes alone, what runs on a tiny one."""

import dataclasses
import functools
import importlib

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax import settings
from savos_jax.models import attention
from savos_jax.models import global_convolution
from savos_jax.models import resnet
from savos_jax.models import savos
from savos_jax.models import savos_config

TINY = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1), width_multiplier=1 / 16, decoder_features=8
)
# Parameters of every configuration's network, fixed against accidents; the
# encoder's are compared with ResNet-50's below.
PARAMETERS = {
  'default': 49_760_475,
  'davis16': 49_760_475,
  'davis17': 49_760_475,
  'davis16_cpu': 12_459_267,
  'demo': 1_585_393,
  'smoke': 77_822,
}


def count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def abstract_params(config):
  model = savos.SAVOS(config)
  frame = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  mask = jax.ShapeDtypeStruct((1, 64, 64), jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), frame, mask, frame, mask)


@pytest.fixture(scope='module')
def tiny():
  """A tiny network, its parameters and inputs of an odd size."""
  model = savos.SAVOS(TINY)
  keys = jax.random.split(jax.random.key(0), 3)
  frame = jax.random.uniform(keys[0], (2, 50, 70, 3))
  mask = (jax.random.uniform(keys[1], (2, 50, 70)) > 0.5).astype(jnp.float32)
  params = jax.jit(model.init)(keys[2], frame, mask, frame, mask)
  return model, params, frame, mask


@functools.partial(jax.jit, static_argnames=('model', 'method'))
def apply(model, *arguments, method=None):
  """Compiled: operation by operation takes ten times as long."""
  return model.apply(*arguments, method=method)


def resnet50_parameters() -> int:
  """The 25,557,032 of torchvision, less the classifier.

  A BatchNorm's weight and bias become a scale and a bias. The mask adds one
  input channel to the first convolution.
  """
  classifier = 2048 * 1000 + 1000
  return 25_557_032 - classifier + 7 * 7 * 64


def test_encoder_has_the_parameters_of_resnet50():
  encoder = abstract_params(savos_config.SavosConfig())['params']['encoder']
  assert count(encoder) == resnet50_parameters()


@pytest.mark.parametrize('name', sorted(PARAMETERS))
def test_parameter_table(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  found = count(abstract_params(settings.model_config(config)))
  assert found == PARAMETERS[name]


@pytest.mark.parametrize('width', [1.0, 0.5])
@pytest.mark.parametrize('variant', savos_config.STRIDE_VARIANTS)
def test_stage_shapes_at_480x854(width, variant):
  encoder = resnet.ResNet(width_multiplier=width, stride_variant=variant)
  frame = jax.ShapeDtypeStruct((1, 480, 864, 3), jnp.float32)
  mask = jax.ShapeDtypeStruct((1, 480, 864, 1), jnp.float32)
  stages, _ = jax.eval_shape(
    encoder.init_with_output, jax.random.key(0), frame, mask
  )
  expected = {
    'stem': (1, 120, 216, 64),
    'res2': (1, 120, 216, 256),
    'res3': (1, 60, 108, 512),
    'res4': (1, 30, 54, 1024),
    'res5': (1, 15, 27, 2048),
  }
  assert {name: stage.shape for name, stage in stages.items()} == {
    name: (*shape[:3], int(shape[3] * width))
    for name, shape in expected.items()
  }


@pytest.mark.parametrize('attention_on', [True, False])
def test_full_size_logits_and_reference(attention_on):
  model = savos.SAVOS(savos_config.SavosConfig(attention=attention_on))
  frame = jax.ShapeDtypeStruct((2, 480, 854, 3), jnp.float32)
  mask = jax.ShapeDtypeStruct((2, 480, 854), jnp.float32)
  logits, params = jax.eval_shape(
    model.init_with_output, jax.random.key(0), frame, mask, frame, mask
  )
  assert logits.shape == (2, 480, 854, 2)
  assert logits.dtype == jnp.float32
  reference = jax.eval_shape(
    lambda p, f, m: model.apply(p, f, m, method='encode_reference'),
    params, frame, mask,
  )  # fmt: skip
  assert reference.share.shape == (2, 15, 27, 256)


def test_reference_computed_once_equals_the_whole(tiny):
  model, params, frame, mask = tiny
  target = frame[:, ::-1]
  whole = apply(model, params, frame, mask, target, mask)
  reference = apply(model, params, frame, mask, method='encode_reference')
  parts = apply(model, params, target, mask, reference, method='segment')
  np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-5)


def test_padding_is_mean_colour_below_and_right_and_is_cropped_away(tiny):
  model, params, frame, mask = tiny  # 50x70: padded to 64x96.
  mean = jnp.asarray(TINY.rgb_mean).reshape(1, 1, 1, 3)
  padded = jnp.broadcast_to(mean, (2, 64, 96, 3)).at[:, :50, :70].set(frame)
  padded_mask = jnp.zeros((2, 64, 96)).at[:, :50, :70].set(mask)
  found = apply(model, params, frame, mask, frame, mask)
  whole = apply(model, params, padded, padded_mask, padded, padded_mask)
  np.testing.assert_allclose(found, whole[:, :50, :70], rtol=1e-4, atol=1e-5)


def test_frames_are_normalised_and_masks_are_not(tiny):
  _, params, _, _ = tiny
  keys = jax.random.split(jax.random.key(7), 2)
  frame = jax.random.uniform(keys[0], (1, 32, 64, 3))
  mask = jax.random.uniform(keys[1], (1, 32, 64))
  raw = savos.SAVOS(
    dataclasses.replace(TINY, rgb_mean=(0.0,) * 3, rgb_std=(1.0,) * 3)
  )
  mean = jnp.asarray(TINY.rgb_mean).reshape(1, 1, 1, 3)
  std = jnp.asarray(TINY.rgb_std).reshape(1, 1, 1, 3)
  normalised = (frame - mean) / std
  expected = apply(raw, params, normalised, mask, normalised, mask)
  found = apply(savos.SAVOS(TINY), params, frame, mask, frame, mask)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_stride_two_is_padded_as_torch_pads():
  """Every second position of the same convolution at stride 1."""
  x = jax.random.normal(jax.random.key(0), (1, 8, 10, 2))
  for size in (1, 3, 7):
    dense = resnet._conv(3, size, 1, jnp.float32, None)
    strided = resnet._conv(3, size, 2, jnp.float32, None)
    variables = dense.init(jax.random.key(1), x)
    np.testing.assert_allclose(
      strided.apply(variables, x),
      dense.apply(variables, x)[:, ::2, ::2],
      rtol=1e-5,
      atol=1e-6,
    )


def test_objects_of_one_frame_share_its_part_of_the_first_convolution():
  frame = jax.random.normal(jax.random.key(0), (1, 32, 64, 3))
  masks = jax.random.uniform(jax.random.key(1), (3, 32, 64, 1))
  module = resnet.FirstConvolution(5)
  variables = module.init(jax.random.key(2), frame, masks[:1])
  found = module.apply(variables, frame, masks)
  expected = module.apply(variables, jnp.tile(frame, (3, 1, 1, 1)), masks)
  assert found.shape == (3, 16, 32, 5)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  assert np.abs(found[0] - found[1]).max() > 0.01


def test_every_input_matters(tiny):
  model, params, frame, mask = tiny
  inputs = [frame, mask, frame, mask]
  before = apply(model, params, *inputs)
  for position in range(4):
    changed = list(inputs)
    changed[position] = 1.0 - inputs[position]
    after = apply(model, params, *changed)
    assert float(jnp.abs(after - before).max()) > 1e-3, position


def test_examples_of_a_batch_do_not_mix(tiny):
  model, params, frame, mask = tiny
  both = apply(model, params, frame, mask, frame, mask)
  one = apply(model, params, frame[1:], mask[1:], frame[1:], mask[1:])
  np.testing.assert_allclose(both[1:], one, rtol=1e-4, atol=1e-5)


def test_stride_variants_share_parameters_but_differ(tiny):
  model, params, frame, mask = tiny
  v1 = savos.SAVOS(dataclasses.replace(TINY, stride_variant='v1'))
  a = apply(model, params, frame, mask, frame, mask)
  b = apply(v1, params, frame, mask, frame, mask)
  assert a.shape == b.shape
  assert float(jnp.abs(a - b).max()) > 1e-3


def test_bfloat16_computes_close_to_float32_and_keeps_float32_outside(tiny):
  model, params, frame, mask = tiny
  half = savos.SAVOS(dataclasses.replace(TINY, compute_dtype='bfloat16'))
  expected = apply(model, params, frame, mask, frame, mask)
  found = apply(half, params, frame, mask, frame, mask)
  assert found.dtype == jnp.float32
  scale = float(jnp.abs(expected).max())
  assert 0 < float(jnp.abs(found - expected).max()) < 0.1 * scale
  stages = resnet.ResNet((1, 1, 1, 1), 1 / 16, dtype=jnp.bfloat16)
  features, variables = jax.eval_shape(
    stages.init_with_output,
    jax.random.key(0),
    jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32),
    jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32),
  )
  assert {f.dtype for f in features.values()} == {jnp.dtype(jnp.bfloat16)}
  dtypes = {leaf.dtype for leaf in jax.tree.leaves(variables)}
  assert dtypes == {jnp.dtype(jnp.float32)}


def test_first_convolution_mask_filter_is_uniform():
  kernel = resnet._first_kernel_init(jax.random.key(1), (7, 7, 4, 64))
  bound = 1 / 7
  mask_filter = np.asarray(kernel[:, :, 3])
  assert np.abs(mask_filter).max() <= bound
  assert abs(mask_filter.std() - bound / np.sqrt(3)) < 0.02 * bound
  rgb = np.asarray(kernel[:, :, :3])
  assert abs(rgb.std() - np.sqrt(2 / (7 * 7 * 64))) < 0.02 * rgb.std()


def test_attention_module_follows_the_equations():
  """Eq. 1-4 written out in NumPy, over the module's own convolutions."""
  module = attention.AttentionModule(features=32, reduction=16)
  keys = jax.random.split(jax.random.key(3), 3)
  skip = jax.random.normal(keys[0], (1, 8, 6, 5))
  below = jax.random.normal(keys[1], (1, 8, 6, 32))
  variables = module.init(keys[2], skip, below)
  # Biases start at zero: set them, or a missing one would not show.
  variables = jax.tree.map(lambda x: x + 0.01, variables)
  p = jax.tree.map(np.asarray, variables['params'])

  def conv(x, weights):
    y = jax.lax.conv_general_dilated(
      jnp.asarray(x), weights['kernel'], (1, 1), 'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )  # fmt: skip
    return np.asarray(y) + np.asarray(weights['bias'])

  def relu(x):
    return np.maximum(x, 0)

  def sigmoid(x):
    return 1 / (1 + np.exp(-x))

  def mlp(x):
    gate = p['channel_gate']
    hidden = relu(x @ gate['hidden']['kernel'] + gate['hidden']['bias'])
    return hidden @ gate['out']['kernel'] + gate['out']['bias']

  assert p['channel_gate']['hidden']['kernel'].shape == (32, 2)
  assert p['spatial_gate']['conv']['kernel'].shape == (7, 7, 2, 1)
  a = conv(skip, p['conv1'])
  f = conv(relu(a), p['conv2'])
  f = f * sigmoid(mlp(f.mean((1, 2))) + mlp(f.max((1, 2))))[:, None, None]
  pooled = np.stack([f.mean(-1), f.max(-1)], axis=-1)
  f = f * sigmoid(conv(pooled, p['spatial_gate']['conv']))
  m = a + f + np.asarray(below)
  refine = p['refine']
  expected = m + conv(relu(conv(relu(m), refine['conv1'])), refine['conv2'])
  np.testing.assert_allclose(
    apply(module, variables, skip, below), expected, rtol=1e-4, atol=1e-4
  )


def test_attention_off_has_no_gates_and_residual_off_differs():
  off = abstract_params(dataclasses.replace(TINY, attention=False))['params']
  module = off['decoder']['attention_res2']
  assert set(module) == {'conv1', 'skip_refine', 'refine'}
  with_residual = attention.AttentionModule(features=8)
  without = attention.AttentionModule(features=8, residual=False)
  keys = jax.random.split(jax.random.key(0), 3)
  skip = jax.random.normal(keys[0], (1, 8, 8, 4))
  below = jax.random.normal(keys[1], (1, 8, 8, 8))
  variables = with_residual.init(keys[2], skip, below)
  a = apply(with_residual, variables, skip, below)
  b = apply(without, variables, skip, below)
  assert float(jnp.abs(a - b).max()) > 1e-2


def test_global_convolution_sees_a_full_square():
  """One pixel of the reference reaches a 7x7 square (plus the 3x3 pair)."""
  block = _MatchedBlock()
  x = jnp.zeros((1, 21, 21, 3))
  variables = block.init(jax.random.key(0), x, x)
  pixel = x.at[0, 10, 10].set(1.0)
  before = apply(block, variables, x, x)
  moved = (
    jnp.abs(apply(block, variables, x, pixel) - before).max(axis=-1)[0] > 0
  )
  rows = np.flatnonzero(np.asarray(moved.any(axis=1)))
  columns = np.flatnonzero(np.asarray(moved.any(axis=0)))
  # 3 from the 7-kernels and 2 from the two 3x3 convolutions, each side.
  assert (rows[0], rows[-1]) == (5, 15)
  assert (columns[0], columns[-1]) == (5, 15)
  shapes = jax.tree.map(jnp.shape, variables['params']['block'])
  assert shapes['left_1xk']['kernel'] == (1, 7, 6, 4)
  assert shapes['right_kx1']['kernel'] == (7, 1, 6, 4)


class _MatchedBlock(nn.Module):
  """The global convolution block, given target and reference."""

  def setup(self):
    self.block = global_convolution.GlobalConvolutionBlock(4, 7)

  def __call__(self, target, reference):
    return self.block(target, self.block.of_reference(reference))


def test_global_convolution_is_that_of_both_features_together():
  """Peng et al., Fig. 3, in convolutions over the concatenated features."""
  keys = jax.random.split(jax.random.key(0), 6)
  target = jax.random.normal(keys[0], (2, 9, 11, 3))
  reference = jax.random.normal(keys[1], (2, 9, 11, 3))
  block = _MatchedBlock()
  variables = block.init(keys[2], target, reference)
  lines = variables['params']['block']
  for key, name in zip(keys[2:], ('left_1xk', 'left_kx1', 'right_kx1',
                                  'right_1xk'), strict=True):  # fmt: skip
    lines[name]['bias'] = jax.random.normal(key, (4,))

  def conv(x, name):
    kernel, bias = lines[name]['kernel'], lines[name]['bias']
    dimensions = ('NHWC', 'HWIO', 'NHWC')
    y = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=dimensions
    )
    return y + bias.reshape(1, 1, 1, -1)

  both = jnp.concatenate([target, reference], axis=-1)
  total = conv(conv(both, 'left_1xk'), 'left_kx1')
  total += conv(conv(both, 'right_kx1'), 'right_1xk')
  refine = global_convolution.ResidualPair()
  expected = apply(refine, {'params': lines['refine']}, total)
  found = apply(block, variables, target, reference)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('stride_variant', 'v2'),
    ('compute_dtype', 'float16'),
    ('gcb_kernel_size', 6),
    ('block_counts', (1, 1, 1)),
    ('rgb_std', (0.0, 1.0, 1.0)),
    ('width_multiplier', 0.0),
  ],
)
def test_bad_fields_are_named(field, value):
  with pytest.raises(ValueError, match=field):
    dataclasses.replace(TINY, **{field: value})
