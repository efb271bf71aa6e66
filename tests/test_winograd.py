"""Winograd's convolution against the plain one, and where it is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_gradients_are_those_of_the_plain_convolution():
  x, kernel = draw((2, 75, 83), 2, 3)

  def gradients(convolve):
    return jax.grad(lambda *a: jnp.sin(convolve(*a)).sum(), (0, 1))(x, kernel)

  found, expected = gradients(winograd.convolve), gradients(plain)
  for a, b in zip(found, expected, strict=True):
    error = float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
    assert error < 1e-4


@pytest.mark.parametrize(
  ('size', 'channels', 'dtype', 'used'),
  [
    ((1, 120, 216), 128, 'float32', True),
    ((4, 64, 112), 128, 'float32', True),
    ((1, 60, 108), 128, 'float32', False),
    ((1, 120, 216), 64, 'float32', False),
    ((1, 120, 216), 128, 'bfloat16', False),
  ],
)
def test_is_used_on_cpus_for_large_maps_of_many_channels(
  size, channels, dtype, used
):
  x = jax.ShapeDtypeStruct((*size, channels), dtype)
  kernel = jax.ShapeDtypeStruct((3, 3, channels, channels), dtype)
  convolve = jax.jit(convolutions.convolve_3x3)
  on_cpu = convolve.trace(x, kernel).lower(lowering_platforms=('cpu',))
  # A kernel that is transformed, 36 x C x C, in place of a convolution.
  assert ('convolution' not in on_cpu.as_text()) == used
  on_tpu = convolve.trace(x, kernel).lower(lowering_platforms=('tpu',))
  assert 'convolution' in on_tpu.as_text()
  assert f'36x{channels}' not in on_tpu.as_text()
