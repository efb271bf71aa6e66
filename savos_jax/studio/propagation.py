"""Propagates marks through the frames that need it.

The steps are those of `engine`, so the masks equal those of tools.segment.
Frames whose mask is current are skipped, and the tracker resumes from a saved
state (`states`) after them.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib

import numpy as np

from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib
from savos_jax.studio import chains
from savos_jax.studio import results as results_lib
from savos_jax.studio import states as states_lib
from savos_jax.video import both_ways
from savos_jax.video import excerpts
from savos_jax.video import marks as marks_lib
from savos_jax.video import overlapped
from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.video import video_file

_SAVE_EVERY = 50  # Frames; what a kill -9 has computed again, at most.
DIRECTIONS = ('forward', 'backward', 'both')


class Stopped(Exception):
  """The user stopped the job."""


@dataclasses.dataclass(frozen=True)
class _Pass:
  """Frames that are followed in one go.

  Attributes:
    begin: the frame at which the tracker begins anew.
    needed: the frames that are wanted, in the order of the way.
  """

  begin: int
  needed: tuple[int, ...]


def _passes(way: chains.Way, needed: Sequence[int]) -> list[_Pass]:
  """Sorts frames that are followed by where the tracker begins anew."""
  found: dict[int, list[int]] = {}
  for index in sorted(needed, key=way.place):
    chain = way.chain(index)
    if chain:
      found.setdefault(chain[0].index, []).append(index)
  return [_Pass(begin, tuple(indices)) for begin, indices in found.items()]


def _along(
  video: sources.Video, way: chains.Way, begin: int
) -> Iterator[video_file.Shown]:
  """Yields the frames from one on, each with its own number."""
  if way.forwards:
    # Those that are missing are told where the video is opened.
    with contextlib.suppress(errors.Incomplete):
      yield from video.numbered(begin)
    return
  for shown in excerpts.backwards(video, begin).numbered():
    yield dataclasses.replace(shown, index=begin - shown.index)


class _Follower:
  """Takes a tracker along a way."""

  def __init__(
    self,
    tracker: tracker_lib.Tracker,
    video: sources.Video,
    way: chains.Way,
    states: states_lib.States,
  ):
    self._tracker, self._video = tracker, video
    self._way, self._states = way, states
    self._marks = way.marks

  def _give(self, event: chains.Event, image: np.ndarray) -> None:
    """Tells the tracker what is marked in the frame that it is at."""
    if event.told is None:
      return
    tracker = self._tracker
    if event.begins:
      labels = event.told.labels()
      tracker.start(image, labels, event.told.ids)
      return
    if event.told.ids:
      place = self._way.place(event.index)
      marks_lib.give(tracker, self._marks, place, image)
    gone = [i in event.told.absent for i in tracker.object_ids]
    if any(gone):
      guidance = np.array(tracker.probabilities)
      guidance[gone] = 0
      tracker.guide(guidance)

  def _drop(self, event: chains.Event) -> None:
    for object_id in event.dropped:
      self._tracker.drop_object(object_id)

  def _found(self, index: int, sure: Sequence[float]) -> dict[int, float]:
    """Returns how sure each object is; of what was said nobody doubts."""
    chain = self._way.chain(index)
    said = chain[-1].told if chain[-1].index == index else None
    certain = said.all_ids if said else ()
    return {
      object_id: 1.0 if object_id in certain else float(value)
      for object_id, value in zip(self._tracker.object_ids, sure, strict=True)
    }

  def _resume(self, work: _Pass) -> int:
    """Brings the tracker to where it was; returns the frame that comes."""
    self._tracker.reset()
    known = self._states.nearest(self._way, work.begin, work.needed[0])
    if known is None:
      return work.begin
    index, state = known
    for event in self._way.chain(index):
      self._drop(event)
      self._give(event, self._video.frame(event.index))
    self._tracker.restore(state)
    return index + (1 if self._way.forwards else -1)

  def _save(self, index: int) -> None:
    if self._tracker.object_ids:
      self._states.save(self._way, index, self._tracker.state())

  def follow(
    self, work: _Pass, check: Callable[[], None]
  ) -> Iterator[tuple[video_file.Shown, both_ways.Found]]:
    """Yields the frames of a pass up to the last one needed.

    Args:
      work: the pass.
      check: called before each frame; an exception ends the pass, which can
        resume from there.
    """
    way = self._way
    begin = self._resume(work)
    last, step = work.needed[-1], 1 if way.forwards else -1
    events = {event.index: event for event in way.chain(last)}
    done = begin - step
    try:
      with contextlib.closing(
        overlapped.read_ahead(_along(self._video, way, begin))
      ) as frames:
        for shown in frames:
          if way.place(shown.index) > way.place(last):  # It is missing.
            break
          check()
          self._check_marks(events, done + step, shown.index)
          yield shown, self._step(shown, events.get(shown.index))
          done = shown.index
          if done == last:
            break
          if done % _SAVE_EVERY == 0 and done != begin:
            self._save(done)
    except Stopped:
      if done != begin - step:
        self._save(done)
      raise
    self._save(done)

  def _step(
    self, shown: video_file.Shown, event: chains.Event | None
  ) -> both_ways.Found:
    tracker = self._tracker
    if event and event.begins:
      self._give(event, shown.image)
      assert event.told is not None
      labels = event.told.labels()
      labels = np.where(np.isin(labels, event.told.ids), labels, 0)
    else:
      if event:
        self._drop(event)
      labels = tracker.step(shown.image)
      if event:
        self._give(event, shown.image)
    if not tracker.object_ids:
      return both_ways.Found(labels, {})
    sure = self._found(shown.index, tracker.confidences.tolist())
    return both_ways.Found(labels, sure, tracker.probabilities)

  def _check_marks(self, events, expected: int, index: int) -> None:
    """Raises SavosError where a frame with a mark could not be decoded."""
    step = 1 if self._way.forwards else -1
    for missing in range(expected, index, step):
      if missing in events and events[missing].told:
        raise errors.SavosError(
          f'{self._video.path}: frame {missing} has a mark and cannot be '
          'decoded.\n'
          '  Expected a mark of a decodable frame: draw it on one nearby.'
        )


@dataclasses.dataclass
class Propagation:
  """A propagation job.

  Attributes:
    tracker: of the project's network, used exclusively.
    video: the frames.
    ways: of the marks at the time of the request.
    results: receives the masks.
    states: saved states of the tracker.
    aside: a folder for backward results until they are joined.
    check: called before each step; raises `Stopped` to end it.
    tell: called by another thread after each step, with the frame whose mask is
      complete or None, and the confidences.
  """

  tracker: tracker_lib.Tracker
  video: sources.Video
  ways: chains.Ways
  results: results_lib.Results
  states: states_lib.States
  aside: pathlib.Path
  check: Callable[[], None]
  tell: Callable[[int | None, Mapping[int, float]], None]

  def needed(self, direction: str, first: int, last: int) -> list[int]:
    """Returns the frames to compute for the range `first` to `last`.

    Includes frames on the way there whose mask is missing or stale.
    """
    column = DIRECTIONS.index(direction)
    computed = self.results.computed
    found = []
    for index in range(first, last + 1):
      key = self.ways.keys(index)[column]
      if key and (index not in computed or computed[index].key != key):
        found.append(index)
    if direction == 'both' or not found:
      return found
    way = self.ways.forwards if direction == 'forward' else self.ways.backwards
    start, low, high = way.chain(found[-column])[0].index, found[0], found[-1]
    passed = [*range(start, low), *range(high + 1, start + 1)]
    found += [
      index for index in passed
      if index not in computed
      or computed[index].key not in self.ways.keys(index)
    ]  # fmt: skip
    return sorted(found)

  def steps(self, direction: str, needed: Sequence[int]) -> int:
    """Returns how often `tell` will be called."""
    if direction != 'both':
      return len(needed)
    return len(needed) + sum(self._joined(index) for index in needed)

  def _joined(self, index: int) -> bool:
    """Whether a frame is found from both sides."""
    one, other, _ = self.ways.keys(index)
    return bool(one and other and one != other)

  def run(self, direction: str, needed: Sequence[int]) -> None:
    """Computes masks.

    Args:
      direction: one of `DIRECTIONS`.
      needed: the frames to compute.

    Raises:
      SavosError: a frame is damaged, or a mask cannot be written.
      Stopped: by `check`; finished masks are kept.
    """
    try:
      if direction == 'both':
        self._both(needed)
      else:
        forwards = direction == 'forward'
        way = self.ways.forwards if forwards else self.ways.backwards
        self._one(way, needed)
    finally:
      self.results.flush()

  def _follow(
    self, way: chains.Way, needed: Sequence[int]
  ) -> Iterator[tuple[video_file.Shown, both_ways.Found]]:
    """Yields the frames that are needed, as they are found along a way."""
    wanted = set(needed)
    for work in _passes(way, needed):
      follower = _Follower(self.tracker, self.video, way, self.states)
      for shown, found in follower.follow(work, self.check):
        if shown.index in wanted:
          yield shown, found

  def _one(self, way: chains.Way, needed: Sequence[int]) -> None:
    column = 0 if way.forwards else 1
    with overlapped.write_behind() as writer:
      for shown, found in self._follow(way, needed):
        writer.submit(self._write, shown.index, found, column)

  def _both(self, needed: Sequence[int]) -> None:
    """Goes from mark to mark: backwards, then forwards and joined."""
    marks = self.ways.forwards.marks
    aside = both_ways.Aside(self.aside, marks.last, marks.first)
    join = both_ways.Join(self.tracker, marks)
    between = _passes(self.ways.backwards, needed)
    parts = [sorted(work.needed) for work in between]
    seen = {index for part in parts for index in part}
    parts.append([index for index in needed if index not in seen])
    try:
      for part in sorted(filter(None, parts)):
        aside.begin(0)
        self._put_aside(aside, part)
        self._join(aside, join, part)
    finally:
      aside.remove()

  def _put_aside(self, aside: both_ways.Aside, part: Sequence[int]) -> None:
    """Finds frames backwards that are joined, or are not found forwards."""
    forwards = self.ways.forwards
    wanted = [i for i in part if self._joined(i) or not forwards.key(i)]
    last = self.ways.forwards.marks.last
    with overlapped.write_behind() as writer:
      for shown, found in self._follow(self.ways.backwards, wanted):
        turned = dataclasses.replace(shown, index=last - shown.index)
        segmented = sinks.Segmented(
          turned, found.labels, found.probabilities, found.confidence
        )
        writer.submit(aside.write, segmented)
        if forwards.key(shown.index):
          writer.submit(self.tell, None, found.confidence)

  def _join(
    self, aside: both_ways.Aside, join: both_ways.Join, part: Sequence[int]
  ) -> None:
    """Finds frames forwards, and writes what was found of both sides."""
    forwards = self.ways.forwards
    with overlapped.write_behind() as writer:
      for index in part:
        if not forwards.key(index):
          found = aside.found(index)
          if found:
            writer.submit(self._write, index, found, 2)
      after = [index for index in part if forwards.key(index)]
      for shown, found in self._follow(forwards, after):
        index = shown.index
        other = aside.found(index) if self._joined(index) else None
        if other:
          found = join(index, found, other) if found.confidence else other
        writer.submit(self._write, index, found, 2)

  def _write(self, index: int, found: both_ways.Found, column: int) -> None:
    key = self.ways.keys(index)[column]
    assert key is not None  # It was needed.
    computed = results_lib.Computed(key, found.confidence)
    self.results.write(index, found.labels, computed)
    self.tell(index, found.confidence)
