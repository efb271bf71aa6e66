"""How far a video is, kept so that an interruption can't harm.

`progress.npz` in the results' folder tells how many frames are done, what was
made of them, and until all are, what the tracker needs to know for the next.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
import json
import pathlib
from typing import Any
import zipfile

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed

FILE = 'progress.npz'


@dataclasses.dataclass(frozen=True)
class Done:
  """What an earlier run has done.

  Attributes:
    frames: so many.
    sinks: names of those that were told all of them.
    state: the tracker's after the last; empty before the first mark, and when
      the whole video is done.
    whole: whether it is.
    lost: numbers of frames among these that could not be decoded.
    note: what is to be said of a whole video that is not complete.
    sure: how sure each object was in each of these frames, by its id, 0..1.
  """

  frames: int = 0
  sinks: tuple[str, ...] = ()
  state: Sequence[Any] = ()
  whole: bool = False
  lost: tuple[int, ...] = ()
  note: str = ''
  sure: Sequence[Mapping[int, float]] = ()


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
  """Names a file of NumPy's that an earlier run wrote, where it is damaged.

  Raises:
    SavosError: anything went wrong in the block that is not the system's.
  """
  try:
    yield
  except Exception as error:  # NumPy and zipfile have no common base.
    if errors.is_of_system(error):
      raise
    raise errors.SavosError(
      f'{path}: damaged: {error}.\n  Expected what an earlier run wrote: '
      '--overwrite segments the video again.'
    ) from None


class Progress:
  """The file."""

  def __init__(self, folder: pathlib.Path, setting: dict[str, Any]):
    """Nothing is read or written yet.

    Args:
      folder: of the results.
      setting: what JSON can hold; a run goes on only where it is the same.
    """
    self._folder, self._setting = folder, setting
    self._path = folder / FILE

  def at(self, folder: pathlib.Path) -> 'Progress':
    """Returns that of another part of the same work, in another folder."""
    return Progress(folder, self._setting)

  def save(self, done: Done) -> None:
    """Replaces the file.

    Raises:
      SavosError: it can't be written.
    """
    arrays: dict[str, Any] = _flat(done.sure[: done.frames])
    arrays |= {f'state_{i}': np.asarray(x) for i, x in enumerate(done.state)}
    with files.replacing(self._path) as partial:
      np.savez(
        partial,
        setting=json.dumps(self._setting),
        done=done.frames,
        sinks=json.dumps(done.sinks),
        whole=done.whole,
        lost=np.array(done.lost, np.int64),
        note=done.note,
        **arrays,
      )

  def read(self) -> Done:
    """Returns what was saved last; nothing is done where there is no file.

    Raises:
      SavosError: it was made in another way, or the file is damaged.
    """
    if not self._path.is_file():
      return Done()
    with reading(self._path):
      setting, done = _read(self._path)
    self._check(setting)
    return done

  def _check(self, found: dict[str, Any]) -> None:
    different = [
      f'{name}: {found.get(name)!r} (now {value!r})'
      for name, value in self._setting.items()
      if found.get(name) != value
    ]
    if different:
      raise errors.SavosError(
        f'{self._folder}: was begun in another way:\n    '
        + '\n    '.join(different)
        + '\n  Go on as it was begun, or segment into another folder.'
      )


def _read(path: pathlib.Path) -> tuple[dict[str, Any], Done]:
  """Returns the setting and what was done."""
  with zipfile.ZipFile(path) as archive:
    # A few bytes may be packed from gigabytes; ours are not packed.
    if any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()):
      raise ValueError('compressed')
  with path.open('rb') as file, np.load(file) as stored:
    setting = typed.from_json(str(stored['setting']))
    count = sum(name.startswith('state_') for name in stored.files)
    sure = _unflat(stored['objects'], stored['ids'], stored['sure'])
    if len(sure) != stored['done']:
      raise ValueError(f'{len(sure)} frames, {stored["done"]} done')
    return setting, Done(
      int(stored['done']),
      tuple(typed.parse(str(stored['sinks']))),
      [stored[f'state_{i}'] for i in range(count)],
      bool(stored['whole']),
      tuple(stored['lost'].tolist()),
      str(stored['note']),
      sure,
    )


def _flat(sure: Sequence[Mapping[int, float]]) -> dict[str, np.ndarray]:
  """Returns arrays: how many objects a frame, their ids, how sure they are."""
  return {
    'objects': np.array([len(frame) for frame in sure], np.uint8),
    'ids': np.array([i for frame in sure for i in frame], np.uint8),
    'sure': np.array([s for frame in sure for s in frame.values()], np.float32),
  }


def _unflat(objects, ids, sure) -> list[dict[int, float]]:
  """Undoes `_flat`."""
  pairs = iter(zip(ids.tolist(), sure.tolist(), strict=True))
  return [dict(itertools.islice(pairs, count)) for count in objects.tolist()]
