"""Saves the progress of a video, so that an interruption does no harm.

`progress.npz` in the results folder records how many frames are done, what was
written for them and, until the video is complete, the state of the tracker.
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
  """The progress of an earlier run.

  Attributes:
    frames: number of finished frames.
    sinks: names of the sinks that received all of them.
    state: of the tracker after the last; empty before the first mark and when
      the video is complete.
    whole: whether the video is complete.
    lost: numbers of frames among these that could not be decoded.
    note: warning about missing frames of a finished video.
    sure: for each of these frames, id -> confidence, 0..1.
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
  """Reports a damaged NumPy file of an earlier run by name.

  Raises:
    SavosError: the block raised anything but an error of the system.
  """
  try:
    yield
  except Exception as error:  # NumPy and zipfile have no common base.
    if errors.is_of_system(error):
      raise
    raise errors.SavosError(
      f'{path}: damaged: {error}.\n'
      '  Expected the file of an earlier run: --overwrite segments the video '
      'again.'
    ) from None


class Progress:
  """The progress file."""

  def __init__(self, folder: pathlib.Path, setting: dict[str, Any]):
    """Sets the path; does not read or write.

    Args:
      folder: the results folder.
      setting: JSON values, which must be equal to resume a run.
    """
    self._folder, self._setting = folder, setting
    self._path = folder / FILE

  def at(self, folder: pathlib.Path) -> 'Progress':
    """Returns the progress of another part of the same job."""
    return Progress(folder, self._setting)

  def save(self, done: Done) -> None:
    """Writes the file.

    Raises:
      SavosError: it cannot be written.
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
    """Returns the last progress saved; none without a file.

    Raises:
      SavosError: the setting differs, or the file is damaged.
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
        f'{self._folder}: was begun with other settings:\n    '
        + '\n    '.join(different)
        + '\n  Continue with the same settings, or segment into another folder.'
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
