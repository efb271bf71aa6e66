"""Label Studio's run-length encoding of brush strokes in RGBA pictures.

The bit stream of its frontend (the package rle-pack of thi.ng/umbrella): 32
bits for the number of values; 5 for the bits of a value, less 1; four times 4
for the bits of a length, less 1. Then, until all values are read: one bit that
marks a run, 2 that select the width of the length, the length less 1, and the
value of the run or, without a run, as many values as the length says.
"""

from collections.abc import Sequence

import numpy as np

_CHANNELS = 4
_BITS = 8  # Of a value.
_LENGTHS = (3, 4, 8, 16)  # Bits of a length.


def encode(mask: np.ndarray) -> list[int]:
  """Encodes a mask, bool [H, W], as opaque white on transparent."""
  flat = np.ravel(mask)
  edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
  begins = np.concatenate([[0], edges])
  lengths = np.diff(begins, append=flat.size) * _CHANNELS
  values = flat[begins].astype(np.int64) * 255
  head = (flat.size * _CHANNELS, 32), (_BITS - 1, 5)
  head += tuple((bits - 1, 4) for bits in _LENGTHS)
  numbers, widths = map(np.array, zip(*head, strict=True))
  runs = _runs(lengths, values)
  return _packed(
    np.concatenate([numbers, runs[0]]), np.concatenate([widths, runs[1]])
  )


def _runs(
  lengths: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the numbers that stand for runs, and how many bits each has."""
  longest = 1 << _LENGTHS[-1]
  parts = -(-lengths // longest)
  left = lengths - (parts - 1) * longest
  last = np.cumsum(parts) - 1
  lengths = np.full(parts.sum(), longest)
  lengths[last] = left
  values = np.repeat(values, parts)
  which = np.searchsorted(1 << np.array(_LENGTHS), lengths)
  bits = np.array(_LENGTHS)[which]
  number = (1 << 2 | which) << bits | (lengths - 1)
  return number << _BITS | values, 3 + bits + _BITS


def _packed(numbers: np.ndarray, widths: np.ndarray) -> list[int]:
  """Returns bytes of numbers, each in so many bits (at most 32)."""
  aligned = (numbers << (32 - widths)).astype('>u4')
  bits = np.unpackbits(aligned.view(np.uint8).reshape(-1, 4), axis=1)
  return np.packbits(bits[np.arange(32) < widths[:, None]]).tolist()


class _Bits:
  """Reads numbers off bytes."""

  def __init__(self, data: bytes):
    self._data, self._at = data, 0

  def read(self, count: int) -> int:
    """Reads the next bits as a number.

    Raises:
      ValueError: there are not enough bits.
    """
    end = self._at + count
    if end > 8 * len(self._data):
      raise ValueError('runs that end early')
    part = self._data[self._at // 8 : -(-end // 8)]
    number = int.from_bytes(part, 'big') >> (-end % 8)
    self._at = end
    return number & ((1 << count) - 1)


def decode(data: Sequence[int], size: tuple[int, int]) -> np.ndarray:
  """Decodes a mask, bool [H, W]: all pixels that are not fully transparent.

  Args:
    data: bytes from a file, not trusted.
    size: (height, width), which must be trusted.

  Raises:
    ValueError: the data does not encode a picture of this size.
  """
  bits = _Bits(bytes(data))
  total, word = bits.read(32), bits.read(5) + 1
  lengths = [bits.read(4) + 1 for _ in _LENGTHS]
  pixels = size[0] * size[1]
  if total != pixels * _CHANNELS:
    raise ValueError(f'runs of {total} values instead of {pixels} times 4')
  filled = np.zeros(total, bool)
  at = 0
  while at < total:
    run = bits.read(1)
    end = min(total, at + 1 + bits.read(lengths[bits.read(2)]))
    if run:
      filled[at:end] = bits.read(word) > 0
    else:
      for place in range(at, end):
        filled[place] = bits.read(word) > 0
    at = end
  return filled.reshape(*size, _CHANNELS)[..., -1]
