"""Masks as polygons.

Coordinates follow COCO: (0, 0) is the upper left corner of the picture, (0.5,
0.5) the centre of its first pixel.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_mask

# How far a polygon may leave out a corner, pixels: just those of slanted edges.
_TOLERANCE = 0.36
_LONGEST = 1 << 23  # Of the outlines of a shape together, pixels.
_FINER = 2  # So that what is one pixel wide has an area.


def outlines(mask: np.ndarray, finer: int = _FINER) -> list[np.ndarray]:
  """Returns one polygon for each part of a mask, the largest first.

  A hole becomes part of its polygon, connected by a cut.

  Args:
    mask: bool [H, W].
    finer: 2: along the edge of the mask. 1: through the centres of its
      outermost pixels, for programs that fill a polygon including its outline
      (OpenCV).

  Returns:
    Vertices (x, y), float64 [N, 2], at least 3 each; within a pixel of the edge
    of the mask.
  """
  x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
  if not width:
    return []
  fine = cv2.resize(
    mask[y : y + height, x : x + width].view(np.uint8),
    None,
    fx=finer,
    fy=finer,
    interpolation=cv2.INTER_NEAREST,
  )
  found, kin = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
  rings = [_simpler(ring, finer) for ring in found]
  parts = []
  for number in np.flatnonzero(kin[0, :, 3] < 0):
    polygon = rings[number]
    for hole in np.flatnonzero(kin[0, :, 3] == number):
      polygon = _cut(polygon, rings[hole])
    # From the middle of a small pixel to the corner of a large one.
    parts.append((polygon + 0.5) / finer + (x, y))
  return sorted(parts, key=_area, reverse=True)


def _simpler(ring: np.ndarray, finer: int) -> np.ndarray:
  """Leaves out corners of int32 [N, 1, 2]; returns float64 [M, 2]."""
  few = cv2.approxPolyDP(ring, _TOLERANCE * finer, closed=True)
  corners = (few if len(few) > 2 else ring)[:, 0].astype(np.float64)
  # A single pixel, or a line of them.
  return np.pad(corners, ((0, max(0, 3 - len(corners))), (0, 0)), mode='edge')


def _cut(polygon: np.ndarray, hole: np.ndarray) -> np.ndarray:
  """Leads a polygon around a hole of it, by the shortest way from corners."""
  distances = ((polygon[:, None] - hole[None]) ** 2).sum(-1)
  at, begin = np.unravel_index(np.argmin(distances), distances.shape)
  around = np.roll(hole, -begin, axis=0)
  return np.concatenate(
    [polygon[: at + 1], around, around[:1], polygon[at:]], axis=0
  )


def _area(polygon: np.ndarray) -> float:
  return cv2.contourArea(polygon.astype(np.float32))


def fill(
  polygons: Sequence[Sequence[float]], size: tuple[int, int]
) -> np.ndarray:
  """Fills polygons; returns their union, bool [H, W].

  Args:
    polygons: x and y of the vertices in turn; finite, but otherwise not
      trusted. Vertices outside the picture are moved to its border.
    size: (height, width) of the picture, which must be trusted.

  Raises:
    ValueError: there is no polygon, one has fewer than 3 vertices, or an
      outline is implausibly long.
  """
  height, width = size
  outlined = []
  for polygon in polygons:
    if len(polygon) < 6 or len(polygon) % 2:
      raise ValueError(f'a polygon of {len(polygon)} numbers')
    corners = np.reshape(polygon, (-1, 2)).astype(np.float64)
    corners = np.clip(corners, 0, (width, height))
    outlined.append(corners)
  if not outlined:
    raise ValueError('no polygon')
  # The rasteriser takes memory for each pixel of an edge.
  if sum(map(_length, outlined)) > _LONGEST:
    raise ValueError(f'an outline of more than {_LONGEST} pixels')
  flat = [corners.ravel().tolist() for corners in outlined]
  runs = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
  return coco_mask.decode(runs).astype(bool)


def _length(corners: np.ndarray) -> float:
  steps = np.diff(corners, axis=0, append=corners[:1])
  return np.abs(steps).max(axis=1).sum()
