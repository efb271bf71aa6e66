"""The record that every data set is turned into: one annotated video."""

from collections.abc import Iterator
import dataclasses
import pathlib

import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import names


@dataclasses.dataclass(frozen=True)
class Sequence:
  """A video on disk with a mask for every frame.

  Attributes:
    name: the sequence's name, unique in its data set.
    frames: image files in order of time; none where only masks are wanted.
    masks: mask files, one a frame.
    height: of every frame and mask, pixels.
    width: of every frame and mask, pixels.
    object_ids: ids of the objects in the first frame, ascending; (1,) when
      `merge_objects`.
    merge_objects: all ids count as one object (the DAVIS 2016 protocol).
  """

  name: str
  frames: tuple[pathlib.Path, ...]
  masks: tuple[pathlib.Path, ...]
  height: int
  width: int
  object_ids: tuple[int, ...]
  merge_objects: bool = False

  def __post_init__(self):
    """Refuses a name that leads elsewhere: results are written by it."""
    for part in self.name.split('/'):
      names.check(part, f'the sequence {self.name!r}')

  def __len__(self) -> int:
    return len(self.masks)

  @property
  def protocol(self) -> str:
    """Name of the rules by which it is scored (`evaluation.protocol`)."""
    return 'davis2016' if self.merge_objects else 'davis2017'

  @property
  def scored_ids(self) -> tuple[int, ...]:
    """Ids of the objects that are scored, ascending."""
    # As in the official code an id that the first frame skips is scored too.
    return tuple(range(1, max(self.object_ids) + 1))

  def object_name(self, object_id: int) -> str:
    """Returns what an object is called in tables of scores."""
    return self.name if self.merge_objects else f'{self.name}_{object_id}'

  def truths(
    self, index: int
  ) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Yields what every scored object should be in frame `index`.

    Args:
      index: of the frame.

    Yields:
      Id, mask bool [H, W], and the pixels that do not count, bool [H, W], or
      None where all do.

    Raises:
      SavosError: as `labels`.
    """
    labels = self.labels(index)
    for object_id in self.scored_ids:
      yield object_id, labels == object_id, None

  def frame(self, index: int) -> np.ndarray:
    """Returns frame `index`, RGB uint8 [H, W, 3].

    Raises:
      SavosError: the file is damaged or of another size than the sequence.
    """
    image = masks.read_frame(self.frames[index])
    self.check_size(self.frames[index], image)
    return image

  def labels(self, index: int) -> np.ndarray:
    """Returns the labels of frame `index`, uint8 [H, W].

    Raises:
      SavosError: the file is damaged, no mask, or of another size.
    """
    labels = masks.read_mask(self.masks[index])
    self.check_size(self.masks[index], labels)
    return (labels > 0).view(np.uint8) if self.merge_objects else labels

  def check_size(self, path: pathlib.Path, image: np.ndarray) -> None:
    """Raises SavosError if an image is not of the sequence's size."""
    if image.shape[:2] != (self.height, self.width):
      raise errors.SavosError(
        f'{path}: {image.shape[1]}x{image.shape[0]} pixels (width x height).\n'
        f'  Expected {self.width}x{self.height}, as the first frame of '
        f'{self.name}: {(self.frames or self.masks)[0]}. Frames and masks of a '
        'sequence must share one size: check that both come from the same '
        'resolution.'
      )


def open_sequence(
  name: str,
  frames: list[pathlib.Path],
  mask_files: list[pathlib.Path],
  merge_objects: bool = False,
) -> Sequence:
  """Makes the record of one video, checking what the first frame can tell.

  Args:
    name: the sequence's name.
    frames: image files in order of time, or none: then the first mask tells
      the size.
    mask_files: one a frame; at least one.
    merge_objects: see `Sequence`.

  Returns:
    The record.

  Raises:
    SavosError: the first frame or mask is unreadable, their sizes differ, or
      the first mask is empty.
  """
  height, width = masks.image_size((frames or mask_files)[0])
  labels = masks.read_mask(mask_files[0])
  ids = tuple(int(i) for i in np.unique(labels) if i)
  sequence = Sequence(
    name=name,
    frames=tuple(frames),
    masks=tuple(mask_files),
    height=height,
    width=width,
    object_ids=(1,) if merge_objects and ids else ids,
    merge_objects=merge_objects,
  )
  sequence.check_size(mask_files[0], labels)
  if not ids:
    raise errors.SavosError(
      f'{mask_files[0]}: the mask of the first frame is empty.\n'
      '  Expected at least one object: the first mask says what to segment. '
      f'Leave {name} out of the image list, or start it at a frame that shows '
      'the object.'
    )
  return sequence
