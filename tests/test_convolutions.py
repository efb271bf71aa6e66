"""Convolutions, pooling and enlarging against their plain definitions."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.models import convolutions
from savos_jax.models import savos_config
from savos_jax.models import upsampling


@pytest.mark.parametrize(
  ('kernel', 'strides'),
  [
    ((1, 1, 3, 4), (1, 1)),
    ((1, 1, 3, 4), (2, 2)),
    ((3, 3, 3, 2), (1, 1)),
    ((1, 7, 3, 4), (1, 1)),
    ((7, 1, 3, 4), (1, 1)),
  ],
)
def test_convolution_by_products_is_that_convolution(kernel, strides):
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (2, 8, 10, 3))
  kernel = jax.random.normal(keys[1], kernel)
  expected = jax.lax.conv_general_dilated(
    x, kernel, strides, 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  found = convolutions.by_products(x, kernel, strides)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ('size', 'convolve'),
  [
    (1, convolutions.by_products),
    (3, convolutions.by_products),
    (3, convolutions.convolve_3x3),
  ],
)
def test_in_place_of_a_layers_convolution(size, convolve):
  x = jnp.ones((1, 8, 10, 3))

  def layer(convolve=convolve, **given):
    kernel = size, size
    return nn.Conv(6, kernel, conv_general_dilated=convolve, **given)

  params = layer().init(jax.random.key(0), x)
  for padding in ('SAME', size // 2):
    expected = layer(None, padding=padding).apply(params, x)
    found = layer(padding=padding).apply(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  refused = {
    'padding': {'padding': 2},
    'lhs_dilation': {'input_dilation': 2},
    'rhs_dilation': {'kernel_dilation': 2},
    'feature_group_count': {'feature_group_count': 3},
    'precision': {'precision': 'highest'},
  }
  if size > 1:
    refused['strides'] = {'strides': 2}
    refused['padding'] = {'padding': 'VALID'}
  for name, given in refused.items():
    with pytest.raises(ValueError, match=rf'^{name} is .*\n  Expected'):
      layer(**given).init(jax.random.key(0), x)


# By Winograd's way, by one product, as they are written.
@pytest.mark.parametrize(
  ('size', 'channels', 'features'),
  [((2, 30, 31), 64, 65), ((1, 5, 4), 256, 8), ((1, 5, 4), 3, 4)],
)
def test_gradients_are_those_of_the_plain_convolution(size, channels, features):
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (*size, channels))
  kernel = jax.random.normal(keys[1], (3, 3, channels, features))
  weights = jax.random.normal(keys[2], (*size, features))

  def plain(x, kernel):
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  def gradients(convolve):
    return jax.grad(lambda *a: (weights * convolve(*a)).sum(), (0, 1))(
      x, kernel
    )

  found, expected = gradients(convolutions.convolve_3x3), gradients(plain)
  for a, b in zip(found, expected, strict=True):
    largest = float(jnp.abs(b).max())
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize('factor', [1, 2, 4])
def test_upsampling_is_bilinear_with_half_pixel_centres(factor):
  x = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))
  shape = (2, 5 * factor, 3 * factor, 4)
  expected = jax.image.resize(x, shape, 'bilinear', antialias=False)
  found = upsampling.bilinear(x, factor)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
  half = upsampling.bilinear(x.astype(jnp.bfloat16), factor)
  assert half.dtype == jnp.bfloat16


@pytest.mark.parametrize('padding', savos_config.STEM_POOL_PADDINGS)
def test_the_stem_is_convolution_and_pooling_as_they_are_written(padding):
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (2, 12, 16, 4))
  kernel = jax.random.normal(keys[1], (7, 7, 4, 5))
  convolved = jax.lax.conv_general_dilated(
    x, kernel, (2, 2), [(3, 3)] * 2,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )  # fmt: skip
  found = convolutions.convolve_7x7_stride_2(x, kernel)
  np.testing.assert_allclose(found, convolved, rtol=1e-4, atol=1e-4)
  # Below zero everywhere: a border of zeros would be seen.
  below = -jnp.exp(convolved)
  pooled = nn.max_pool(below, (3, 3), (2, 2), padding=[padding] * 2)
  found = convolutions.max_pool_3x3_stride_2(below, padding)
  np.testing.assert_array_equal(found, pooled)
