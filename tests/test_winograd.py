"""Winograd's convolution against the plain one, and where it is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.foundation import processor
from savos_jax.models import convolutions
from savos_jax.models import winograd


def plain(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def draw(size, channels=3, features=5):
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (*size, channels))
  return x, jax.random.normal(keys[1], (3, 3, channels, features))


# One tile and less, no multiple of a tile, several blocks of rows (more than
# 160 tiles), of which the last is not full.
@pytest.mark.parametrize('size', [(1, 1, 2), (2, 4, 4), (1, 7, 9), (2, 75, 83)])
def test_convolves(size):
  x, kernel = draw(size)
  expected = plain(x, kernel)
  found = winograd.convolve(x, kernel)
  assert found.shape == expected.shape
  largest = float(jnp.abs(expected).max())
  np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * largest)


@pytest.mark.parametrize('size', [(1, 1, 2), (1, 7, 9), (2, 75, 83)])
def test_gradient_by_the_kernel(size):
  x, kernel = draw(size)
  gradient = jax.random.normal(jax.random.key(2), (*size, 5))
  _, pull = jax.vjp(lambda k: plain(x, k), kernel)
  (expected,) = pull(gradient)
  found = winograd.kernel_gradient(x, gradient)
  largest = float(jnp.abs(expected).max())
  np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * largest)


@pytest.mark.parametrize(
  ('size', 'channels', 'dtype', 'avx512', 'used'),
  [
    ((1, 30, 50), 64, 'float32', True, True),
    ((3, 10, 50), 64, 'float32', True, True),
    ((1, 30, 49), 64, 'float32', True, False),
    ((1, 30, 50), 63, 'float32', True, False),
    ((1, 20, 20), 32, 'float32', False, True),
    ((1, 19, 20), 32, 'float32', False, False),
    ((1, 30, 50), 64, 'bfloat16', True, False),
  ],
)
def test_is_used_on_cpus_for_large_maps_of_many_channels(
  monkeypatch, size, channels, dtype, avx512, used
):
  monkeypatch.setattr(processor, 'has_avx512', lambda: avx512)
  x = jax.ShapeDtypeStruct((*size, channels), dtype)
  kernel = jax.ShapeDtypeStruct((3, 3, channels, channels), dtype)

  def convolve(x, kernel):  # Traced anew: JAX keeps what it has traced.
    return convolutions.convolve_3x3(x, kernel)

  convolve = jax.jit(convolve)
  on_cpu = convolve.trace(x, kernel).lower(lowering_platforms=('cpu',))
  # A kernel that is transformed, 36 x C x C, in place of a convolution.
  assert ('convolution' not in on_cpu.as_text()) == used
  on_tpu = convolve.trace(x, kernel).lower(lowering_platforms=('tpu',))
  assert 'convolution' in on_tpu.as_text()
  assert f'36x{channels}' not in on_tpu.as_text()
