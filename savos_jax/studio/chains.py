"""What the masks of a frame depend on, as a key of each frame.

A video is followed one way or the other, from mark to mark. Between two marks
nothing is told, so that all frames there have one key; it is made of the marks
since the last one that held every object that is followed, for there the
tracker begins anew (`marks.give`). So a mask is stale where its frame has
another key now, and a correction makes stale what it can change alone.
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
  """What a person says of a frame.

  Attributes:
    ids: objects that are drawn, ascending.
    absent: objects that are said not to be there, ascending.
    png: the labels, as `masks.encode_mask` has them.
    pixels: a digest of the labels.
  """

  ids: tuple[int, ...]
  absent: tuple[int, ...]
  png: bytes
  pixels: str

  @property
  def all_ids(self) -> tuple[int, ...]:
    """All objects that the frame tells of, ascending."""
    return tuple(sorted((*self.ids, *self.absent)))

  @functools.cached_property
  def digest(self) -> str:
    """Of all that is said."""
    return _digest(self.ids, self.absent, self.pixels)

  def labels(self) -> np.ndarray:
    """Returns what is drawn, uint8 [H, W]."""
    return np.asarray(masks.decode_image(self.png, 'a mark'))

  def over(self, labels: np.ndarray) -> np.ndarray:
    """Puts it over what was found, uint8 [H, W]."""
    return marks_lib.over(labels, self.labels(), self.all_ids)

  def before(self, index: int, until: Mapping[int, int]) -> 'Told | None':
    """Returns what is left of it in a frame where objects may have ended.

    Args:
      index: of the frame.
      until: object -> the first frame in which it is followed no longer.
    """
    ids = tuple(i for i in self.ids if index < until.get(i, index + 1))
    absent = tuple(i for i in self.absent if index < until.get(i, index + 1))
    if not (ids or absent):
      return None
    return dataclasses.replace(self, ids=ids, absent=absent)


def told(labels: np.ndarray, ids: Iterable[int]) -> Told:
  """Returns what is said by labels.

  Args:
    labels: uint8 [H, W]; objects that are not named are left out.
    ids: objects that the frame tells of; those without a pixel are not there.
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
  """What happens to the tracker in a frame.

  Attributes:
    index: of the frame.
    key: of this frame and all that come up to the next event.
    told: what is marked; None: nothing is.
    begins: whether the tracker begins anew.
    dropped: objects that are followed no longer, from this frame on.
  """

  index: int
  key: str
  told: Told | None
  begins: bool
  dropped: tuple[int, ...] = ()


class Way:
  """A direction in which a video is followed.

  Attributes:
    forwards: or backwards.
    events: in the order in which they are met.
  """

  def __init__(
    self,
    told: Mapping[int, Told],
    until: Mapping[int, int],
    forwards: bool,
    root: str = '',
  ):
    """Walks over all marks.

    Args:
      told: index of a frame -> what is said of it.
      until: object -> the first frame in which it is followed no longer.
      forwards: or backwards.
      root: what else masks depend on.
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
    """Returns a number that grows along the way."""
    return index if self.forwards else -index

  @property
  def marks(self) -> marks_lib.Marks:
    """What is drawn, by `place`; there must be something."""
    drawn = {self.place(i): t for i, t in self._told.items() if t.ids}
    ids = {place: drawn[place].ids for place in sorted(drawn)}
    return marks_lib.Marks(ids, lambda place: drawn[place].labels())

  def _last(self, index: int) -> int:
    """Returns the number of the last event up to a frame; -1: none."""
    return bisect.bisect_right(self._places, self.place(index)) - 1

  def key(self, index: int) -> str | None:
    """Returns a frame's key; None: nothing is followed there."""
    last = self._last(index)
    return self.events[last].key if last >= 0 else None

  def chain(self, index: int) -> list[Event]:
    """Returns what has led to a frame, from where the tracker begins anew."""
    last = self._last(index)
    first = last
    while first > 0 and not self.events[first].begins:
      first -= 1
    return self.events[first : last + 1] if last >= 0 else []


@dataclasses.dataclass(frozen=True)
class Ways:
  """Both directions.

  Attributes:
    forwards: the one.
    backwards: the other.
  """

  forwards: Way
  backwards: Way

  def keys(self, index: int) -> tuple[str | None, str | None, str | None]:
    """Returns a frame's keys: forwards, backwards, and joined of both."""
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
