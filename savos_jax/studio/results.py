"""The masks of a project: predictions with marks over them.

`masks/` holds what each frame shows: in a marked frame, the mark over the
prediction. The prediction of a marked frame is kept in a hidden folder in case
the mark is removed. A journal has a line for each frame with its key (`chains`)
and confidences; a kill loses at most one line.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import csv
import dataclasses
import json
import logging
import os
import pathlib

import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.foundation import typed
from savos_jax.studio import chains
from savos_jax.studio import project as project_lib

logger = logging.getLogger(__name__)

_JOURNAL = '.computed.jsonl'
_PREDICTED = '.predicted'
_TABLE = 'confidence.csv'


@dataclasses.dataclass(frozen=True)
class Computed:
  """How the mask of a frame was computed.

  Attributes:
    key: identifies what it depends on.
    confidence: object -> confidence, 0..1.
  """

  key: str
  confidence: Mapping[int, float]


def ranges(indices: Iterable[int]) -> list[list[int]]:
  """Returns [first, last] of runs of ascending numbers."""
  runs: list[list[int]] = []
  for index in indices:
    if runs and index == runs[-1][1] + 1:
      runs[-1][1] = index
    else:
      runs.append([index, index])
  return runs


class Results:
  """Masks on disk; threads share it by the project's lock."""

  def __init__(self, project: project_lib.Project):
    """Reads the existing results.

    Args:
      project: a project with a video.
    """
    self._project = project
    self._folder = project.folder
    self._computed: dict[int, Computed] = {}
    there = {path.name for path in (self._folder / 'masks').glob('*.png')}
    for index, computed in _read(self._folder / _JOURNAL):
      if index < project.count and self.path(index).name in there:
        self._computed[index] = computed
    self._rewrite()
    for index in sorted({*project.told, *project.gone}):
      try:
        self._match(index)
      except errors.SavosError as error:  # The others may be worked on.
        logger.warning('%s', error)

  def _match(self, index: int) -> None:
    """Shows a mark that was added, changed or taken by hand, or half kept."""
    told, path = self._project.told.get(index), self.path(index)
    if told is None:
      self.take_mark(index)
      return
    labels = masks.read_mask(path) if path.is_file() else None
    if labels is None or not np.array_equal(told.over(labels), labels):
      self.put_mark(index)

  def path(self, index: int) -> pathlib.Path:
    """Returns the path of a frame's mask."""
    name = self._project.opened.names(index)
    return self._folder / 'masks' / f'{name}.png'

  def _kept(self, index: int) -> pathlib.Path:
    return self._folder / _PREDICTED / self.path(index).name

  @property
  def computed(self) -> dict[int, Computed]:
    """Frame index -> how its mask was computed; a copy."""
    with self._project.lock:
      return dict(self._computed)

  def labels(self, index: int) -> np.ndarray | None:
    """Returns the mask that a frame shows, uint8 [H, W]; None: none yet.

    Raises:
      SavosError: the frame does not exist, or its file is damaged.
    """
    project = self._project
    project.check_frame(index)
    with project.lock:
      told = project.told.get(index)
      if told is None and index not in self._computed:
        return None
      path = self.path(index)
      labels = masks.read_mask(path) if path.is_file() else None
    if labels is None:  # Somebody took it away.
      return told.labels() if told else None
    known = np.zeros(256, np.uint8)
    ids = [each.id for each in project.objects]
    known[ids] = ids
    return known[labels]

  def write(self, index: int, labels: np.ndarray, computed: Computed) -> None:
    """Stores the prediction of a frame; a mark stays over it.

    Args:
      index: of the frame.
      labels: uint8 [H, W].
      computed: how they were computed.

    Raises:
      SavosError: it cannot be written, or the file belongs to somebody else.
    """
    with self._project.lock:
      told = self._project.told.get(index)
      if told:
        labels = told.over(labels)
        if (~np.isin(labels, (0, *told.all_ids))).any():
          masks.write_mask(self._kept(index), labels)
      masks.write_mask(self.path(index), labels)
      self._computed[index] = computed
      with (self._folder / _JOURNAL).open('a', encoding='utf-8') as file:
        file.write(_line(index, computed))

  def put_mark(self, index: int) -> None:
    """Puts the mark of a frame over its prediction.

    Raises:
      SavosError: as `write`.
    """
    with self._project.lock:
      told = self._project.told[index]
      kept, path = self._kept(index), self.path(index)
      if not kept.is_file() and index in self._computed and path.is_file():
        masks.write_mask(kept, masks.read_mask(path))
      if kept.is_file():
        below = masks.read_mask(kept)
      else:
        below = np.zeros_like(told.labels())
      masks.write_mask(path, told.over(below))

  def take_mark(self, index: int) -> None:
    """Restores the prediction of a frame, if there is one.

    Raises:
      SavosError: as `write`.
    """
    with self._project.lock:
      kept = self._kept(index)
      if kept.is_file():
        masks.write_mask(self.path(index), masks.read_mask(kept))
        manifests.remove_own([kept])
      else:
        manifests.remove_own([self.path(index)])
        self._computed.pop(index, None)
        self._rewrite()

  def stale(self, ways: chains.Ways) -> list[int]:
    """Returns the frames whose masks are stale, ascending.

    Args:
      ways: of the current marks.
    """
    with self._project.lock:
      told = self._project.told
      return [
        index
        for index, computed in sorted(self._computed.items())
        if index not in told and computed.key not in ways.keys(index)
      ]

  def flush(self) -> None:
    """Writes confidence.csv and rewrites the journal.

    Raises:
      SavosError: it cannot be written, or belongs to somebody else.
    """
    with (
      files.replacing(self._folder / _TABLE) as partial,
      partial.open('w', encoding='utf-8', newline='') as file,
    ):
      writer = csv.writer(file, lineterminator='\n')
      writer.writerow(('frame', 'object', 'confidence'))
      for index, computed in sorted(self.computed.items()):
        for object_id, sure in sorted(computed.confidence.items()):
          writer.writerow((index, object_id, f'{sure:.4f}'))
    with self._project.lock:
      self._rewrite()

  def _rewrite(self) -> None:
    """Writes the journal anew, a line a frame."""
    path = self._folder / _JOURNAL
    if not self._computed and not path.exists():
      return
    partial = path.with_name(f'{_JOURNAL}.part')
    lines = (_line(i, c) for i, c in sorted(self._computed.items()))
    partial.write_text(''.join(lines), 'utf-8')
    os.replace(partial, path)


def _line(index: int, computed: Computed) -> str:
  sure = {str(i): round(c, 4) for i, c in computed.confidence.items()}
  return json.dumps([index, computed.key, sure]) + '\n'


def _read(path: pathlib.Path) -> Iterable[tuple[int, Computed]]:
  """Yields what a journal tells; lines that are damaged tell nothing."""
  if not path.is_file():
    return
  for line in path.read_text('utf-8', 'replace').splitlines():
    try:
      index, key, sure = typed.parse(line)
      found = {int(i): float(c) for i, c in sure.items()}
      yield int(index), Computed(str(key), found)
    except (ValueError, TypeError, AttributeError):
      continue
