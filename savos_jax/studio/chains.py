"""Keys of frames, which identify everything their masks depend on.

A video is propagated in either direction, from mark to mark. All frames between
two marks share one key. It is derived from the marks since the last one that
contains every object being followed, because the tracker restarts there
(`marks.give`). A mask is stale if the key of its frame has changed, so a
correction makes stale only what it can change.
"""

import bisect
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import json
from typing import Any

import numpy as np

from savos_jax.datasets import masks
from savos_jax.video import marks as marks_lib


@dataclasses.dataclass(frozen=True)
class Told:
  """What the user has marked in a frame.

  Attributes:
    ids: objects that are drawn, ascending.
    absent: objects marked as not visible, ascending.
    png: the labels, encoded by `masks.encode_mask`.
    pixels: a digest of the labels.
  """

  ids: tuple[int, ...]
  absent: tuple[int, ...]
  png: bytes
  pixels: str

  @property
  def all_ids(self) -> tuple[int, ...]:
    """All marked objects, drawn or absent, ascending."""
    return tuple(sorted((*self.ids, *self.absent)))

  @functools.cached_property
  def digest(self) -> str:
    """A digest of the whole mark."""
    return _digest(self.ids, self.absent, self.pixels)

  def labels(self) -> np.ndarray:
    """Returns what is drawn, uint8 [H, W]."""
    return np.asarray(masks.decode_image(self.png, 'a mark'))

  def over(self, labels: np.ndarray) -> np.ndarray:
    """Puts the mark over a prediction, uint8 [H, W]."""
    return marks_lib.over(labels, self.labels(), self.all_ids)

  def before(self, index: int, until: Mapping[int, int]) -> 'Told | None':
    """Returns the mark without objects that have ended by a frame.

    Args:
      index: of the frame.
      until: object -> the first frame in which it is no longer followed.
    """
    ids = tuple(i for i in self.ids if index < until.get(i, index + 1))
    absent = tuple(i for i in self.absent if index < until.get(i, index + 1))
    if not (ids or absent):
      return None
    return dataclasses.replace(self, ids=ids, absent=absent)


def told(labels: np.ndarray, ids: Iterable[int]) -> Told:
  """Returns the mark made by labels.

  Args:
    labels: uint8 [H, W]; objects not in `ids` are dropped.
    ids: the marked objects; those without a pixel are not visible.
  """
  named = sorted({*ids})
  drawn = np.where(np.isin(labels, named), labels, 0).astype(np.uint8)
  seen = {int(i) for i in np.unique(drawn)}
  return Told(
    tuple(i for i in named if i in seen),
    tuple(i for i in named if i not in seen),
    masks.encode_mask(drawn),
    hashlib.sha256(drawn.tobytes()).hexdigest(),
  )


@dataclasses.dataclass(frozen=True)
class Event:
  """A frame in which the tracker is changed.

  Attributes:
    index: of the frame.
    key: of this frame and all others up to the next event.
    told: the mark; None: there is none.
    begins: whether the tracker restarts.
    dropped: objects no longer followed from this frame on.
  """

  index: int
  key: str
  told: Told | None
  begins: bool
  dropped: tuple[int, ...] = ()


class Way:
  """A direction of propagation.

  Attributes:
    forwards: whether it is forwards.
    events: in the order in which they occur.
  """

  def __init__(
    self,
    told: Mapping[int, Told],
    until: Mapping[int, int],
    forwards: bool,
    root: str = '',
  ):
    """Computes the events from all marks.

    Args:
      told: frame index -> mark.
      until: object -> the first frame in which it is no longer followed.
      forwards: whether it is forwards.
      root: identifies everything else that masks depend on.
    """
    self.forwards = forwards
    left = {i: t.before(i, until) for i, t in told.items()}
    self._told = {i: t for i, t in left.items() if t}
    ends: dict[int, list[int]] = {}
    for object_id, index in until.items():
      ends.setdefault(index, []).append(object_id)
    places = {*self._told, *(ends if forwards else ())}
    self.events: list[Event] = []
    followed: set[int] = set()
    for index in sorted(places, reverse=not forwards):
      dropped = followed & {*ends.get(index, ())} if forwards else set()
      followed -= dropped
      said = self._told.get(index)
      begins = said is not None and followed <= {*said.ids} and bool(said.ids)
      if not begins and not self.events:
        continue  # Nothing is followed yet.
      if not (said or dropped):
        continue
      before = root if begins else self.events[-1].key
      drops = () if begins else tuple(sorted(dropped))
      key = _digest(before, index, said and said.digest, drops)
      self.events.append(Event(index, key, said, begins, drops))
      followed |= {*(said.ids if said else ())}
    self._places = [self.place(event.index) for event in self.events]

  def place(self, index: int) -> int:
    """Returns a frame number that increases along the way."""
    return index if self.forwards else -index

  @property
  def marks(self) -> marks_lib.Marks:
    """The drawn marks, by `place`; at least one."""
    drawn = {self.place(i): t for i, t in self._told.items() if t.ids}
    ids = {place: drawn[place].ids for place in sorted(drawn)}
    return marks_lib.Marks(ids, lambda place: drawn[place].labels())

  def _last(self, index: int) -> int:
    """Returns the number of the last event up to a frame; -1: none."""
    return bisect.bisect_right(self._places, self.place(index)) - 1

  def key(self, index: int) -> str | None:
    """Returns the key of a frame; None: nothing is followed there."""
    last = self._last(index)
    return self.events[last].key if last >= 0 else None

  def chain(self, index: int) -> list[Event]:
    """Returns the events that lead to a frame, from the last restart."""
    last = self._last(index)
    first = last
    while first > 0 and not self.events[first].begins:
      first -= 1
    return self.events[first : last + 1] if last >= 0 else []


@dataclasses.dataclass(frozen=True)
class Ways:
  """Both directions.

  Attributes:
    forwards: the forward direction.
    backwards: the backward direction.
  """

  forwards: Way
  backwards: Way

  def keys(self, index: int) -> tuple[str | None, str | None, str | None]:
    """Returns the keys of a frame: forwards, backwards, and joined."""
    one, other = self.forwards.key(index), self.backwards.key(index)
    joined = one or other
    if one and other and one != other:
      joined = _joined(one, other)
    return one, other, joined


def ways(
  told: Mapping[int, Told], until: Mapping[int, int], root: str = ''
) -> Ways:
  """Returns both directions; see `Way`."""
  return Ways(Way(told, until, True, root), Way(told, until, False, root))


@functools.lru_cache(maxsize=4096)
def _joined(one: str, other: str) -> str:
  return _digest('both', one, other)


def _digest(*parts: Any) -> str:
  return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
