"""The window of a frame that is cropped for an example."""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
  """A rectangle of a frame, in pixels, and whether it is mirrored."""

  top: int
  left: int
  height: int
  width: int
  mirrored: bool


def draw_window(
  masks: Sequence[np.ndarray],
  crop_size: tuple[int, int],
  zoom: float,
  flip_probability: float,
  rng: np.random.Generator,
) -> Window:
  """Draws a window that shows the object.

  It contains a random pixel of the first mask and, where possible, one of each
  further mask, in order.

  Args:
    masks: uint8 [H, W], 0 or 1, the most important first; any may be empty.
    crop_size: (height, width); the window has the same aspect ratio.
    zoom: the window is 1/zoom of the largest one of that shape; at least 1.
    flip_probability: of mirroring left to right.
    rng: source of randomness.

  Returns:
    The window, inside the frame.
  """
  size = np.array(masks[0].shape)
  ratio = (size / crop_size).min() / zoom
  window = np.rint(np.array(crop_size) * ratio).astype(int).clip(1, size)
  low, high = np.zeros(2, int), size - window
  for mask in masks:
    point = _random_point(mask, rng)
    if point is None:
      continue
    new_low = np.maximum(low, point - window + 1)
    new_high = np.minimum(high, point)
    if (new_low <= new_high).all():
      low, high = new_low, new_high
  top, left = (int(i) for i in rng.integers(low, high + 1))
  return Window(
    top, left, int(window[0]), int(window[1]), rng.random() < flip_probability
  )


def _random_point(mask, rng) -> np.ndarray | None:
  """Returns (row, column) of a random pixel of the mask; None if empty."""
  pixels = np.flatnonzero(mask)
  if not pixels.size:
    return None
  pixel = pixels[rng.integers(pixels.size)]
  return np.array(divmod(int(pixel), mask.shape[1]))


def cut_image(
  image: np.ndarray, window: Window, crop_size: tuple[int, int]
) -> np.ndarray:
  """Crops an image to a window and resizes it.

  Args:
    image: uint8 [h, w] or [h, w, C].
    window: the rectangle to crop.
    crop_size: (H, W) of the result.

  Returns:
    uint8 [H, W] or [H, W, C].
  """
  cut = image[
    window.top : window.top + window.height,
    window.left : window.left + window.width,
  ]
  shrinks = window.height > crop_size[0]
  resized = cv2.resize(
    cut,
    (crop_size[1], crop_size[0]),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  return np.ascontiguousarray(resized[:, ::-1]) if window.mirrored else resized


def cut_mask(
  mask: np.ndarray, window: Window, crop_size: tuple[int, int]
) -> np.ndarray:
  """Crops a mask to a window and resizes it.

  Args:
    mask: uint8 [h, w], 0 or 1.
    window: the rectangle to crop.
    crop_size: (H, W) of the result.

  Returns:
    uint8 [H, W], 0 or 1: 1 where the object covers at least half of the pixel.
  """
  return (cut_image(mask * np.uint8(255), window, crop_size) > 127).astype(
    np.uint8
  )
