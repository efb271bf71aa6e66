"""The images of a folder in temporal order: one rule for all programs.

The case of the suffix does not matter, and hidden files (macOS leaves
'._1.jpg') are ignored. Numbers in names are compared by value: 2 comes before
10; 1 and 00001 are the same frame, and a folder with both is refused.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
import os
import pathlib
import re

from savos_jax.foundation import errors

FRAMES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
MASKS = ('.png',)

# Of a name: what it is ordered by, and what a frame and its mask share.
Key = tuple[str | int, ...]


def key(stem: str) -> Key:
  """Returns the sort key of a file name without suffix."""
  parts = re.split('([0-9]+)', stem.casefold())
  return tuple(int(p) if i % 2 else p for i, p in enumerate(parts))


def _images(folder: pathlib.Path, suffixes: tuple[str, ...]) -> Iterator[str]:
  try:
    with os.scandir(folder) as entries:
      for entry in entries:
        suffix = os.path.splitext(entry.name)[1].lower()
        hidden = entry.name.startswith('.')
        if suffix in suffixes and not hidden and not entry.is_dir():
          yield entry.name
  except OSError as error:
    raise errors.SavosError(
      f'{folder}: {error.strerror}.\n  Expected a folder of images that can be '
      'read.'
    ) from None


def holds(folder: pathlib.Path, suffixes: tuple[str, ...]) -> bool:
  """Whether a folder has an image.

  Raises:
    SavosError: as `read`, except for images with the same number.
  """
  return next(_images(folder, suffixes), None) is not None


def read(
  folder: pathlib.Path, suffixes: tuple[str, ...]
) -> dict[Key, pathlib.Path]:
  """Lists the images of a folder.

  Args:
    folder: an existing folder.
    suffixes: of the images, lower case with dot: `FRAMES` or `MASKS`.

  Returns:
    Sort key -> file, in temporal order; empty if there are none.

  Raises:
    SavosError: two images have the same number, such as 1.jpg and 00001.jpg or
      1.png; the folder cannot be read.
  """
  found: dict[Key, str] = {}
  for name in sorted(_images(folder, suffixes)):
    other = found.setdefault(key(os.path.splitext(name)[0]), name)
    if other is not name:
      raise errors.SavosError(
        f'{folder}: both {other} and {name}.\n'
        '  Expected one image for each frame, each with its own number. Remove '
        'one of them, or rename it.'
      )
  return {each: folder / found[each] for each in sorted(found)}


def numbers(keys: Iterable[Key]) -> list[int] | None:
  """Returns the numbers at the end of names, or None if the rest differs.

  Args:
    keys: at least one, in order.
  """
  keys = list(keys)
  around = {(each[:-2], each[-1]) for each in keys}
  if len(around) > 1 or len(keys[0]) < 3:
    return None
  return [int(each[-2]) for each in keys]  # It is one: see `key`.


def gaps(row: Sequence[int]) -> tuple[int, list[int]]:
  """Finds the gaps in a regular series of numbers.

  The step is the difference of more than half of the neighbours: every frame,
  or every fifth. A series without such a step has no gaps.

  Args:
    row: the numbers, ascending.

  Returns:
    How many are missing, and the first few of them.
  """
  pairs = list(itertools.pairwise(row))
  steps = collections.Counter(b - a for a, b in pairs).most_common(1)
  if not steps or 2 * steps[0][1] <= len(pairs):
    return 0, []
  step = steps[0][0]
  leaps = [(a, b) for a, b in pairs if not (b - a) % step]
  absent = (n for a, b in leaps for n in range(a + step, b, step))
  count = sum((b - a) // step - 1 for a, b in leaps)
  return count, list(itertools.islice(absent, 5))
