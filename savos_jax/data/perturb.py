"""Perturbs a true mask to resemble a tracker's own previous prediction."""

import cv2
import numpy as np

from savos_jax.data import mask_noise
from savos_jax.data import warp

_OUTLINE_POINTS = 5


def perturb_mask(
  mask: np.ndarray, noise: mask_noise.MaskNoise, rng: np.random.Generator
) -> np.ndarray:
  """Shifts, warps, dilates or erodes, and softens a mask.

  Args:
    mask: uint8 [H, W], 0 or 1; an empty mask stays empty.
    noise: the ranges.
    rng: source of randomness.

  Returns:
    A soft mask, uint8 [H, W], 0..255 = probability 0..1.
  """
  if rng.random() < noise.drop_probability or not mask.any():
    return np.zeros_like(mask)
  x, y, box_width, box_height = cv2.boundingRect(mask)
  size = np.sqrt(box_width * box_height)

  center = (x + box_width / 2, y + box_height / 2)
  matrix = warp.affine_matrix(
    center,
    rng.uniform(*noise.scale),
    0.0,
    rng.uniform(-noise.shift, noise.shift, 2) * size,
  )
  moved = warp.warp_labels(mask, matrix)
  moved = warp.bend_mask(moved, _OUTLINE_POINTS, noise.spline, rng)

  radius = int(rng.integers(-noise.dilation, noise.dilation + 1))
  if radius:
    kernel = cv2.getStructuringElement(
      cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2
    )
    changed = (cv2.dilate if radius > 0 else cv2.erode)(moved, kernel)
    # Erosion must not remove a small object altogether.
    moved = changed if changed.any() else moved

  soft = moved * np.uint8(255)
  sigma = rng.uniform(0.0, noise.blur)
  return cv2.GaussianBlur(soft, (0, 0), sigma) if sigma > 0.3 else soft
