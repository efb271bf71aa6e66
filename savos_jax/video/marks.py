"""Marks: labels given in some frames of a video.

The first mark defines what to follow. A later one adds its objects or corrects
them: an object that is already followed gets that frame as its reference.
Objects that are not in a mark are unaffected.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses

import numpy as np

from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib


@dataclasses.dataclass(frozen=True)
class Marks:
  """Labels of some frames.

  Attributes:
    objects: index of a frame, from 0 -> ids that are marked in it, ascending;
      at least one frame, and one id in each.
    labels: index -> labels uint8 [H, W]; may read a file.
  """

  objects: Mapping[int, tuple[int, ...]]
  labels: Callable[[int], np.ndarray]

  @property
  def first(self) -> int:
    """The first frame with a mark."""
    return min(self.objects)

  @property
  def last(self) -> int:
    """The last frame with a mark."""
    return max(self.objects)

  def backwards(self) -> 'Marks':
    """Returns the marks for the reversed video.

    Its frame 0 is `last`; see `excerpts.backwards`.
    """
    last = self.last
    turned = sorted((last - index, ids) for index, ids in self.objects.items())
    return Marks(dict(turned), lambda index: self.labels(last - index))


def of_labels(labels: Mapping[int, np.ndarray]) -> Marks:
  """Returns marks from labels in memory.

  Args:
    labels: index of a frame -> labels uint8 [H, W].

  Raises:
    SavosError: there is no mark, or one has no object.
  """
  objects = {
    index: tuple(int(i) for i in np.unique(drawn) if i)
    for index, drawn in sorted(labels.items())
  }
  if not objects:
    raise errors.SavosError(
      'no mask of any frame.\n'
      '  Expected at least one: it defines what to follow.'
    )
  for index, ids in objects.items():
    if not ids:
      raise errors.SavosError(
        f'the mask of frame {index} holds no object.\n'
        '  Expected at least one pixel above 0.'
      )
  return Marks(objects, labels.__getitem__)


def of_sequence(sequence: sequences.Sequence) -> Marks:
  """Returns the masks that the protocol of a sequence gives."""
  return Marks(sequence.appearances, sequence.labels)


def give(
  tracker: tracker_lib.Tracker, marks: Marks, index: int, frame: np.ndarray
) -> np.ndarray:
  """Passes the mark of a frame to a tracker.

  Args:
    tracker: restarts at the first mark and at one that contains all followed
      objects, which makes earlier frames irrelevant. For any other mark it must
      have stepped to this frame.
    marks: of the video.
    index: of a frame with a mark.
    frame: this frame, RGB uint8 [H, W, 3].

  Returns:
    The mark's labels, uint8 [H, W].

  Raises:
    SavosError: as `Tracker.add_object`.
  """
  labels, ids = marks.labels(index), marks.objects[index]
  if index == marks.first or {*tracker.object_ids} <= {*ids}:
    tracker.start(frame, labels, ids)
    return labels
  for object_id in ids:
    mask = labels == object_id
    if object_id in tracker.object_ids:
      tracker.set_reference(object_id, frame, mask)
    else:
      tracker.add_object(frame, mask, object_id)
  return labels


def over(labels: np.ndarray, marked: np.ndarray, ids) -> np.ndarray:
  """Puts a mark over a prediction, so that marked objects are unchanged.

  Args:
    labels: the prediction, uint8 [H, W].
    marked: the mark's labels, uint8 [H, W].
    ids: the marked objects, which are removed elsewhere.

  Returns:
    Labels, uint8 [H, W].
  """
  others = np.where(np.isin(labels, ids), 0, labels)
  return np.where(np.isin(marked, ids), marked, others).astype(np.uint8)
