"""The images of a folder, in order of time: one rule for every program.

Whatever the case of their suffix; hidden files (macOS leaves '._1.jpg') are
none. Numbers in names count by value: 2 comes before 10, 1 and 00001 are one
frame, and a folder that has both is refused.
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
  """Returns what a file's name without suffix is ordered and compared by."""
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
  """Tells whether a folder has an image.

  Raises:
    SavosError: as `read`, but for images of one number.
  """
  return next(_images(folder, suffixes), None) is not None


def read(
  folder: pathlib.Path, suffixes: tuple[str, ...]
) -> dict[Key, pathlib.Path]:
  """Finds the images of a folder.

  Args:
    folder: that is there.
    suffixes: of the images, in lower case with the dot: `FRAMES` or `MASKS`.

  Returns:
    Key of its name -> file, in order of time; empty where there is none.

  Raises:
    SavosError: two images have one number, as 1.jpg and 00001.jpg or 1.png;
      the folder can't be read.
  """
  found: dict[Key, str] = {}
  for name in sorted(_images(folder, suffixes)):
    other = found.setdefault(key(os.path.splitext(name)[0]), name)
    if other is not name:
      raise errors.SavosError(
        f'{folder}: both {other} and {name}.\n'
        '  Expected one image a frame, each with a number of its own. Remove '
        'one of them, or rename it.'
      )
  return {each: folder / found[each] for each in sorted(found)}


def numbers(keys: Iterable[Key]) -> list[int] | None:
  """Returns the numbers at the end of names; None where these differ in more.

  Args:
    keys: at least one, in order.
  """
  keys = list(keys)
  around = {(each[:-2], each[-1]) for each in keys}
  if len(around) > 1 or len(keys[0]) < 3:
    return None
  return [int(each[-2]) for each in keys]  # It is one: see `key`.


def gaps(row: Sequence[int]) -> tuple[int, list[int]]:
  """Finds what a regular row of numbers lacks.

  Its step is the distance that more than half of its neighbours have: every
  frame, or every fifth. A row without such a step lacks nothing.

  Args:
    row: ascending.

  Returns:
    How many it lacks, and the first few.
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
