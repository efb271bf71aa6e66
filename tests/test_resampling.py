"""Windows by NumPy, beside JAX's."""

import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.inference import resampling
from savos_jax.inference import sight
from savos_jax.inference import zoom

SIZE = (96, 160)
BOXES = [
  (0, 0, 96, 160),  # All of it, made smaller.
  (10.3, 20.7, 40, 66.7),
  (72, 120, 24, 40),  # In a corner, made larger.
  (0.6, 93.3, 40.01, 66.68),
]


@pytest.mark.parametrize('box', BOXES)
@pytest.mark.parametrize('seen', [(64, 96), (32, 32), (160, 224)])
def test_there_and_back_as_jax_does(box, seen):
  generator = np.random.default_rng(0)
  frame = generator.integers(0, 256, (*SIZE, 3), np.uint8)
  mask = generator.random(SIZE, np.float32)
  box = np.array(box, np.float32)
  boxes = jnp.asarray(box)[None]
  expected = sight.into_windows(
    jnp.asarray(frame, jnp.float32)[None], boxes, *seen
  )[0]
  found = resampling.into_window(frame, box, *seen)
  np.testing.assert_allclose(found, expected, atol=2e-2)  # Of 255.
  expected = sight.into_windows(jnp.asarray(mask)[None], boxes, *seen)[0]
  found = resampling.into_window(mask, box, *seen)
  np.testing.assert_allclose(found, expected, atol=5e-5)
  back = np.zeros(SIZE, np.float32)
  resampling.out_of_window(found, box, back)
  expected = sight.out_of_windows(expected[None], boxes, *SIZE)[0]
  np.testing.assert_allclose(back, expected, atol=1e-4)


@pytest.mark.parametrize('stray', [0.0, 0.1])
def test_windows_are_placed_by_numpy_as_by_jax(stray):
  generator = np.random.default_rng(1)
  masks = np.zeros((3, *SIZE), np.float32)
  masks[0, 20:40, 30:90] = generator.random((20, 60), np.float32)
  masks[1, 5, 7] = masks[1, 80:90, 100:110] = 0.9
  how = zoom.Windows(2.0, lost_confidence=0.3, stray=stray)
  size = np.array((90, 150), np.int32)
  found = zoom.windows(masks, size, how)
  assert isinstance(found, np.ndarray)
  assert found.dtype == np.float32
  expected = zoom.windows(jnp.asarray(masks), jnp.asarray(size), how)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(('top', 'high'), [(0.5, 12), (14.5, 12), (1.5, 13)])
def test_a_pixel_at_the_very_edge_of_a_window_is_in_it(top, high):
  """Its centre is where the window begins or ends, but for rounding."""
  out = np.zeros((48, 64), np.float32)
  box = np.array((top, 0, high, 46.666668), np.float32)
  resampling.out_of_window(np.ones((32, 64), np.float32), box, out)
  first, last = int(top), int(top) + high
  np.testing.assert_allclose(out[first : last + 1, :46], 1, rtol=1e-5)
  assert not out[:first].any()
  assert not out[last + 1 :].any()
