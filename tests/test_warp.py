"""Warps: exact where they are known, images and labels together."""

import cv2
import numpy as np
import pytest

from savos_jax.data import warp

_GRID = (
  np.stack(np.meshgrid([20, 70, 130], [15, 50, 85]), axis=-1)
  .reshape(-1, 2)
  .astype(np.float64)
)


def _disc(height=100, width=150, center=(70, 50), radius=25):
  y, x = np.mgrid[:height, :width]
  return (np.hypot(x - center[0], y - center[1]) <= radius).astype(np.uint8)


def _bent(seed=0, amount=6):
  return _GRID + np.random.default_rng(seed).integers(
    -amount, amount + 1, (9, 2)
  )


def _assert_outlines_agree(image, labels):
  """The outlines of bright > 127 and of the labels are < 1 pixel apart."""
  bright = (image > 127).astype(np.uint8)
  cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
  assert labels.any()
  assert np.all(bright >= cv2.erode(labels, cross))
  assert np.all(bright <= cv2.dilate(labels, cross))


def test_affine_matrix_turns_about_its_center_then_shifts():
  matrix = warp.affine_matrix((10, 20), 2.0, 90.0, (3, -1))
  moved = [matrix @ [x, y, 1] for x, y in [(10, 20), (11, 20), (10, 21)]]
  # Clockwise on the screen: right becomes down, down becomes left.
  np.testing.assert_allclose(moved, [(13, 19), (13, 21), (11, 19)], atol=1e-12)


def test_spline_carries_the_points_exactly():
  target = _bent()
  exact = warp.thin_plate_spline_map(_GRID, target, 100, 150, step=1)
  x, y = target.astype(int).T
  np.testing.assert_allclose(exact[y, x], _GRID, atol=1e-3)


def test_spline_is_accurate_between_the_evaluated_points():
  exact = warp.thin_plate_spline_map(_GRID, _bent(), 101, 147, step=1)
  quick = warp.thin_plate_spline_map(_GRID, _bent(), 101, 147)
  assert quick.shape == (101, 147, 2)
  assert quick.dtype == np.float32
  error = np.abs(quick - exact)
  assert error.max() < 0.2
  assert error.mean() < 0.02


def test_spline_of_unmoved_points_is_the_identity():
  grid = warp.thin_plate_spline_map(_GRID, _GRID, 60, 90)
  y, x = np.mgrid[:60, :90]
  np.testing.assert_allclose(grid, np.stack([x, y], axis=-1), atol=1e-3)
  image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
  np.testing.assert_array_equal(warp.warp_image(image, grid), image)


def test_spline_recovers_an_affine_warp():
  matrix = warp.affine_matrix((60, 40), 1.2, 20.0, (5, -3))
  target = _GRID @ matrix[:, :2].T + matrix[:, 2]
  grid = warp.thin_plate_spline_map(_GRID, target, 100, 150)
  inverse = cv2.invertAffineTransform(matrix)
  y, x = np.mgrid[:100, :150]
  expected = np.stack([x, y], axis=-1) @ inverse[:, :2].T + inverse[:, 2]
  np.testing.assert_allclose(grid, expected, atol=2e-3)


@pytest.mark.parametrize('points', [[[0, 0]] * 3, [[0, 0], [5, 5], [9, 9]]])
def test_spline_stays_finite_on_degenerate_points(points):
  moved = np.add(points, [2, 1])
  grid = warp.thin_plate_spline_map(np.array(points), moved, 20, 30)
  assert np.isfinite(grid).all()


@pytest.mark.parametrize('shape', [(2, 2), (4, 3), (4,)])
def test_spline_rejects_malformed_points(shape):
  with pytest.raises(ValueError, match='expected'):
    warp.thin_plate_spline_map(np.zeros(shape), np.zeros(shape), 10, 10)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_matrix_shifts_by_whole_pixels(dtype):
  image = np.arange(12, dtype=dtype).reshape(3, 4)
  matrix = warp.affine_matrix((0, 0), 1.0, 0.0, (1, 0))
  moved = warp.warp_image(image, matrix, border='constant', value=7)
  assert moved.dtype == dtype
  np.testing.assert_array_equal(moved[:, 1:], image[:, :-1])
  np.testing.assert_array_equal(moved[:, 0], 7)


def test_size_is_the_outputs():
  matrix = warp.affine_matrix((0, 0), 1.0, 0.0, (0, 0))
  image = np.ones((10, 20, 4), np.float32)
  assert warp.warp_image(image, matrix, (30, 15)).shape == (30, 15, 4)
  assert warp.warp_labels(_disc(), matrix, (30, 15)).shape == (30, 15)


@pytest.mark.parametrize('form', ['matrix', 'spline'])
def test_image_and_labels_move_together(form):
  labels = _disc()
  if form == 'matrix':
    change = warp.affine_matrix((70, 50), 0.9, 33.0, (7.3, -4.6))
  else:
    change = warp.thin_plate_spline_map(_GRID, _bent(1), 100, 150)
  image = warp.warp_image(labels * np.float32(255), change, border='constant')
  moved = warp.warp_labels(labels, change)
  _assert_outlines_agree(image, moved)
  assert not np.array_equal(moved, labels)


def test_known_affine_moves_a_disc_where_it_should():
  matrix = warp.affine_matrix((70, 50), 1.2, 45.0, (8, 5))
  moved = warp.warp_labels(_disc(), matrix)
  expected = _disc(center=(78, 55), radius=30)
  _assert_outlines_agree(moved * 255, expected)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_labels_bring_no_new_ids(dtype):
  labels = (3 * _disc() + 97 * _disc(center=(100, 40))).astype(dtype)
  grid = warp.thin_plate_spline_map(_GRID, _bent(2, 9), 100, 150)
  for change in (grid, warp.affine_matrix((70, 50), 1.3, 17.0, (2.5, 1.5))):
    moved = warp.warp_labels(labels, change)
    assert moved.dtype == dtype
    assert set(np.unique(moved)) <= set(np.unique(labels))


def test_matrices_carry_points():
  matrix = warp.affine_matrix((3, 4), 2.0, 90.0, (10, 20))
  points = np.array([[3.0, 4.0], [4.0, 4.0]])
  # The centre is only shifted; a point to its right comes to lie below it.
  np.testing.assert_allclose(
    warp.apply(matrix, points), [[13, 24], [13, 26]], atol=1e-12
  )


def test_outline_points_are_on_the_outline_and_far_apart():
  mask = np.zeros((60, 80), np.uint8)
  mask[10:50, 20:70] = 1
  for seed in range(20):
    points = warp.outline_points(mask, 5, np.random.default_rng(seed))
    assert points.shape == (5, 2)
    x, y = points.T
    assert (np.isin(x, (20, 69)) | np.isin(y, (10, 49))).all()
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert apart[~np.eye(5, dtype=bool)].min() > 15
  tiny = np.zeros((5, 5), np.uint8)
  tiny[2, 2:4] = 1
  assert len(warp.outline_points(tiny, 5, np.random.default_rng(0))) == 2


def test_bending_leaves_what_cannot_bend():
  empty = np.zeros((20, 20), np.uint8)
  rng = np.random.default_rng(0)
  assert warp.bend_mask(empty, 5, 0.1, rng) is empty
  pixel = empty.copy()
  pixel[3, 3] = 1
  np.testing.assert_array_equal(warp.bend_mask(pixel, 5, 0.1, rng), pixel)
  square = empty.copy()
  square[5:15, 5:15] = 1
  np.testing.assert_array_equal(warp.bend_mask(square, 5, 0.0, rng), square)
  assert (warp.bend_mask(square, 5, 0.2, rng) != square).any()
