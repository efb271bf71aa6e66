"""A frame under a labelled grid, to read off coordinates."""

import cv2
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_MOST = 16  # Numbers along a side.
_LEAST_SIDE = 900  # Of the picture, pixels: smaller frames are enlarged.
_FONT = 13
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)


def draw(frame: np.ndarray) -> np.ndarray:
  """Draws lines at round coordinates, numbered along the top and the left.

  Args:
    frame: RGB uint8 [H, W, 3].

  Returns:
    RGB uint8, larger than the frame: it has a margin for the labels, and small
    frames are enlarged by an integer. Labels are pixels of the frame, from 0 at
    the upper left corner.
  """
  longest = max(frame.shape[:2])
  times = max(1, _LEAST_SIDE // longest)
  step = next((s for s in _STEPS if longest <= s * _MOST), _STEPS[-1])
  big = cv2.resize(
    frame, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST
  )
  for axis in (0, 1):
    for place in range(0, frame.shape[axis], step):
      line = np.moveaxis(big, axis, 0)[place * times]
      # Away from what is there, whatever it is.
      line[:] = np.where(line < 128, line + 90, line - 90)
  return _numbered(big, step, times)


def _numbered(picture: np.ndarray, step: int, times: int) -> np.ndarray:
  """Sets numbers beside the lines."""
  height, width = picture.shape[:2]
  font = ImageFont.load_default(_FONT * max(1, max(height, width) // 1400))
  left = int(font.getlength('0' * len(str(height)))) + 6
  top = int(font.getbbox('0')[3]) + 6
  image = Image.new('RGB', (left + width, top + height), _PAPER)
  image.paste(Image.fromarray(picture), (left, top))
  pen = ImageDraw.Draw(image)
  for x in range(0, width // times, step):
    pen.text((left + x * times, 2), str(x), _INK, font, anchor='mt')
  for y in range(0, height // times, step):
    pen.text((left - 3, top + y * times), str(y), _INK, font, anchor='rm')
  return np.asarray(image)
