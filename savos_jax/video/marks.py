"""What a user or a data set says of a video: labels in some of its frames.

The first mark tells what to follow. A later one adds the objects that it holds,
or corrects them: an object that is followed already gets that frame as its
reference. Objects that a mark does not hold go on as they are.
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
    labels: index -> labels uint8 [H, W]; reads a file, it may be.
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
    """Returns them as a video is marked that begins at the last one.

    Its frame 0 is `last`; see `excerpts.backwards`.
    """
    last = self.last
    turned = sorted((last - index, ids) for index, ids in self.objects.items())
    return Marks(dict(turned), lambda index: self.labels(last - index))


def of_labels(labels: Mapping[int, np.ndarray]) -> Marks:
  """Returns marks that are at hand.

  Args:
    labels: index of a frame -> labels uint8 [H, W].

  Raises:
    SavosError: no mark, or one without an object.
  """
  objects = {
    index: tuple(int(i) for i in np.unique(drawn) if i)
    for index, drawn in sorted(labels.items())
  }
  if not objects:
    raise errors.SavosError(
      'no mask of any frame.\n  Expected one: it tells what to follow.'
    )
  for index, ids in objects.items():
    if not ids:
      raise errors.SavosError(
        f'the mask of frame {index} holds no object.\n'
        '  Expected at least one pixel above 0.'
      )
  return Marks(objects, labels.__getitem__)


def of_sequence(sequence: sequences.Sequence) -> Marks:
  """Returns what a sequence's rules give of its masks."""
  return Marks(sequence.appearances, sequence.labels)


def give(
  tracker: tracker_lib.Tracker, marks: Marks, index: int, frame: np.ndarray
) -> np.ndarray:
  """Tells a tracker what is marked in a frame.

  Args:
    tracker: begins anew at the first mark, and at one that holds all objects
      that it follows: what was before is of no weight then. At any other one
      it has stepped to this frame.
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
  """Puts a mark over what was found: what is marked stays as it is.

  Args:
    labels: as found, uint8 [H, W].
    marked: the mark's labels, uint8 [H, W].
    ids: the objects that it marks; they are where it says and nowhere else.

  Returns:
    Labels, uint8 [H, W].
  """
  others = np.where(np.isin(labels, ids), 0, labels)
  return np.where(np.isin(marked, ids), marked, others).astype(np.uint8)
