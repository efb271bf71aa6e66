"""From torchvision's names to the encoder's parameters."""

import dataclasses
import importlib.util

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.models import resnet
from savos_jax.models import savos_config
from savos_jax.weights import preprocessings
from savos_jax.weights import resnet_params
from tests import tiny_resnets


def encoder(backbone):
  """The encoder's parameters as shapes, without the mask's filter."""
  model = resnet.ResNet(
    block_counts=backbone.block_counts,
    width_multiplier=backbone.width_multiplier,
    stem_features=backbone.stem_features,
  )
  frame = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  mask = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
  params = jax.eval_shape(model.init, jax.random.key(0), frame, mask)['params']
  stem = params['conv1']['kernel']
  stem = jax.ShapeDtypeStruct((7, 7, 3, stem.shape[3]), stem.dtype)
  return params | {'conv1': {'kernel': stem}}


def shapes(tree):
  flat = traverse_util.flatten_dict(tree, sep='/')
  return {name: leaf.shape for name, leaf in flat.items()}


@pytest.mark.parametrize('folded', [False, True])
@pytest.mark.parametrize('stem', [6, 16])
def test_fills_the_encoder(folded, stem):
  drawn = tiny_resnets.tensors(stem=stem, folded=folded)
  backbone, params = resnet_params.fold(tiny_resnets.source(drawn))
  assert backbone.block_counts == tiny_resnets.COUNTS
  assert backbone.width_multiplier == tiny_resnets.INNER / 64
  assert backbone.stem_features == stem
  assert shapes(params) == shapes(encoder(backbone))
  assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {
    np.dtype(np.float32)
  }


def test_batch_norm_is_folded_with_its_epsilon():
  drawn = tiny_resnets.tensors()
  # At such a variance, the epsilon decides.
  drawn['layer2.1.bn2.running_var'][:] = 1e-5
  drawn['layer2.1.conv2.bias'] = np.full(8, 0.25, np.float32)
  source = tiny_resnets.source(drawn, batch_norm_epsilon=1e-3)
  _, params = resnet_params.fold(source)
  found = params['res3_1']['bn2']
  weight, bias, mean = (
    drawn[f'layer2.1.bn2.{name}'] for name in ('weight', 'bias', 'running_mean')
  )
  x = np.linspace(-1.0, 1.0, 8)
  expected = (x + 0.25 - mean) / np.sqrt(1e-5 + 1e-3) * weight + bias
  np.testing.assert_allclose(
    x * found['scale'] + found['bias'], expected, rtol=1e-5, atol=1e-5
  )


def test_kernels_are_transposed():
  drawn = tiny_resnets.tensors()
  _, params = resnet_params.fold(tiny_resnets.source(drawn))
  found = params['res2_0']['conv2']['kernel']
  np.testing.assert_array_equal(
    found[0, 2, 1, 3], drawn['layer1.0.conv2.weight'][3, 1, 0, 2]
  )
  np.testing.assert_array_equal(
    params['res4_0']['downsample_conv']['kernel'][0, 0],
    drawn['layer3.0.downsample.0.weight'][:, :, 0, 0].T,
  )


@pytest.mark.parametrize('name', sorted(preprocessings.PUBLISHED))
def test_first_convolution_sees_what_it_was_trained_on(name):
  """RGB in [0, 1], normalised as the file tells, against the original's way."""
  drawn = tiny_resnets.tensors(folded=True)
  preprocessing = preprocessings.PUBLISHED[name]
  source = tiny_resnets.source(drawn, preprocessing=preprocessing)
  backbone, params = resnet_params.fold(source)
  image = np.random.default_rng(1).integers(0, 256, (7, 7, 3))
  if name == 'caffe':
    theirs = image[..., ::-1] - np.array([103.939, 116.779, 123.68])
  elif name == 'tf':
    theirs = image / 127.5 - 1.0
  else:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = (image / 255.0 - mean) / std
  expected = np.einsum('hwi,oihw->o', theirs, drawn['conv1.weight'])
  ours = (image / 255.0 - backbone.rgb_mean) / backbone.rgb_std
  found = np.einsum('hwi,hwio->o', ours, params['conv1']['kernel'])
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  # The mask's filter is drawn for inputs of this size.
  assert max(backbone.rgb_std) < 0.3


def test_strides_and_padding_are_handed_on():
  source = tiny_resnets.source(stride_variant='v1', stem_pool_padding=(0, 1))
  backbone, _ = resnet_params.fold(source)
  assert backbone.stride_variant == 'v1'
  assert backbone.stem_pool_padding == (0, 1)


def changed(**changes):
  """The tensors with some replaced; None takes one out."""
  drawn = tiny_resnets.tensors() | changes
  return {name: array for name, array in drawn.items() if array is not None}


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    ({'layer2.1.bn2.running_var': None},
     ['missing: layer2.1.bn2.running_var']),
    ({'layer3.0.conv2.weight': None}, ['missing: layer3.0.conv2.weight']),
    ({'layer2.1.conv1.weight': None},
     ['missing: layer2.1.conv1.weight\n']),
    ({'layer1.2.conv1.weight': np.ones((4, 16, 1, 1), np.float32)},
     ['missing: layer1.1.conv1.weight', 'layer1.1.bn1.weight']),
    ({'layer1.0.se.fc1.weight': np.ones((2, 3), np.float32)},
     ['unexpected: layer1.0.se.fc1.weight [2, 3]']),
    ({'layer4.0.conv2.weight': np.ones((32, 16, 3, 3), np.float32)},
     ['layer4.0.conv2.weight [32, 16, 3, 3] (expected [32, 32, 3, 3])']),
    ({'layer1.0.conv3.weight': None}, ['basic blocks', 'ResNet-50']),
    ({'layer4.0.conv1.weight': None}, ['missing: layer4.0.conv1.weight\n']),
    (dict.fromkeys([n for n in tiny_resnets.tensors() if 'layer4' in n]),
     ['no ResNet of four stages', 'bn1.bias']),
    ({'conv1.weight': None}, ['no ResNet of four stages']),
    ({'bn1.weight': np.full(6, np.nan, np.float32)},
     ['not a number', 'bn1.weight']),
    ({'bn1.running_var': np.full(6, -1.0, np.float32)},
     ['negative variance', 'bn1.running_var']),
  ],
)  # fmt: skip
def test_whatever_does_not_fit_is_named(changes, expected):
  with pytest.raises(errors.SavosError) as caught:
    resnet_params.fold(tiny_resnets.source(changed(**changes)))
  for text in expected:
    assert text in str(caught.value)


def test_a_long_list_is_cut():
  drawn = tiny_resnets.tensors()
  drawn = {n: a for n, a in drawn.items() if 'running' not in n}
  with pytest.raises(errors.SavosError, match=r'and \d+ more'):
    resnet_params.fold(tiny_resnets.source(drawn))


def test_full_size_is_resnet50():
  """Names and shapes of torchvision's ResNet-50, 25,557,032 parameters."""
  convs = list(resnet_params.convolutions((3, 4, 6, 3), 64, 64))
  count = sum(int(np.prod(c.shape)) + 2 * c.shape[0] for c in convs)
  assert count == 25_557_032 - (2048 * 1000 + 1000)
  assert len(convs) == 53


@pytest.mark.skipif(
  importlib.util.find_spec('torchvision') is None,
  reason='torchvision is not installed',
)
def test_names_and_shapes_are_torchvisions():
  import torchvision

  expected = {
    name: tuple(tensor.shape)
    for name, tensor in torchvision.models.resnet50().state_dict().items()
    if name.endswith('weight') and tensor.ndim == 4
  }
  convs = resnet_params.convolutions((3, 4, 6, 3), 64, 64)
  assert {f'{c.name}.weight': c.shape for c in convs} == expected


def test_fields_are_those_of_the_network():

  ours = {field.name for field in dataclasses.fields(resnet_params.Backbone)}
  theirs = {
    field.name for field in dataclasses.fields(savos_config.SavosConfig)
  }
  assert ours <= theirs
