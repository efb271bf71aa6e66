"""Segments videos: from their sources, by trackers, into sinks.

Each frame is read once. Other threads decode ahead and run the sinks behind,
while the network computes.
"""

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import logging
import pathlib
import sys
import time

import numpy as np

from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import both_ways
from savos_jax.video import excerpts
from savos_jax.video import marks as marks_lib
from savos_jax.video import overlapped
from savos_jax.video import progress as progress_lib
from savos_jax.video import sinks as sinks_lib
from savos_jax.video import sources
from savos_jax.video import video_file

logger = logging.getLogger(__name__)

_SAVE_EVERY = 50  # Frames; what a kill -9 loses at most.


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
  """A video to segment.

  Attributes:
    video: the frames.
    marks: the objects to follow.
    masks: the sink of the masks, which are read back if another sink needs
      frames that are already done.
    sinks: the other sinks.
    progress: where progress is saved; None: an interrupted run starts over.
    forwards: whether objects are followed after their marks.
    backwards: a folder for the results of the backward pass until they are
      joined; None: objects are not followed before their marks. See
      `both_ways`.
    stop_when_lost: stop when no object has been seen for this many frames after
      the last mark; 0: never.
  """

  video: sources.Video
  marks: marks_lib.Marks
  masks: sinks_lib.Record
  sinks: tuple[sinks_lib.Sink, ...] = ()
  progress: progress_lib.Progress | None = None
  forwards: bool = True
  backwards: pathlib.Path | None = None
  stop_when_lost: int = 0

  @property
  def all_sinks(self) -> tuple[sinks_lib.Sink, ...]:
    """The sink of the masks, and the others."""
    return self.masks, *self.sinks

  @property
  def begins(self) -> int:
    """The first frame of the forward pass."""
    return self.marks.first if self.forwards else sys.maxsize

  @property
  def aside(self) -> both_ways.Aside | None:
    """The sink of the backward pass."""
    if self.backwards is None:
      return None
    return both_ways.Aside(self.backwards, self.marks.last, self.begins)

  def turned(self) -> 'Job | None':
    """Returns the job of the backward pass into `aside`, if there is one."""
    aside = self.aside
    if aside is None:
      return None
    return Job(
      excerpts.backwards(self.video, self.marks.last),
      self.marks.backwards(),
      aside,
      (),
      self.progress and self.progress.at(aside.folder),
      stop_when_lost=self.stop_when_lost,
    )


def of_sequence(
  sequence: sequences.Sequence,
  folder: pathlib.Path,
  sinks: tuple[sinks_lib.Sink, ...] = (),
) -> Job:
  """Returns the job of segmenting a data set's sequence.

  Args:
    sequence: its frames, and the masks given by its protocol.
    folder: receives a folder of masks, named after the sequence.
    sinks: further sinks.
  """
  video = sources.of_sequence(sequence)
  masks = sinks_lib.Masks(folder / sequence.name, video.names)
  return Job(video, marks_lib.of_sequence(sequence), masks, sinks)


@dataclasses.dataclass
class Timing:
  """Timing, in seconds.

  Attributes:
    first: in the network for marked frames and in those calls, compilation
      included, in which a video has its first frame segmented, or that are
      made for a kind and number of videos that did not occur before.
    steady: in all other calls of the network, including transfers.
    steady_frames: number of frames of these calls.
    refining: in the dense CRF, for all frames.
    learning: in online learning, of all videos.
    total: from the first frame's decoding to the last sink's end.
  """

  first: float = 0.0
  steady: float = 0.0
  steady_frames: int = 0
  refining: float = 0.0
  learning: float = 0.0
  total: float = 0.0

  @property
  def seconds_a_frame(self) -> float:
    """Seconds a frame in the steady state; 0 if all frames were first."""
    return self.steady / max(1, self.steady_frames)

  @property
  def network_share(self) -> float:
    """Share of the network in the total time."""
    return (self.first + self.steady) / self.total


@dataclasses.dataclass(eq=False)
class _Run:
  """A video in progress.

  Attributes:
    tracker: segments it.
    job: what was asked for.
    sinks: those that are to be told its frames.
    whole: names of those that an earlier run told all.
    frames: the rest of the video.
    index: so many frames are done.
    shown: the frame that comes; None: there are no more.
    lost: numbers of frames that could not be decoded.
    sure: how sure each object was, a frame.
    note: what is said of lost frames in the end.
    fresh: no frame was segmented since it was begun.
    done: what is to be saved of it, if anything; one name for all of it, so
      that an interruption never sees a part.
  """

  tracker: tracker_lib.Tracker
  job: Job
  sinks: tuple[sinks_lib.Sink, ...]
  whole: tuple[str, ...]
  frames: Generator[video_file.Shown]
  index: int
  shown: video_file.Shown | None = None
  fresh: bool = True
  lost: list[int] = dataclasses.field(default_factory=list)
  sure: list[Mapping[int, float]] = dataclasses.field(default_factory=list)
  note: str = ''
  done: progress_lib.Done | None = None

  @functools.cached_property
  def aside(self) -> both_ways.Aside | None:
    """What was found backwards."""
    return self.job.aside

  @functools.cached_property
  def join(self) -> both_ways.Join:
    """Joins the ways."""
    return both_ways.Join(self.tracker, self.job.marks)

  @property
  def coming(self) -> video_file.Shown:
    """The frame that comes; one that runs has one."""
    assert self.shown is not None
    return self.shown

  @property
  def place(self) -> str:
    """The coming frame, for messages."""
    video = self.job.video
    return f'{video.path}, frame {video.names(self.coming.index)}'

  @property
  def kind(self) -> Hashable:
    """Runs of one kind step together."""
    video, count = self.job.video, len(self.tracker.object_ids)
    return self.tracker.kind_of(video.height, video.width, count)


def _slots(running: int, most: int) -> int:
  """Returns how many videos a call is compiled for, at least `running`.

  When a kind of video runs out, there are fewer and fewer. To compile each
  number takes longer than many frames; to go on with the largest wastes nearly
  all of it on the last video. With `most` and powers of two at most half is
  wasted, on few videos.
  """
  return min(most, 1 << (running - 1).bit_length())


class _Engine:
  """Holds what is common to the videos of one `segment`."""

  def __init__(self, trackers, advance, writer, opened, timing):
    self._idle = list(trackers)
    self._most = len(self._idle)
    self._kind_of = self._idle[0].kind_of
    self._advance = advance
    self._writer = writer
    self._opened = opened
    self._seen: set[Hashable] = set()
    self.running: list[_Run] = []
    self.timing = timing
    self.incomplete: list[errors.Incomplete] = []

  def choose(self, waiting: list[Job]) -> Job | None:
    """Returns the next to start: of the kind that is running, if any is."""
    if not self._idle:
      return None
    running = {run.kind for run in self.running}
    fitting = (
      job for job in waiting if not running or self._kind(job) in running
    )
    return next(fitting, None)

  def _kind(self, job: Job) -> Hashable:
    """Of a job's frames after the first mark."""
    count = len(job.marks.objects[job.marks.first])
    return self._kind_of(job.video.height, job.video.width, count)

  def start(self, job: Job) -> None:
    """Begins a video, or goes on with it, up to the first frame to segment."""
    before = _before(job)
    if before.note:
      self.incomplete.append(errors.Incomplete(before.note))
    self._advance(job, before.frames)
    begins = {
      sink: sink.begin(before.frames if sink.name in before.sinks else 0)
      for sink in job.all_sinks
      if not (before.whole and sink.name in before.sinks)
    }
    if not begins:
      return
    for sink in begins:
      self._opened.enter_context(sink)
    start = min(begins.values())
    frames = overlapped.read_ahead(job.video.numbered(start))
    self._opened.callback(frames.close)
    whole = before.sinks if before.whole else ()
    run = _Run(self._idle.pop(), job, tuple(begins), whole, frames, start)
    run.lost += before.lost
    run.sure += before.sure
    # The source tells of those from `start` on.
    lost = [index for index in before.lost if index < start]
    if lost:
      numbers = [job.video.number(index) for index in lost]
      error = video_file.incomplete(job.video.path, before.frames, numbers)
      run.note = f'{error}\n'
    self._next(run)
    self._tell_again(run, begins, before.frames)
    if not before.whole:
      _restore(run, before)
    self.running.append(run)
    self._finish_if_ended(run)
    while run.shown and run.shown.index <= job.begins:
      self._lead(run)

  def _next(self, run: _Run) -> None:
    """Takes the next frame from the source."""
    try:
      run.shown = next(run.frames, None)
    except errors.Incomplete as error:
      run.note, run.shown = run.note + str(error), None
    if run.shown:
      _check_marks(run)

  def _tell_again(self, run: _Run, begins, done: int) -> None:
    """Tells sinks of frames that are done, from the masks on disk."""
    while run.shown and run.shown.index < done:
      index = run.shown.index
      told = sinks_lib.Segmented(
        run.shown, run.job.masks.read(index), confidence=run.sure[index]
      )
      for sink, begin in begins.items():
        if begin <= index:
          self._writer.submit(sink.write, told)
      run.index = index + 1
      self._next(run)
    run.index = done

  def _lead(self, run: _Run) -> None:
    """Takes a frame up to the first mark."""
    shown = run.coming
    if shown.index < run.job.begins:
      self._take(run, np.zeros(shown.image.shape[:2], np.uint8))
      return
    started = time.perf_counter()
    given = marks_lib.give(run.tracker, run.job.marks, shown.index, shown.image)
    self.timing.first += time.perf_counter() - started
    self._teach(run, given)
    self._take(run, given, given)

  def _teach(self, run: _Run, labels: np.ndarray) -> None:
    """Has the network learn from the coming frame, if it is to learn at all.

    Args:
      run: the video.
      labels: what is where in it, uint8 [H, W].
    """
    tracker = run.tracker
    if not tracker.learns:
      return
    before = tracker.seconds_learning
    tracker.adapt(run.coming.image, labels)
    self.timing.learning += tracker.seconds_learning - before

  def step(self) -> None:
    """Segments the coming frame of all that are running."""
    kinds: dict[Hashable, list[_Run]] = {}
    for run in self.running:
      kinds.setdefault(run.kind, []).append(run)
    for kind, runs in kinds.items():
      self._step(kind, runs)

  def _step(self, kind: Hashable, runs: list[_Run]) -> None:
    slots = _slots(len(runs), self._most)
    first = (kind, slots) not in self._seen or any(run.fresh for run in runs)
    self._seen.add((kind, slots))
    trackers = [run.tracker for run in runs]
    learnt = -sum(tracker.seconds_learning for tracker in trackers)
    started = time.perf_counter()
    try:
      found = tracker_lib.step_together(
        trackers, [run.coming.image for run in runs], slots
      )
    except errors.SavosError as error:
      where = ', '.join(run.place for run in runs)
      raise errors.SavosError(f'{where}: {error}') from None
    seconds = time.perf_counter() - started
    learnt += sum(tracker.seconds_learning for tracker in trackers)
    self.timing.learning += learnt
    seconds -= learnt
    if first:
      self.timing.first += seconds
    else:
      self.timing.steady += seconds
      self.timing.steady_frames += len(runs)
    for run, labels in zip(runs, found, strict=True):
      run.fresh = False
      given = None
      marks, shown = run.job.marks, run.coming
      if shown.index in marks.objects:
        given = marks_lib.give(run.tracker, marks, shown.index, shown.image)
        ids = marks.objects[shown.index]
        self._teach(run, marks_lib.over(labels, given, ids))
      self._take(run, labels, given)

  def _take(
    self, run: _Run, labels: np.ndarray, given: np.ndarray | None = None
  ) -> None:
    """Hands a frame to the sinks, and takes the next.

    Args:
      run: the video.
      labels: as found forwards, uint8 [H, W].
      given: the mark's, where the frame has one.
    """
    job, tracker, shown = run.job, run.tracker, run.coming
    found = _found(run, labels)
    labels = self._refined(run, found)
    if given is not None:
      ids = job.marks.objects[shown.index]
      labels = marks_lib.over(labels, given, ids)
    segmented = sinks_lib.Segmented(
      shown, labels, found.probabilities, found.confidence
    )
    for sink in run.sinks:
      self._writer.submit(sink.write, segmented)
    before, run.index = run.index, shown.index + 1
    skipped = range(before, run.index - 1)
    run.lost += skipped
    run.sure += [*[{}] * len(skipped), found.confidence]
    if job.progress:
      names = tuple(sink.name for sink in job.all_sinks)
      state = tracker.state() if tracker.object_ids else ()
      run.done = progress_lib.Done(
        run.index, names, state, lost=tuple(run.lost), sure=run.sure
      )
      if run.index // _SAVE_EVERY > before // _SAVE_EVERY:
        self._writer.flush()
        job.progress.save(run.done)
    self._advance(job, run.index - before)
    self._next(run)
    if run.shown and _is_lost(run):
      logger.warning(
        '%s: no object was seen in %d frames up to %s: it ends there',
        job.video.path, job.stop_when_lost, job.video.names(run.index - 1),
      )  # fmt: skip
      run.shown = None
    self._finish_if_ended(run)

  def _refined(self, run: _Run, found: both_ways.Found) -> np.ndarray:
    """Returns the labels of the coming frame, refined if that is asked for."""
    if not _to_refine(run, found):
      return found.labels
    started = time.perf_counter()
    labels = run.tracker.refine(
      run.coming.image, found.probabilities, list(found.confidence)
    )
    self.timing.refining += time.perf_counter() - started
    return labels

  def _finish_if_ended(self, run: _Run) -> None:
    if run.shown:
      return
    for sink in run.sinks:
      self._writer.submit(sink.finish)
    if run.job.progress:
      self._writer.flush()
      names = (*run.whole, *(sink.name for sink in run.sinks))
      done = progress_lib.Done(
        run.index, names, (), True, tuple(run.lost), run.note, run.sure
      )
      run.job.progress.save(done)
    if run.note and not run.whole:
      self.incomplete.append(errors.Incomplete(run.note))
    run.frames.close()
    self.running.remove(run)
    self._idle.append(run.tracker)

  def save(self) -> None:
    """Keeps how far the videos are that did not come to their end."""
    # A mask that could not be written must not count as done.
    for run in self.running:
      progress = run.job.progress
      if progress and run.done and not self._writer.failed:
        progress.save(run.done)


def _before(job: Job) -> progress_lib.Done:
  """Returns what an earlier run has done, if its masks are all there."""
  before = job.progress.read() if job.progress else progress_lib.Done()
  frames = set(range(before.frames)) - set(before.lost)
  gone = [i for i in sorted(frames) if not job.masks.path(i).is_file()]
  if gone:
    logger.warning(
      '%s: no such file, one of %d masks that an earlier run had written; the '
      'video is segmented again from its first frame',
      job.masks.path(gone[0]), len(gone),
    )  # fmt: skip
    return progress_lib.Done()
  return before


def _found(run: _Run, labels: np.ndarray) -> both_ways.Found:
  """Returns what is known of the coming frame.

  Args:
    run: the video.
    labels: as found forwards, uint8 [H, W].
  """
  tracker, aside, index = run.tracker, run.aside, run.coming.index
  backwards = aside and aside.found(index)
  values = tracker.confidences.tolist() if tracker.object_ids else ()
  sure = dict(zip(tracker.object_ids, values, strict=True))
  if backwards and not sure:
    return backwards
  soft = backwards or tracker.refines or any(sink.soft for sink in run.sinks)
  probabilities = tracker.probabilities if sure and soft else None
  forwards = both_ways.Found(labels, sure, probabilities)
  if not backwards:
    return forwards
  return run.join(index, forwards, backwards)


def _to_refine(run: _Run, found: both_ways.Found) -> bool:
  """Whether labels of the coming frame were found, and are to be written."""
  index, masks = run.coming.index, run.job.masks
  marked = run.job.marks.objects.get(index, ())
  joined = isinstance(masks, both_ways.Aside) and masks.joins(index)
  return (
    run.tracker.refines and not joined and not {*found.confidence} <= {*marked}
  )


def _check_marks(run: _Run) -> None:
  """Raises SavosError where a frame with a mark could not be decoded."""
  video = run.job.video
  for index in sorted(run.job.marks.objects):
    if run.index <= index < run.coming.index:
      raise errors.SavosError(
        f'{video.path}: frame {video.number(index)} has a mask and cannot be '
        'decoded.\n'
        '  Expected a mask of a decodable frame: draw it on one nearby.'
      )


def _is_lost(run: _Run) -> bool:
  """Whether no object was seen for as long as the job waits."""
  wait, last = run.job.stop_when_lost, run.job.marks.last
  recent = [sure for sure in run.sure[last + 1 :][-wait:] if sure]
  seen = any(value > 0 for sure in recent for value in sure.values())
  return 0 < wait <= len(recent) and not seen


def _restore(run: _Run, before: progress_lib.Done) -> None:
  """Brings a tracker to where it was after the frames that are done."""
  run.tracker.reset()
  marks = run.job.marks
  for index in sorted(marks.objects):
    if run.job.begins <= index < before.frames:
      frame = run.job.video.frame(index)
      marks_lib.give(run.tracker, marks, index, frame)
  if before.state:
    run.tracker.restore(before.state)


def segment(
  trackers: Sequence[tracker_lib.Tracker],
  jobs: Sequence[Job],
  advance: Callable[[Job, int], object] = lambda job, frames: None,
) -> Timing:
  """Segments videos.

  As many videos as there are trackers run side by side if they are of one kind
  (`Tracker.kind_of`). When one ends, the next of its kind takes its place, to
  reuse compiled functions; other kinds wait until none is left. With one
  tracker the order is that of the list. Backward passes come first, for all
  videos.

  Args:
    trackers: at least one, all with the same network and config; videos in
      progress are dropped.
    jobs: the videos.
    advance: called with a job and the number of frames done since the last
      call: those of an earlier run at the start, then one after each frame.
      Frames of backward passes count as well, under another job.

  Returns:
    The timing.

  Raises:
    Incomplete: everything is done, but frames of a damaged file are missing.
    SavosError: a frame is damaged or of another size, the disk is full, or a
      job was begun with other settings. Results of earlier frames are kept, as
      after Ctrl-C.
  """
  began = time.perf_counter()
  timing = Timing()
  turned = [
    turned
    for job in jobs
    if (turned := job.turned()) and not _before(job).whole
  ]
  if turned:
    # Frames that are missing are told by the way forwards.
    _pass(trackers, turned, advance, timing)
  incomplete = _pass(trackers, jobs, advance, timing)
  for job in jobs:
    if job.aside:
      job.aside.remove()
  timing.total = time.perf_counter() - began
  if incomplete:
    raise errors.Incomplete('\n'.join(map(str, incomplete)))
  return timing


def _pass(trackers, jobs, advance, timing: Timing) -> list[errors.Incomplete]:
  """Segments videos one way, adds to the timing, returns what is missing."""
  waiting = list(jobs)
  with contextlib.ExitStack() as opened, overlapped.write_behind() as writer:
    engine = _Engine(trackers, advance, writer, opened, timing)
    opened.callback(engine.save)  # Whatever happens; after the last write.
    while waiting or engine.running:
      job = engine.choose(waiting)
      if job is None:
        engine.step()
      else:
        waiting.remove(job)
        engine.start(job)
  return engine.incomplete
