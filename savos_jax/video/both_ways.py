"""Segments a video backwards and joins the result with the forward pass.

The backward pass comes first: the reversed video (`excerpts.backwards`) is
segmented like any other, from the last mark to the first frame, and the results
are put aside. In the forward pass the sinks receive both, joined.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import marks as marks_lib
from savos_jax.video import progress
from savos_jax.video import sinks

_LEVELS = 255  # A probability is put aside as one of so many, and 0.
_LEAST = 1e-6  # What counts one that has lost the object, where both have.


@dataclasses.dataclass(frozen=True)
class Found:
  """The result of a frame.

  Attributes:
    labels: uint8 [H, W].
    confidence: id -> confidence, in the order of the probabilities.
    probabilities: float32 [K, h, w], NumPy or JAX; None if they will not be
      joined.
  """

  labels: np.ndarray
  confidence: dict[int, float]
  probabilities: Any = None


class Aside(sinks.Record):
  """Stores the results of the backward pass, a file for each frame."""

  name = 'aside'
  soft = True

  def __init__(self, folder: pathlib.Path, last: int, joined_from: int):
    """Sets the folder; writes nothing yet.

    Args:
      folder: receives the files.
      last: the frame at which the backward pass begins.
      joined_from: the first frame to be joined with the forward pass.
    """
    self.folder = folder
    self._last, self._joined_from = last, joined_from

  def joins(self, index: int) -> bool:
    """Whether a frame, counted backwards, will be joined.

    Its labels are then recomputed.
    """
    return self._last - index >= self._joined_from

  def path(self, index: int) -> pathlib.Path:
    """Returns the file of a frame, counted backwards."""
    return self.folder / f'{self._last - index:06d}.npz'

  def begin(self, done: int) -> int:
    """Keeps the files of finished frames."""
    if not done:
      manifests.remove_own(list(self.folder.glob('*[0-9].npz')))
    return done

  def write(self, segmented: sinks.Segmented) -> None:
    """Writes a file."""
    confidence = segmented.confidence
    arrays: dict[str, Any] = {
      'labels': segmented.labels,
      'ids': np.array(list(confidence), np.uint8),
      'sure': np.array(list(confidence.values()), np.float32),
    }
    if self.joins(segmented.index):
      soft = np.asarray(segmented.probabilities)
      arrays['soft'] = np.rint(soft * _LEVELS).astype(np.uint8)
    with files.replacing(self.path(segmented.index)) as partial:
      np.savez_compressed(partial, **arrays)

  def read(self, index: int) -> np.ndarray:
    """Returns the labels of a frame, counted backwards, uint8 [H, W]."""
    return self._load(self.path(index)).labels

  def found(self, index: int) -> Found | None:
    """Returns the result of a frame, counted forwards; None if there is none.

    Raises:
      SavosError: its file is damaged.
    """
    path = self.path(self._last - index)
    if index > self._last or not path.is_file():
      return None
    return self._load(path)

  def _load(self, path: pathlib.Path) -> Found:
    with (
      progress.reading(path),
      path.open('rb') as file,
      np.load(file) as stored,
    ):
      sure = dict(
        zip(stored['ids'].tolist(), stored['sure'].tolist(), strict=True)
      )
      soft = None
      if 'soft' in stored:
        soft = stored['soft'].astype(np.float32) / _LEVELS
      return Found(stored['labels'], sure, soft)

  def remove(self) -> None:
    """Removes the files, and the folder if it is then empty."""
    manifests.remove_own(list(self.folder.glob('*.npz')))
    if self.folder.is_dir() and not any(self.folder.iterdir()):
      self.folder.rmdir()


class Join:
  """Joins the results of both directions.

  The probability of an object is the mean of both directions, each weighted by
  the proximity of its mark, its confidence in the frame, and the size of the
  object in the mark (the square root of its area). So one direction prevails
  where the other has lost the object, and a mark that shows only a bit of it
  counts for little.
  """

  def __init__(self, tracker: tracker_lib.Tracker, marks: marks_lib.Marks):
    """Reads each mark once.

    Args:
      tracker: of the forward pass.
      marks: of the video.
    """
    self._tracker = tracker
    # Of each object: where it is marked, and how long it is there.
    self._lengths: dict[int, dict[int, float]] = {}
    for index in sorted(marks.objects):
      labels = marks.labels(index)
      for object_id in marks.objects[index]:
        length = np.count_nonzero(labels == object_id) ** 0.5
        self._lengths.setdefault(object_id, {})[index] = length

  def _shares(self, object_id: int, index: int) -> tuple[float, float]:
    """Returns what the ways forwards and backwards count for in a frame."""
    marked = self._lengths[object_id]
    before = max((i for i in marked if i <= index), default=None)
    behind = min((i for i in marked if i >= index), default=None)
    if behind is None or before == behind:
      return 1.0, 0.0
    if before is None:
      return 0.0, 1.0
    return (behind - index) * marked[before], (index - before) * marked[behind]

  def __call__(self, index: int, forwards: Found, backwards: Found) -> Found:
    """Joins a frame.

    Args:
      index: of the frame.
      forwards: with probabilities.
      backwards: with probabilities of the same size.
    """
    ids = sorted({*forwards.confidence, *backwards.confidence})
    rows = []
    for object_id in ids:
      total, weights = 0.0, 0.0
      shares = self._shares(object_id, index)
      for way, share in zip((forwards, backwards), shares, strict=True):
        if object_id in way.confidence and way.probabilities is not None:
          row = list(way.confidence).index(object_id)
          weight = share * max(way.confidence[object_id], _LEAST)
          total += weight * way.probabilities[row]
          weights += weight
      rows.append(total / weights)
    soft = np.stack(rows).astype(np.float32)
    labels, sure = self._tracker.label(soft, ids)
    confidence = {
      object_id: 1.0 if index in self._lengths[object_id] else value
      for object_id, value in zip(ids, sure.tolist(), strict=True)
    }
    return Found(labels, confidence, soft)
