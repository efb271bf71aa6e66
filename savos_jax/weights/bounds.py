"""Limits the memory that a file can claim, whatever sizes it declares."""

import os
import pathlib

from savos_jax.foundation import errors

# Trained numbers hardly compress: by 1.1, half-precision ones that are stored
# in double by 3.2.
_TIMES = 4
_ANY = 64 << 20  # Bytes that any file may take, also one of zeros.


class Budget:
  """Counts the bytes to be allocated for a file in advance.

  Attributes:
    left: bytes that may still be allocated.
  """

  def __init__(self, path: pathlib.Path):
    """Starts with the budget of one file."""
    self._path = path
    self._size = os.path.getsize(path)
    self.left = max(_ANY, _TIMES * self._size)

  def add(self, path: pathlib.Path) -> None:
    """Adds the budget of another file that belongs to the first."""
    size = os.path.getsize(path)
    self._size += size
    self.left += _TIMES * size

  def take(self, count: int, what: str) -> None:
    """Reserves bytes.

    Raises:
      SavosError: more bytes than such a file can hold.
    """
    self.left -= count
    if self.left < 0 or count < 0:
      raise errors.SavosError(
        f'{self._path}: {what} is said to take {count} bytes, of a file of '
        f'{self._size}.\n  Expected arrays that are in the file: it is damaged '
        'or was made to fill the memory.'
      )
