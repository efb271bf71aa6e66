"""One annotated video: the record that every data set is read into."""

from collections.abc import Mapping
import dataclasses
import functools
import pathlib
from typing import ClassVar
from typing import NamedTuple
from typing import Self

import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import names


class Truth(NamedTuple):
  """The ground truth of a frame.

  Attributes:
    objects: for each scored object its id, its mask, bool [H, W], and the
      pixels to ignore, bool [H, W] or None.
    scored: ids of the objects that are scored in this frame.
    left_out: ids in the frame that the protocol excludes.
  """

  objects: tuple[tuple[int, np.ndarray, np.ndarray | None], ...]
  scored: tuple[int, ...]
  left_out: tuple[int, ...] = ()


def ids_of(labels: np.ndarray) -> tuple[int, ...]:
  """Returns the object ids in labels, ascending, without the background."""
  # A count of the values takes a third of np.unique's time.
  return tuple(int(i) for i in np.flatnonzero(np.bincount(labels.ravel())) if i)


@dataclasses.dataclass(frozen=True)
class Sequence:
  """A video on disk, with masks for all or some of its frames.

  Attributes:
    name: the sequence's name, unique in its data set.
    frames: image files in temporal order; empty if only masks are used.
    masks: mask files, one for each frame or None, at least one file. Without
      frames: those of the annotated frames only.
    height: of every frame and mask, pixels.
    width: of every frame and mask, pixels.
    object_ids: ids of the objects in the first mask, ascending; (1,) when
      `merge_objects`.
    merge_objects: treat all ids as one object (the DAVIS 2016 protocol).
    first_mask_shows_objects: whether the protocol requires it; class attribute.
  """

  first_mask_shows_objects: ClassVar[bool] = True

  name: str
  frames: tuple[pathlib.Path, ...]
  masks: tuple[pathlib.Path | None, ...]
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
  def annotated(self) -> tuple[int, ...]:
    """Indices of the frames that have a mask, ascending."""
    return tuple(i for i, path in enumerate(self.masks) if path is not None)

  @property
  def protocol(self) -> str:
    """Name of the protocol that scores it (`evaluation.protocol`)."""
    return 'davis2016' if self.merge_objects else 'davis2017'

  @property
  def appearances(self) -> Mapping[int, tuple[int, ...]]:
    """Frame index -> ids of the objects whose mask is given there.

    Ascending, with at least one frame and one id in each.
    """
    return {self.annotated[0]: self.object_ids}

  @property
  def scored_ids(self) -> tuple[int, ...]:
    """Ids of the scored objects, ascending."""
    # As in the official code an id that the first frame skips is scored too.
    return tuple(range(1, max(self.object_ids) + 1))

  @functools.cached_property
  def all_ids(self) -> tuple[int, ...]:
    """All ids in any mask, ascending; reads every mask.

    Raises:
      SavosError: as `labels`.
    """
    found = (ids_of(self.labels(index)) for index in self.annotated)
    return tuple(sorted(set().union(*found)))

  @functools.cached_property
  def only_given(self) -> bool:
    """Whether only the first masks of the objects exist.

    That is all that is published of a test set. Reads masks up to the first one
    without a new object, in most videos the second.

    Raises:
      SavosError: as `labels`.
    """
    seen: set[int] = set()
    for index in self.annotated:
      found = set(ids_of(self.labels(index)))
      if found <= seen:
        return False
      seen |= found
    return True

  def object_name(self, object_id: int) -> str:
    """Returns the name of an object in tables of scores."""
    return self.name if self.merge_objects else f'{self.name}_{object_id}'

  def frame_name(self, index: int) -> str:
    """Returns the name of frame `index`: its file name without suffix."""
    path = self.frames[index] if self.frames else self.mask_file(index)
    return path.stem

  def mask_file(self, index: int) -> pathlib.Path:
    """Returns the mask file of frame `index`.

    Raises:
      ValueError: the frame is not annotated.
    """
    path = self.masks[index]
    if path is None:
      raise ValueError(f'{self.name}: frame {index} has no mask')
    return path

  def truth(self, index: int) -> Truth:
    """Returns the ground truth of frame `index`, which must be annotated.

    Raises:
      SavosError: as `labels`.
    """
    labels, ids = self.labels(index), self.scored_ids
    objects = tuple((i, labels == i, None) for i in ids)
    higher = labels.max(initial=0) > ids[-1]  # Cheaper than to list them.
    left_out = [i for i in ids_of(labels) if i not in ids] if higher else ()
    return Truth(objects, ids, tuple(left_out))

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
      SavosError: the file is damaged, not a mask, or of another size.
      ValueError: the frame is not annotated.
    """
    path = self.mask_file(index)
    labels = masks.read_mask(path)
    self.check_size(path, labels)
    return (labels > 0).view(np.uint8) if self.merge_objects else labels

  def first_frames(self, count: int) -> Self:
    """Returns the sequence truncated to its first frames."""
    return dataclasses.replace(
      self, frames=self.frames[:count], masks=self.masks[:count]
    )

  def annotated_part(self) -> Self:
    """Returns a sequence of only the annotated frames, for training."""
    if len(self.annotated) == len(self):
      return self
    return dataclasses.replace(
      self,
      frames=tuple(self.frames[i] for i in self.annotated),
      masks=tuple(self.masks[i] for i in self.annotated),
    )

  def check_size(self, path: pathlib.Path, image: np.ndarray) -> None:
    """Raises SavosError if an image differs in size from the sequence."""
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
  mask_files: list[pathlib.Path | None],
  merge_objects: bool = False,
  kind: type[Sequence] = Sequence,
) -> Sequence:
  """Opens one video, with all checks that the first frame allows.

  Args:
    name: the sequence's name.
    frames: image files in temporal order; if empty, the first mask defines the
      size.
    mask_files: one for each frame or None; at least one file.
    merge_objects: see `Sequence`.
    kind: class of the record to make.

  Returns:
    The record.

  Raises:
    SavosError: the first frame or mask is unreadable, their sizes differ, or
      the first mask is empty although the kind requires objects in it.
  """
  first = next(path for path in mask_files if path is not None)
  height, width = masks.image_size((frames or [first])[0])
  labels = masks.read_mask(first)
  ids = ids_of(labels)
  sequence = kind(
    name=name,
    frames=tuple(frames),
    masks=tuple(mask_files),
    height=height,
    width=width,
    object_ids=(1,) if merge_objects and ids else ids,
    merge_objects=merge_objects,
  )
  sequence.check_size(first, labels)
  if not ids and kind.first_mask_shows_objects:
    raise errors.SavosError(
      f'{first}: the first mask is empty.\n'
      '  Expected at least one object: the first mask defines what to segment. '
      f'Leave {name} out of the image list, or start it at a frame that shows '
      'the object; where objects appear later, use the rules of YouTube-VOS '
      "(config.data.source='youtube_vos', --protocol=youtube_vos)."
    )
  return sequence
