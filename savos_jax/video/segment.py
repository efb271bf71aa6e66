"""Segments annotated sequences, several side by side, into folders of masks.

Frames are decoded ahead and masks written behind in other threads.
"""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
import shutil
import time

import numpy as np

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import overlapped


@dataclasses.dataclass
class Timing:
  """Where the time went, seconds.

  Attributes:
    first: in the network for the references and in those calls, compilation
      included, in which a video has its first frame segmented, or that are
      made for a kind and number of videos that did not occur before.
    steady: in all other calls of the network, with transfers.
    steady_frames: how many frames these segmented.
    total: from the first frame's decoding to the last mask on disk.
  """

  first: float = 0.0
  steady: float = 0.0
  steady_frames: int = 0
  total: float = 0.0

  @property
  def seconds_a_frame(self) -> float:
    """Of the network, in the steady state; 0 where all frames were first."""
    return self.steady / max(1, self.steady_frames)

  @property
  def network_share(self) -> float:
    """Of the total: what is left are frames and masks that it waited for."""
    return (self.first + self.steady) / self.total


@dataclasses.dataclass(eq=False)
class _Run:
  """A sequence in progress; `done` frames have masks."""

  tracker: tracker_lib.Tracker
  video: sequences.Sequence
  kind: Hashable
  frames: Iterator[np.ndarray]
  done: int = 0


def _slots(running: int, most: int) -> int:
  """Returns how many videos a call is compiled for, at least `running`.

  When a kind of video runs out, there are fewer and fewer. To compile each
  number takes longer than many frames; to go on with the largest wastes nearly
  all of it on the last video. With `most` and powers of two at most half is
  wasted, on few videos.
  """
  return min(most, 1 << (running - 1).bit_length())


class _Segmenter:
  """Holds what is common to the sequences of one `segment_sequences`."""

  def __init__(self, trackers, folder, on_frame, stack):
    self._idle = list(trackers)
    self._most = len(self._idle)
    self._kind_of = self._idle[0].kind_of
    self._folder = folder
    self._on_frame = on_frame
    self._stack = stack
    self._writer = stack.enter_context(overlapped.write_behind())
    self._seen: set[Hashable] = set()
    self.running: list[_Run] = []
    self.timing = Timing()

  def choose(
    self, waiting: list[sequences.Sequence]
  ) -> sequences.Sequence | None:
    """Returns the next to start: of the kind that is running, if any is."""
    if not self._idle:
      return None
    fitting = (
      video
      for video in waiting
      if not self.running or self._kind(video) == self.running[0].kind
    )
    return next(fitting, None)

  def start(self, video: sequences.Sequence) -> None:
    """Starts a sequence in a slot that is free."""
    folder = self._folder / video.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frames = overlapped.read_ahead(map(video.frame, range(len(video))))
    self._stack.callback(frames.close)
    run = _Run(self._idle.pop(), video, self._kind(video), frames)
    labels, frame = video.labels(0), next(frames)
    started = time.perf_counter()
    run.tracker.start(frame, labels, video.object_ids)
    self.timing.first += time.perf_counter() - started
    self.running.append(run)
    self._finish_frame(run, labels)

  def step(self) -> None:
    """Segments the next frame of all that are running."""
    runs = list(self.running)
    frames = [next(run.frames) for run in runs]
    slots = _slots(len(runs), self._most)
    call = runs[0].kind, slots
    first = call not in self._seen or any(run.done == 1 for run in runs)
    self._seen.add(call)
    started = time.perf_counter()
    found = tracker_lib.step_together(
      [run.tracker for run in runs], frames, slots
    )
    seconds = time.perf_counter() - started
    if first:
      self.timing.first += seconds
    else:
      self.timing.steady += seconds
      self.timing.steady_frames += len(runs)
    for run, labels in zip(runs, found, strict=True):
      self._finish_frame(run, labels)

  def _kind(self, video) -> Hashable:
    return self._kind_of(video.height, video.width, len(video.object_ids))

  def _finish_frame(self, run: _Run, labels: np.ndarray) -> None:
    name = f'{run.video.frames[run.done].stem}.png'
    path = self._folder / run.video.name / name
    self._writer.submit(masks.write_mask, path, labels)
    run.done += 1
    self._on_frame(run.video)
    if run.done == len(run.video):
      run.frames.close()
      self.running.remove(run)
      self._idle.append(run.tracker)


def segment_sequences(
  trackers: Sequence[tracker_lib.Tracker],
  videos: Sequence[sequences.Sequence],
  folder: pathlib.Path,
  on_frame: Callable[[sequences.Sequence], object] = lambda video: None,
) -> Timing:
  """Segments sequences, each from the mask of its first frame.

  As many as there are trackers go on side by side, if they are of one kind
  (`Tracker.kind_of`). When one ends, the next of its kind takes its place, so
  that what is compiled is used again; other kinds wait until none is left.
  With one tracker the order is that of the list.

  Args:
    trackers: at least one, all of one network and config; videos in progress
      are dropped.
    videos: frames, and the first mask; no other mask is read.
    folder: gets a folder a sequence, of one indexed PNG a frame, named as the
      frame. What a sequence's folder held before is removed when it begins, so
      that no older result is taken for a new one.
    on_frame: called after each frame with its sequence.

  Returns:
    Where the time went.

  Raises:
    SavosError: a frame is damaged or of another size, or the disk is full. The
      masks of the frames before it are written.
  """
  began = time.perf_counter()
  waiting = list(videos)
  with contextlib.ExitStack() as stack:
    segmenter = _Segmenter(trackers, folder, on_frame, stack)
    while waiting or segmenter.running:
      video = segmenter.choose(waiting)
      if video is None:
        segmenter.step()
      else:
        waiting.remove(video)
        segmenter.start(video)
  segmenter.timing.total = time.perf_counter() - began
  return segmenter.timing
