"""Lucid dreaming: motion of objects and camera, measured from the output."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from savos_jax.data import lucid
from savos_jax.data import warp
from tests import lucid_scenes

STILL = lucid_scenes.STILL
SIZE = lucid_scenes.SIZE
generator = lucid_scenes.generator
ellipse = lucid_scenes.ellipse
scene = lucid_scenes.scene
pose = lucid_scenes.pose
track = lucid_scenes.track
assert_covers = lucid_scenes.assert_covers
outline_distance = lucid_scenes.outline_distance
assert_same_outline = lucid_scenes.assert_same_outline


def whole(mask):
  """Whether a shape is nowhere at the picture's border."""
  edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
  return mask.any() and not any(edge.any() for edge in edges)


def poses(config, seeds, targets=0):
  """Poses of the tracks whose object is whole in every frame."""
  for seed in seeds:
    masks, size = track(config, targets, seed)
    if all(map(whole, masks)):
      yield [pose(mask) for mask in masks], size


def test_scale_and_rotation_are_in_their_ranges():
  config = dataclasses.replace(STILL, scale=(0.85, 1.15), rotation=30.0)
  _, area, angle = pose(ellipse())
  found = [p[0] for p, _ in poses(config, range(300))]
  assert len(found) > 60
  scales = [np.sqrt(p[1] / area) for p in found]
  assert_covers(scales, 0.85, 1.15, slack=0.01)
  turns = [(p[2] - angle + 90) % 180 - 90 for p in found]
  assert_covers(turns, -30, 30, slack=1.0)


def test_placement_is_anywhere():
  places = []
  for seed in range(300):
    rng = generator(seed)
    labels = ellipse(axes=(3, 3))
    frame = scene(labels)
    _, _, (cutout,) = lucid.split(frame, labels, [1], STILL, rng, frame)
    (layer,) = lucid.move_object(cutout, SIZE, 1.0, STILL, rng, 0)
    mask = np.zeros(SIZE, np.uint8)
    rows, columns = layer.image.shape[:2]
    mask[layer.top : layer.top + rows, layer.left : layer.left + columns] = (
      layer.image[..., 3] > 127
    )
    places.append(pose(mask)[0])
  places = np.array(places)
  assert_covers(places[:, 0], 0, SIZE[1] - 1, slack=0)
  assert_covers(places[:, 1], 0, SIZE[0] - 1, slack=0)
  np.testing.assert_allclose(places.mean(axis=0), (119.5, 79.5), atol=12)


def test_shift_between_frames_is_in_its_range():
  config = dataclasses.replace(STILL, next_shift=0.05)
  shifts = []
  for (first, second, third), size in poses(config, range(150), targets=2):
    shifts += list((second[0] - first[0]) / size)
    shifts += list((third[0] - second[0]) / size)
  assert len(shifts) > 100
  # Masks of an object that only shifts move by whole pixels.
  assert_covers(shifts, -0.05, 0.05, slack=0.6 / size)


def test_splines_bend_within_their_range():
  reference = dataclasses.replace(STILL, spline_probability=1.0, spline=0.05)
  following = dataclasses.replace(STILL, next_spline=0.05)
  bends, next_bends, coins = [], [], 0
  for seed in range(120):
    (rigid,), size = track(STILL, 0, seed)
    (bent,), _ = track(reference, 0, seed)
    first, second = track(following, 1, seed)[0]
    half = dataclasses.replace(reference, spline_probability=0.5)
    coins += (track(half, 0, seed)[0][0] != rigid).any()
    if whole(bent) and whole(rigid) and whole(second):
      bends.append(outline_distance(bent, rigid) / size)
      next_bends.append(outline_distance(second, first) / size)
      np.testing.assert_array_equal(first, rigid)
  assert 40 < coins < 80
  for found in (bends, next_bends):
    # A corner of the +-5 % square is at 7.1 %; half a pixel of rounding, and
    # between its points a spline may overshoot a little.
    assert max(found) < 0.05 * np.sqrt(2) * 1.25 + 1 / size
    assert np.median(found) > 0.03


def test_small_objects_are_not_blown_up():
  labels = np.zeros(SIZE, np.uint8)
  labels[50:53, 60:63] = 1
  config = dataclasses.replace(lucid.LucidConfig(), merge='feather')
  for seed in range(40):
    for mask in track(config, 2, seed, labels)[0]:
      assert mask.sum() <= 3.5**2 * 1.15**2


@pytest.mark.parametrize('side', ['left', 'top', 'right', 'bottom'])
def test_a_cut_object_stays_cut_by_the_same_border(side):
  center = {
    'left': (0, 80), 'top': (120, 0), 'right': (239, 80), 'bottom': (120, 159),
  }[side]  # fmt: skip
  labels = ellipse(center=center, axes=(30, 30))
  edge = {
    'left': np.s_[:, 0], 'top': np.s_[0], 'right': np.s_[:, -1],
    'bottom': np.s_[-1],
  }[side]  # fmt: skip
  config = lucid.LucidConfig()
  for seed in range(30):
    for mask in track(config, 2, seed, labels)[0]:
      if mask.any():
        assert mask[edge].any()
        # The half disk is never seen to end in a straight line: where the
        # border cuts it, it goes on to it.
        assert mask[edge].sum() >= 0.5 * min(60, cv2.boundingRect(mask)[
          3 if side in ('left', 'right') else 2
        ])  # fmt: skip


def decompose(matrix):
  """Scale and degrees of a similarity."""
  linear = matrix[:, :2]
  return np.sqrt(np.linalg.det(linear)), np.rad2deg(
    np.arctan2(linear[1, 0], linear[0, 0])
  )


def test_camera_motion_is_in_its_ranges():
  config = lucid.LucidConfig()
  turns, scales, shifts, bases = [], [], [], []
  middle = np.array([[(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]])
  for seed in range(400):
    a, b = lucid.camera_path(SIZE, SIZE, 1.0, config, generator(seed))
    (scale_a, turn_a), (scale_b, turn_b) = decompose(a), decompose(b)
    bases.append(turn_a)
    turns.append(turn_b - turn_a)
    scales.append(scale_b / scale_a)
    # The point in the middle of the second view, as the first view saw it.
    seen = cv2.invertAffineTransform(b)
    moved = warp.apply(a, warp.apply(seen, middle)) - middle
    shifts.append((moved / (SIZE[1], SIZE[0]))[0])
  assert_covers(turns, -3, 3, slack=1e-6)
  assert_covers(scales, 0.95, 1.05, slack=1e-6)
  shifts = np.array(shifts)
  # The shift is along the picture's axes, the view is turned by up to 30.
  assert np.abs(shifts).max() <= 0.05 * 1.75
  upright = shifts[np.array(bases) == 0]
  assert_covers(upright.ravel(), -0.05, 0.05, slack=1e-6)
  assert 0.4 < np.mean(np.array(bases) != 0) < 0.6
  assert_covers(bases, -30, 30, slack=1e-6)


def test_an_object_from_border_to_border_stays_in_the_middle():
  """A little smaller, its mirrored ends fill the gaps; they are equal else."""
  labels = np.zeros((120, 120), np.uint8)
  labels[50:70] = 1
  for scale, ends in ((0.8, (0, 119)), (0.5, (18, 101))):
    config = dataclasses.replace(STILL, scale=(scale, scale))
    for seed, axis in itertools.product(range(3), (0, 1)):
      turned = labels if axis else np.ascontiguousarray(labels.T)
      (mask,), _ = track(config, 0, seed, turned, size=labels.shape)
      along = np.flatnonzero(mask.any(axis=1 - axis))
      assert (along[0], along[-1]) == ends


@pytest.mark.parametrize(
  ('source', 'size'),
  [
    (SIZE, SIZE),
    ((90, 300), (200, 100)),
    ((301, 17), (33, 65)),
    ((2, 2), (9, 5)),
  ],
)
def test_camera_never_sees_a_border(source, size):
  config = lucid.LucidConfig()
  scale = max(size[0] / source[0], size[1] / source[1])
  last = np.array([source[1] - 1, source[0] - 1])
  corners = np.array(
    [(x, y) for x in (0, size[1] - 1) for y in (0, size[0] - 1)], np.float64
  )
  for seed in range(100):
    path = lucid.camera_path(source, size, scale, config, generator(seed), 2)
    assert len(path) == 3
    for matrix in path:
      seen = warp.apply(cv2.invertAffineTransform(matrix), corners)
      assert (seen > -1e-6).all()
      assert (seen < last + 1e-6).all()


def test_staying_objects_move_with_the_picture():
  labels = ellipse(value=9)
  background = scene(labels)
  config = lucid.LucidConfig()
  for seed in range(20):
    for picture, ids in lucid.move_camera(
      background, labels, SIZE, 1.0, config, generator(seed)
    ):
      assert set(np.unique(ids)) <= {0, 9}
      assert_same_outline(picture[..., 0] > 140, ids == 9)
