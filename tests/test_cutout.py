"""Objects cut out: right pixels, right edges."""

import numpy as np
import pytest

from savos_jax.pictures import cutout


@pytest.fixture
def frame():
  return np.random.default_rng(0).integers(1, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def labels():
  labels = np.zeros((20, 30), np.uint8)
  labels[5:12, 8:19] = 3
  labels[15:, 20:] = 1
  return labels


def test_hard_edges_keep_the_objects_and_nothing_else(frame, labels):
  picture = cutout.rgba(frame, labels)
  assert picture.dtype == np.uint8
  inside = labels > 0
  np.testing.assert_array_equal(picture[..., 3], 255 * inside)
  np.testing.assert_array_equal(picture[inside][:, :3], frame[inside])
  assert not picture[~inside].any()


def test_feather_fades_inwards_but_not_at_the_border(labels):
  alpha = cutout.matte(labels, feather=3)
  assert alpha.dtype == np.float32
  assert ((alpha > 0) == (labels > 0)).all()
  np.testing.assert_allclose(alpha[8, 8:12], [0.25, 0.5, 0.75, 1], atol=0.01)
  np.testing.assert_allclose(alpha[15:, 29], [0.25, 0.5, 0.75, 1, 1], atol=0.01)
  assert (cutout.matte(np.ones((4, 5), np.uint8), 3) == 1).all()
  assert not cutout.matte(np.zeros((4, 5), np.uint8), 3).any()


def test_feather_reaches_the_picture(frame, labels):
  picture = cutout.rgba(frame, labels, feather=3)
  np.testing.assert_array_equal(picture[8, 8:12, 3], [64, 128, 191, 255])


def test_a_rim_keeps_its_colours_unseen(frame, labels):
  picture = cutout.rgba(frame, labels, spread=2)
  np.testing.assert_array_equal(picture[..., 3], 255 * (labels > 0))
  rim = np.zeros(labels.shape, bool)
  rim[3:14, 6:21] = rim[13:, 18:] = True
  np.testing.assert_array_equal(picture[rim][:, :3], frame[rim])
  assert not picture[~rim].any()


def test_probabilities_take_the_place_of_labels(frame, labels):
  alpha = np.full(labels.shape, 0.2, np.float32)
  alpha[0, :3] = 0, 1, 1.5
  picture = cutout.rgba(frame, labels, alpha=alpha)
  np.testing.assert_array_equal(picture[0, :4, 3], [0, 255, 255, 51])
  # Not premultiplied: a viewer multiplies.
  np.testing.assert_array_equal(picture[1:, :, :3], frame[1:])
  assert not picture[0, 0].any()


def test_green_screen_mixes(frame):
  alpha = np.zeros(frame.shape[:2], np.float32)
  alpha[0, 0], alpha[0, 1] = 1, 0.5
  picture = cutout.green_screen(frame, alpha)
  assert picture.dtype == np.uint8
  np.testing.assert_array_equal(picture[0, 0], frame[0, 0])
  half = (frame[0, 1].astype(float) + cutout.GREEN) / 2
  assert abs(picture[0, 1] - half).max() <= 0.5
  assert (picture[1:] == cutout.GREEN).all()


def test_sizes_must_agree(frame, labels):
  with pytest.raises(ValueError, match=r'\(20, 29\).*\(20, 30, 3\)'):
    cutout.rgba(frame, labels[:, 1:])
  with pytest.raises(ValueError, match=r'\(1, 30\)'):
    cutout.green_screen(frame, np.ones((1, 30), np.float32))
  with pytest.raises(ValueError, match='feather -1'):
    cutout.matte(labels, -1)
