"""Run-length encoding of masks: COCO's by columns and CVAT's by rows.

Runs of background and object alternate; the first is background and may have
length 0.
"""

from collections.abc import Sequence
import re

import numpy as np
from pycocotools import mask as coco_mask

# A number is some characters of five bits; the last of them is below 'P'. More
# than six are no length.
_NUMBERS = re.compile('(?:[P-o]{0,5}[0-O])*')


def encode(mask: np.ndarray) -> str:
  """Returns COCO's compressed counts of a mask.

  Args:
    mask: bool [H, W].
  """
  encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
  return encoded['counts'].decode('ascii')


def decode(counts: str | Sequence[int], size: tuple[int, int]) -> np.ndarray:
  """Decodes COCO's run lengths, compressed or not.

  pycocotools is not used because it returns uninitialised memory if the run
  lengths cover fewer pixels than the picture has.

  Args:
    counts: run lengths from a file, not trusted.
    size: (height, width), which must be trusted.

  Returns:
    The mask, bool [H, W].

  Raises:
    ValueError: the run lengths do not fit a mask of this size.
  """
  if isinstance(counts, str):
    counts = _uncompressed(counts)
  height, width = size
  return _filled(counts, height * width).reshape(width, height).T


def _uncompressed(text: str) -> np.ndarray:
  """Returns the lengths, int64 [N], that COCO's compressed counts stand for."""
  if not _NUMBERS.fullmatch(text):
    raise ValueError('no compressed run lengths')
  parts = np.frombuffer(text.encode('ascii'), np.uint8).astype(np.int64) - 48
  ends = np.flatnonzero(parts < 32)
  begins = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
  if not ends.size:
    return ends
  place = np.arange(parts.size) - np.repeat(begins, ends - begins + 1)
  values = np.add.reduceat((parts & 31) << (5 * place), begins)
  negative = (parts[ends] & 16) > 0
  values -= negative.astype(np.int64) << (5 * (ends - begins + 1))
  # From the third on each is told as the difference to the last but one.
  values[1::2] = np.cumsum(values[1::2])
  values[2::2] = np.cumsum(values[2::2])
  return values


def _filled(counts: Sequence[int] | np.ndarray, pixels: int) -> np.ndarray:
  """Returns runs as bool [pixels], the first of them False."""
  lengths = np.asarray(counts)
  if lengths.ndim != 1 or (lengths.size and lengths.dtype.kind not in 'iu'):
    raise ValueError('run lengths that are not integers')
  if lengths.size and not 0 <= lengths.min() <= lengths.max() <= pixels:
    raise ValueError('run lengths below 0 or longer than the picture')
  total = int(lengths.sum(dtype=np.int64))
  if total != pixels:
    raise ValueError(f'run lengths of {total} pixels instead of {pixels}')
  return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)


def encode_rows(mask: np.ndarray) -> list[int]:
  """Encodes a mask by rows.

  Args:
    mask: bool [H, W].
  """
  flat = np.concatenate([[False], np.ravel(mask)])
  ends = np.flatnonzero(np.concatenate([flat[1:] != flat[:-1], [True]]))
  return np.diff(ends, prepend=0).tolist()


def decode_rows(counts: Sequence[int], size: tuple[int, int]) -> np.ndarray:
  """Decodes a mask, bool [H, W], encoded by rows.

  Args:
    counts: run lengths from a file, not trusted.
    size: (height, width), which must be trusted.

  Raises:
    ValueError: the run lengths do not fit a mask of this size.
  """
  height, width = size
  return _filled(counts, height * width).reshape(height, width)
