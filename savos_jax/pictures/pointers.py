"""Draws the boxes and points of a prompt over a picture."""

from collections.abc import Iterable

import cv2
import numpy as np

_DARK = (0, 0, 0)
_LIGHT = (255, 255, 255)


def draw(
  picture: np.ndarray,
  colour: tuple[int, int, int],
  box: tuple[float, float, float, float] | None,
  inside: Iterable[tuple[float, float]] = (),
  outside: Iterable[tuple[float, float]] = (),
) -> np.ndarray:
  """Draws the prompt of one object.

  Args:
    picture: RGB uint8 [H, W, 3].
    colour: of the object, RGB 0..255.
    box: (left, top, right, bottom), pixels; right and bottom are exclusive.
    inside: points (x, y): dots with a light rim.
    outside: the same: light dots with a cross.

  Returns:
    RGB uint8 [H, W, 3].
  """
  picture = np.ascontiguousarray(picture).copy()
  thickness = max(1, round(min(picture.shape[:2]) / 240))
  radius = 3 * thickness
  if box:
    left, top, right, bottom = (round(value) for value in box)
    corners = (left, top), (right - 1, bottom - 1)
    cv2.rectangle(picture, *corners, _DARK, thickness + 2)
    cv2.rectangle(picture, *corners, colour, thickness)
  for points, rim, core in ((inside, _LIGHT, colour), (outside, _DARK, _LIGHT)):
    for x, y in points:
      centre = int(x), int(y)
      cv2.circle(picture, centre, radius + 1, rim, cv2.FILLED, cv2.LINE_AA)
      cv2.circle(picture, centre, radius, core, cv2.FILLED, cv2.LINE_AA)
  for x, y in outside:
    cv2.drawMarker(
      picture,
      (int(x), int(y)),
      _DARK,
      cv2.MARKER_TILTED_CROSS,
      2 * radius,
      thickness,
    )
  return picture
