"""Videos whose objects may appear in any frame, as in YouTube-VOS.

Xu et al., "YouTube-VOS: a large-scale video object segmentation benchmark",
2018. The first mask of an object is given; the object is segmented and scored
from then on.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import ClassVar

from savos_jax.datasets import sequences
from savos_jax.foundation import errors


@dataclasses.dataclass(frozen=True)
class Video(sequences.Sequence):
  """A video under the rules of YouTube-VOS.

  Its masks are read when its objects are first accessed.
  """

  first_mask_shows_objects: ClassVar[bool] = False

  @property
  def protocol(self) -> str:
    """See `Sequence`."""
    return 'youtube_vos'

  @functools.cached_property
  def appearances(self) -> Mapping[int, tuple[int, ...]]:
    """See `Sequence`: the first mask of each object.

    Raises:
      SavosError: as `labels`, or all masks are empty.
    """
    found: dict[int, tuple[int, ...]] = {}
    seen: set[int] = set()
    for index in self.annotated:
      ids = sequences.ids_of(self.labels(index))
      fresh = tuple(i for i in ids if i not in seen)
      if fresh:
        found[index] = fresh
        seen.update(fresh)
    if not found:
      first = self.mask_file(self.annotated[0])
      raise errors.SavosError(
        f'{first.parent}: all {len(self.annotated)} masks are empty.\n'
        '  Expected at least one object: a value other than 0. Leave '
        f'{self.name} out of the list.'
      )
    return found

  @property
  def scored_ids(self) -> tuple[int, ...]:
    """Ids of the scored objects, ascending: all objects."""
    return tuple(sorted(i for ids in self.appearances.values() for i in ids))

  @property
  def all_ids(self) -> tuple[int, ...]:
    """See `Sequence`."""
    return self.scored_ids

  @functools.cached_property
  def only_given(self) -> bool:
    """See `Sequence`."""
    first = min(self.appearances)
    return all(i in self.appearances for i in self.annotated if i > first)

  def truth(self, index: int) -> sequences.Truth:
    """See `Sequence`; an object counts in the frames after its first mask."""
    labels = self.labels(index)
    objects = tuple((i, labels == i, None) for i in self.scored_ids)
    scored = (
      i for at, ids in self.appearances.items() if at < index for i in ids
    )
    return sequences.Truth(objects, tuple(sorted(scored)))
