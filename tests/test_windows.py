"""Windows of a frame: inside it, of the crop's shape, with the object."""

import cv2
import numpy as np
import pytest

from savos_jax.data import windows

SIZE = (90, 160)
CROP = (64, 96)


def point(row, column):
  mask = np.zeros(SIZE, np.uint8)
  mask[row, column] = 1
  return mask


def draw(masks, zoom=1.5, flip=0.0, seed=0, crop=CROP):
  return windows.draw_window(
    masks, crop, zoom, flip, np.random.default_rng(seed)
  )


def holds(window, row, column):
  return (
    window.top <= row < window.top + window.height
    and window.left <= column < window.left + window.width
  )


def test_window_is_inside_and_of_the_crop_s_shape():
  for seed in range(50):
    window = draw([point(45, 80)], zoom=1 + seed / 25, seed=seed)
    assert 0 <= window.top <= SIZE[0] - window.height
    assert 0 <= window.left <= SIZE[1] - window.width
    assert abs(window.width / window.height - 1.5) < 0.05
  assert draw([point(0, 0)], zoom=1.0).height == SIZE[0]


def test_window_holds_the_reference_and_what_else_fits():
  rng = np.random.default_rng(1)
  fitting = 0
  for seed in range(100):
    at = [(rng.integers(SIZE[0]), rng.integers(SIZE[1])) for _ in range(3)]
    window = draw([point(*p) for p in at], seed=seed)
    assert holds(window, *at[0])
    fits = all(
      abs(at[0][axis] - at[1][axis]) < (window.height, window.width)[axis]
      for axis in (0, 1)
    )
    assert holds(window, *at[1]) == fits
    fitting += fits
  assert 20 < fitting < 100


def test_a_point_that_does_not_fit_leaves_room_for_the_next():
  # The second is too far away in columns only; the third fits, but not together
  # with the second's row.
  at = [(45, 10), (80, 150), (5, 12)]
  for seed in range(20):
    window = draw([point(*p) for p in at], zoom=1.8, seed=seed)
    assert holds(window, *at[0])
    assert holds(window, *at[2])


def test_window_of_empty_masks_is_anywhere():
  empty = np.zeros(SIZE, np.uint8)
  tops = {draw([empty, empty], seed=seed).top for seed in range(40)}
  assert len(tops) > 10


@pytest.mark.parametrize('crop', [(200, 20), (20, 200), (400, 900), (1, 1)])
def test_windows_of_any_shape(crop):
  window = draw([point(89, 159)], zoom=3.0, crop=crop)
  assert holds(window, 89, 159)
  mask = windows.cut_mask(point(89, 159), window, crop)
  assert mask.shape == crop
  assert set(np.unique(mask)) <= {0, 1}


def test_mirror():
  frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
  plain, mirrored = (draw([point(45, 80)], flip=flip) for flip in (0.0, 1.0))
  assert not plain.mirrored
  assert mirrored.mirrored
  np.testing.assert_array_equal(
    windows.cut_image(frame, mirrored, CROP),
    windows.cut_image(frame, plain, CROP)[:, ::-1],
  )


def test_masks_stay_with_images():
  mask = np.zeros(SIZE, np.uint8)
  cv2.circle(mask, (80, 45), 20, 1, -1)
  frame = np.dstack([mask * 255] * 3)
  for seed in range(10):
    window = draw([mask], zoom=1 + seed / 5, flip=0.5, seed=seed)
    np.testing.assert_array_equal(
      windows.cut_mask(mask, window, CROP) * 255,
      (windows.cut_image(frame, window, CROP)[..., 0] > 127) * 255,
    )


def test_shrinking_averages_and_enlarging_interpolates():
  stripes = np.tile(np.array([0, 90, 180], np.uint8), (90, 40))
  all_of_it = windows.Window(0, 0, 90, 120, mirrored=False)
  assert (windows.cut_image(stripes, all_of_it, (30, 40)) == 90).all()
  edge = windows.Window(0, 0, 1, 2, mirrored=False)
  found = windows.cut_image(np.array([[0, 100]], np.uint8), edge, (2, 4))
  np.testing.assert_array_equal(found, [[0, 25, 75, 100]] * 2)
