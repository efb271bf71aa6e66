"""Converts decoded frames to RGB as displayed."""

from typing import Any

import numpy as np

from savos_jax.video import pyav
from savos_jax.video import tone_mapping

_UNSPECIFIED = 2
_BT709, _BT601, _BT2020 = 1, 5, 9  # Matrices, as frames tell them.
# Where a file does not tell: players take BT.709 for large frames.
_LARGE = 720  # Pixels.


def _matrix(frame: Any) -> int:
  """Returns which matrix is behind a frame's YUV."""
  if frame.colorspace != _UNSPECIFIED:
    return frame.colorspace
  if frame.color_trc in (tone_mapping.PQ, tone_mapping.HLG):
    return _BT2020
  large = min(frame.height, frame.width) >= _LARGE
  return _BT709 if large else _BT601


def turned(image: np.ndarray, matrix: bytes | None) -> np.ndarray:
  """Rotates and mirrors an image as a file specifies.

  Args:
    image: [H, W, ...], as stored.
    matrix: of FFmpeg's display matrix, nine int32 (fixed point), of which a, b,
      c, d at 0, 1, 3, 4 take a pixel at x, y to (a x + c y, b x + d y); None:
      unspecified. Angles are rounded to quarter turns.

  Returns:
    A view if possible.
  """
  if matrix is None:
    return image
  a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
  if abs(b) + abs(c) > abs(a) + abs(d):
    image, a, d = np.swapaxes(image, 0, 1), c, b
  return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def is_turned_aside(matrix: bytes | None) -> bool:
  """Whether height and width are swapped; see `turned`."""
  return turned(np.empty((1, 2)), matrix).shape == (2, 1)


def display_matrix(frame: Any) -> bytes | None:
  """Returns the display matrix of a frame; None if it has none.

  Call it once: in PyAV the matrix and the frame keep each other alive.
  """
  found = frame.side_data.get('DISPLAYMATRIX')
  return None if found is None else bytes(found)


class Converter:
  """Converts the frames of one video to RGB, in one thread at a time.

  Conversion settings are reused while frames are alike.
  """

  def __init__(self, turn: bytes | None = None):
    """Sets the rotation.

    Args:
      turn: of all frames, from `display_matrix`.
    """
    self._turn = turn
    self._reformatter = pyav.get().video.reformatter.VideoReformatter()
    self._kind: tuple[int, ...] = ()
    self._mapper: tone_mapping.Mapper | None = None

  def rgb(self, frame: Any) -> np.ndarray:
    """Converts a frame of PyAV to what is displayed, RGB uint8 [H, W, 3]."""
    matrix = _matrix(frame)
    transfer, primaries = frame.color_trc, frame.color_primaries
    high = transfer in (tone_mapping.PQ, tone_mapping.HLG)
    if high or primaries in tone_mapping.WIDE:
      kind = frame.height, frame.width, transfer, primaries
      if self._mapper is None or kind != self._kind:
        self._mapper = tone_mapping.Mapper(frame, transfer, primaries)
        self._kind = kind
      frame = self._mapper.map(frame, matrix)
    made = self._reformatter.reformat(
      frame, format='rgb24', src_colorspace=matrix, threads=1
    )
    return np.ascontiguousarray(turned(made.to_ndarray(), self._turn))
