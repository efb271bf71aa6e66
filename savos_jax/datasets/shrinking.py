"""Shrinks frames and masks to the size that training needs."""

import cv2
import numpy as np


def fitted_size(
  height: int, width: int, box: tuple[int, int]
) -> tuple[int, int]:
  """Returns the largest size of the same proportions that fits into a box.

  Args:
    height: of an image, pixels.
    width: of it, pixels.
    box: limits of the shorter and the longer side, pixels.

  Returns:
    (height, width); the original size if it fits: nothing is enlarged.
  """
  short, long = box
  scale = min(1.0, long / max(height, width), short / min(height, width))
  return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(
  frame: np.ndarray, labels: np.ndarray, box: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Shrinks a frame and its labels to fit into a box.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: uint8 [H, W].
    box: see `fitted_size`.

  Returns:
    Both; each pixel is the mean of the area it covers, or its most frequent
    label.
  """
  height, width = labels.shape
  size = fitted_size(height, width, box)
  if size == labels.shape:
    return frame, labels
  frame = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
  ids = np.flatnonzero(np.bincount(labels.ravel()))
  shares = [
    cv2.resize(
      (labels == i).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA
    )
    for i in ids
  ]
  return frame, ids.astype(np.uint8)[np.argmax(shares, axis=0)]
