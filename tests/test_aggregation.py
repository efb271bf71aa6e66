"""How objects agree: Eq. 5 against an example worked by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.inference import aggregation
from savos_jax.inference import options


def pixels(*objects):
  """Probabilities [K, 1, W] from a row of numbers for each object."""
  return jnp.asarray(objects, jnp.float32)[:, None, :]


def test_equation_5_by_hand():
  # Odds of 0.8 are 4, of 0.5 are 1; the background is 0.2 * 0.5 = 0.1, odds
  # 1/9: together 5 1/9 = 46/9.
  found = aggregation.softmax(
    pixels([0.8], [0.5]),
    aggregation.background(pixels([0.8], [0.5]), 'product'),
  )
  np.testing.assert_allclose(
    found[:, 0, 0], [1 / 46, 36 / 46, 9 / 46], rtol=1e-5
  )


@pytest.mark.parametrize(
  ('kind', 'expected'),
  [('product', 0.2 * 0.5), ('max', 0.2), ('merged', 0.3)],
)
def test_backgrounds(kind, expected):
  merged = jnp.full((1, 1), 0.7)
  found = aggregation.background(pixels([0.8], [0.5]), kind, merged)
  np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)


def test_it_adds_up_to_one_and_certainty_stays_finite():
  p = pixels([0.0, 1.0, 1.0, 0.3, 1e-12], [0.0, 0.0, 1.0, 0.3, 1.0])
  found = aggregation.softmax(p, aggregation.background(p, 'product'))
  assert np.isfinite(found).all()
  np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-6)
  # Nobody there; the first; both alike; both alike again; the second.
  np.testing.assert_allclose(found[1:, 0, 0], 0.0, atol=1e-6)
  np.testing.assert_allclose(found[1, 0, 1], 1.0, atol=1e-5)
  np.testing.assert_allclose(found[1:, 0, 2], 0.5, rtol=1e-3)
  assert found[1, 0, 3] == found[2, 0, 3]
  np.testing.assert_allclose(found[2, 0, 4], 1.0, atol=1e-5)


def test_winner_takes_all():
  found = aggregation.winner_takes_all(
    pixels([0.2, 0.6, 0.5], [0.4, 0.3, 0.5], [0.1, 0.9, 0.5])
  )
  np.testing.assert_allclose(
    found[:, 0], [[0, 0, 0.5], [0.4, 0, 0], [0, 0.9, 0]]
  )


@pytest.mark.parametrize('mode', options.MODES)
def test_one_object_stays_as_it_is(mode):
  p = pixels([0.0, 0.3, 0.7, 1.0])
  assert aggregation.aggregate(p, mode) is p
  np.testing.assert_array_equal(aggregation.labels(p, mode), [[0, 0, 1, 1]])


def test_labels_take_the_most_probable_object_above_one_half():
  p = pixels([0.2, 0.6, 0.7, 0.5], [0.4, 0.3, 0.9, 0.1])
  np.testing.assert_array_equal(
    aggregation.labels(p, 'independent'), [[0, 1, 2, 0]]
  )
  assert aggregation.labels(p, 'independent').dtype == jnp.uint8


def test_after_eq_5_the_background_is_what_the_objects_leave():
  # 0.4 is the largest, though below one half; and 0.4 against 0.45.
  p = pixels([0.4, 0.4], [0.3, 0.15])
  np.testing.assert_array_equal(aggregation.labels(p, 'softmax'), [[1, 0]])


def test_confidence_of_what_is_no_number():
  p = pixels([0.9, 0.7], [0.2, np.nan], [0.1, 0.4])
  sure = aggregation.confidence(p, np.array([1, 2]))
  np.testing.assert_allclose(sure, [0.8, np.nan, 0])
