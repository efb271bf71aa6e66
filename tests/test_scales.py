"""Views of a frame: sizes, and resizing against SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from savos_jax.inference import scales
from savos_jax.inference import sight


def sizes(found):
  return [(v.height, v.width, v.flip, v.plain) for v in found]


def test_sizes_are_multiples_of_32_and_1_is_left_alone():
  found = scales.views(480, 854, (0.5, 0.75, 1.0), flip=False)
  assert sizes(found) == [
    (256, 416, False, False),
    (352, 640, False, False),
    (0, 0, False, True),
  ]
  assert sizes(scales.views(40, 50, (0.1,), flip=False)) == [
    (32, 32, False, False)
  ]


def test_flip_doubles_the_views_and_the_plain_one_has_no_size():
  found = scales.views(480, 854, (1.0,), flip=True)
  assert sizes(found) == [(0, 0, False, True), (480, 854, True, False)]
  # The same view at any size: it is compiled once.
  assert scales.views(480, 854, (1.0,), False) == scales.views(
    470, 850, (1.0,), False
  )


def test_equal_sizes_are_seen_once():
  assert len(scales.views(64, 64, (0.5, 0.51), flip=False)) == 1


def resized(image, height, width):
  """Bilinear, half-pixel centres, edges repeated, no antialias."""
  rows = (np.arange(height) + 0.5) * image.shape[0] / height - 0.5
  columns = (np.arange(width) + 0.5) * image.shape[1] / width - 0.5
  grid = np.meshgrid(rows, columns, indexing='ij')
  return ndimage.map_coordinates(image, grid, order=1, mode='nearest')


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('size', [(32, 64), (96, 160), (60, 90)])
def test_resizing_is_scipys(size, flip):
  rng = np.random.default_rng(0)
  image = rng.random((60, 90)).astype(np.float32)
  view = scales.View(*size, flip=flip, plain=False)
  found = sight.resized(jnp.asarray(image)[None], view)[0]
  expected = resized(image, *size)
  expected = expected[:, ::-1] if flip else expected
  np.testing.assert_allclose(found, expected, atol=1e-5)
  again = sight.resized_back(found[None], view, 60, 90)[0]
  unflipped = expected[:, ::-1] if flip else expected
  np.testing.assert_allclose(again, resized(unflipped, 60, 90), atol=1e-5)


def test_colours_keep_their_places():
  rng = np.random.default_rng(0)
  frame = rng.random((1, 40, 50, 3)).astype(np.float32)
  view = scales.View(64, 32, flip=True, plain=False)
  found = sight.resized(jnp.asarray(frame), view)
  for channel in range(3):
    np.testing.assert_allclose(
      found[0, :, :, channel],
      resized(frame[0, :, :, channel], 64, 32)[:, ::-1],
      atol=1e-5,
    )
