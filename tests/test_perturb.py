"""Previous masks made worse: how far they go, and what must not break."""

import dataclasses

import cv2
import numpy as np
import pytest

from savos_jax.data import mask_noise
from savos_jax.data import perturb

NO_NOISE = mask_noise.MaskNoise(
  shift=0.0, scale=(1.0, 1.0), spline=0.0, dilation=0, blur=0.0,
  drop_probability=0.0,
)  # fmt: skip


def test_perturbation_without_noise_changes_nothing():
  mask = np.zeros((40, 60), np.uint8)
  mask[10:30, 20:40] = 1
  found = perturb.perturb_mask(mask, NO_NOISE, np.random.default_rng(0))
  np.testing.assert_array_equal(found, mask * 255)


def iou(a, b):
  return (a & b).sum() / (a | b).sum()


def test_perturbation_is_soft_and_stays_near_the_mask():
  mask = np.zeros((128, 224), np.uint8)
  cv2.ellipse(mask, (100, 60), (40, 25), 20, 0, 360, 1, -1)
  overlaps, grey = [], 0
  for seed in range(40):
    noise = mask_noise.MaskNoise(drop_probability=0.0)
    found = perturb.perturb_mask(mask, noise, np.random.default_rng(seed))
    overlaps.append(iou(found > 127, mask > 0))
    grey += ((found > 0) & (found < 255)).any()
  assert min(overlaps) > 0.5
  assert 0.7 < np.mean(overlaps) < 0.97
  assert grey > 20


@pytest.mark.parametrize('pixels', [0, 1])
def test_perturbation_takes_empty_and_one_pixel_masks(pixels):
  mask = np.zeros((40, 60), np.uint8)
  mask.flat[:pixels] = 1
  for seed in range(10):
    found = perturb.perturb_mask(
      mask, mask_noise.MaskNoise(), np.random.default_rng(seed)
    )
    assert found.shape == mask.shape
    assert found.any() <= bool(pixels)


def test_masks_grow_and_shrink_by_so_many_pixels():
  mask = np.zeros((40, 60), np.uint8)
  mask[10:30, 20:40] = 1
  noise = dataclasses.replace(NO_NOISE, dilation=3)
  widths = set()
  for seed in range(40):
    found = perturb.perturb_mask(mask, noise, np.random.default_rng(seed))
    widths.add(np.count_nonzero(found.any(axis=0)))
  assert widths == {20 + 2 * radius for radius in range(-3, 4)}


def test_dropped_mask_is_empty():
  noise = mask_noise.MaskNoise(drop_probability=1.0)
  mask = np.ones((8, 8), np.uint8)
  assert not perturb.perturb_mask(mask, noise, np.random.default_rng(0)).any()
