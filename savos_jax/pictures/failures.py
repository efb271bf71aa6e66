"""Pictures of failures: prediction and ground truth on the same frame."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from savos_jax.pictures import overlay

_MARGIN = 0.35  # Around the objects, share of their box.
_LEAST = 0.4  # Of the frame's sides, that a window shows.


class Frame(NamedTuple):
  """A frame to show.

  Attributes:
    tag: text to write into it.
    image: RGB uint8 [H, W, 3].
    labels: the prediction, uint8 [H, W].
    truth: the ground truth, uint8 [H, W].
  """

  tag: str
  image: np.ndarray
  labels: np.ndarray
  truth: np.ndarray


def _window(frames: Sequence[Frame]) -> tuple[slice, slice]:
  """Returns the part, of the frame's shape, that shows all objects."""
  shape = frames[0].truth.shape
  shown = np.any([(f.labels > 0) | (f.truth > 0) for f in frames], axis=0)
  if not shown.any():
    return slice(shape[0]), slice(shape[1])
  spans = [np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0)]
  share = max(
    _LEAST,
    *(
      (1 + 2 * _MARGIN) * (span[-1] + 1 - span[0]) / side
      for span, side in zip(spans, shape, strict=True)
    ),
  )
  if share >= 1:
    return slice(shape[0]), slice(shape[1])
  parts = []
  for span, side in zip(spans, shape, strict=True):
    size = max(1, round(share * side))
    start = (span[0] + span[-1] + 1 - size) // 2
    start = min(max(0, start), side - size)
    parts.append(slice(start, start + size))
  return parts[0], parts[1]


def _outlined(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Draws a white line with a dark one around it along the objects' edges."""
  height, width, _ = picture.shape
  small = cv2.resize(
    truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
  )
  kernel = np.ones((3, 3), np.uint8)
  line = cv2.dilate(small, kernel) != small
  halo = cv2.dilate(line.astype(np.uint8), kernel).view(bool)
  drawn = picture.copy()
  drawn[halo] = 0
  drawn[line] = 255
  return drawn


def row(name: str, frames: Sequence[Frame], height: int = 120) -> np.ndarray:
  """Places frames of one video side by side.

  The prediction is coloured, the ground truth outlined in white. All frames are
  cropped alike, around the objects.

  Args:
    name: label on the left, reading upwards.
    frames: of one size, at least one.
    height: of a frame in the picture, pixels.

  Returns:
    RGB uint8 [height, w, 3].
  """
  window = _window(frames)
  cells = [overlay.caption(name, height)]
  for frame in frames:
    labels, truth = (
      np.ascontiguousarray(part[window]) for part in (frame.labels, frame.truth)
    )
    picture = overlay.cell(frame.image[window], labels, height)
    cells.append(overlay.tag(_outlined(picture, truth), frame.tag))
  return overlay.beside(cells, axis=1)


def sheet(rows: Sequence[np.ndarray]) -> np.ndarray:
  """Stacks rows on white.

  Args:
    rows: from `row`, at least one.

  Returns:
    RGB uint8 [H, W, 3].
  """
  width = max(picture.shape[1] for picture in rows)
  return overlay.beside(
    [
      np.pad(
        picture,
        ((0, 0), (0, width - picture.shape[1]), (0, 0)),
        constant_values=255,
      )
      for picture in rows
    ],
    axis=0,
  )
