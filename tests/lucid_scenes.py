"""What the tests of lucid dreaming share: scenes, and measures of masks."""

import cv2
import numpy as np

from savos_jax.data import lucid
from savos_jax.data.lucid import blending

# Nothing happens but what a test turns on.
STILL = lucid.LucidConfig(
  illumination_probability=0.0, mirror_probability=0.0, spline_probability=0.0,
  scale=(1.0, 1.0), rotation=0.0, next_shift=0.0, next_spline=0.0,
  camera_rotation=0.0, camera_scale=(1.0, 1.0), camera_shift=0.0,
  turn_probability=0.0, merge='feather', feather=0.0, mask_spline=0.0,
  mask_dilation=0,
)  # fmt: skip
SIZE = (160, 240)


def generator(seed=0):
  return np.random.default_rng(seed)


def ellipse(size=SIZE, center=(120, 80), axes=(30, 12), angle=20, value=1):
  labels = np.zeros(size, np.uint8)
  cv2.ellipse(labels, center, axes, angle, 0, 360, value, -1)
  return labels


def scene(labels, seed=0):
  """Red objects on a bluish, textured background."""
  frame = generator(seed).integers(0, 60, (*labels.shape, 3), np.uint8)
  frame[..., 2] += 150
  frame[labels > 0] = (250, 10, 10)
  return frame


def pose(mask):
  """Centre (x, y), area and angle in degrees of a shape, from its moments."""
  m = cv2.moments(mask, binaryImage=True)
  angle = np.arctan2(2 * m['mu11'], m['mu20'] - m['mu02']) / 2
  center = np.array([m['m10'], m['m01']]) / m['m00']
  return center, m['m00'], np.rad2deg(angle)


def track(config, targets, seed, labels=None, scale=1.0, size=SIZE):
  """Masks [H, W] of an object in its frames, and its size."""
  labels = ellipse() if labels is None else labels
  rng = generator(seed)
  frame = scene(labels)
  _, _, (cutout,) = lucid.split(frame, labels, [1], config, rng, frame)
  layers = lucid.move_object(cutout, size, scale, config, rng, targets)
  masks = []
  for layer in layers:
    black = np.zeros((*size, 3), np.uint8)
    empty = np.zeros(size, np.uint8)
    masks.append(lucid.merge(black, empty, [layer], config)[1])
  return masks, np.sqrt(cutout.box[2] * cutout.box[3])


def assert_covers(values, low, high, slack):
  """All values are in a range, and they use most of it."""
  assert low - slack <= min(values)
  assert max(values) <= high + slack
  assert max(values) - min(values) > 0.8 * (high - low)


def outline_distance(a, b):
  """Largest distance of a pixel of mask a's outline from mask b's, pixels."""

  def line(mask):
    return cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))

  away = cv2.distanceTransform(1 - line(b), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
  return away[line(a) > 0].max()


def assert_same_outline(shown, mask):
  """The two shapes differ by less than a pixel, everywhere."""
  mask = np.ascontiguousarray(mask).view(np.uint8)
  # Pixels next to the outline, on either side, are less than a pixel away.
  sure = ~blending.outline_band(mask, 1)
  np.testing.assert_array_equal(shown[sure], mask[sure] > 0)
