"""Saved states of a tracker, to resume from.

The files may be deleted at any time; they only save recomputing frames since
the mark.
"""

from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.studio import chains
from savos_jax.video import progress

_MOST_BYTES = 1 << 30


class States:
  """A folder of states, limited in size."""

  def __init__(self, folder: pathlib.Path, most: int = _MOST_BYTES):
    """Sets folder and limit.

    Args:
      folder: receives the files.
      most: size limit in bytes; the oldest are removed first.
    """
    self._folder, self._most = folder, most

  def _path(self, way: chains.Way, index: int) -> pathlib.Path:
    letter = 'f' if way.forwards else 'b'
    return self._folder / f'{letter}{index:08d}.npz'

  def save(self, way: chains.Way, index: int, state: Sequence[Any]) -> None:
    """Saves the state after a frame.

    Raises:
      SavosError: it cannot be written.
    """
    arrays: dict[str, Any] = {
      f'state_{i}': np.asarray(x) for i, x in enumerate(state)
    }
    with files.replacing(self._path(way, index)) as partial:
      np.savez_compressed(partial, key=np.array(way.key(index)), **arrays)
    self._bound()

  def _bound(self) -> None:
    found = [(p.stat(), p) for p in self._folder.glob('[fb]*.npz')]
    found.sort(key=lambda pair: -pair[0].st_mtime_ns)
    total = 0
    for facts, path in found:
      total += facts.st_size
      if total > self._most:
        manifests.remove_own([path])

  def nearest(
    self, way: chains.Way, begin: int, end: int
  ) -> tuple[int, list[np.ndarray]] | None:
    """Returns the last valid state between two frames of a way.

    Args:
      way: the current way.
      begin: the frame at which the tracker restarts.
      end: the frame to compute, exclusive.

    Returns:
      The frame after which it was saved, and the state.
    """
    letter = 'f' if way.forwards else 'b'
    stems = [path.stem for path in self._folder.glob(f'{letter}*.npz')]
    known = sorted(
      (int(stem[1:]) for stem in stems if stem[1:].isdecimal()),
      key=way.place,
      reverse=True,
    )
    for index in known:
      if way.place(begin) <= way.place(index) < way.place(end):
        state = _read(self._path(way, index), way.key(index))
        if state:
          return index, state
    return None


def _read(path: pathlib.Path, key: str | None) -> list[np.ndarray]:
  """Returns a state; nothing of one that is damaged, or has another key."""
  try:
    with progress.reading(path), np.load(path) as stored:
      if stored['key'].item() != key:
        return []
      return [stored[f'state_{i}'] for i in range(len(stored.files) - 1)]
  except errors.SavosError:
    return []
