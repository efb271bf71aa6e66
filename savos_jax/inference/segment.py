"""Segments annotated sequences and writes their masks as they are made."""

from collections.abc import Callable
import dataclasses
import pathlib
import shutil
import time

from savos_jax.data import masks
from savos_jax.data import sequences
from savos_jax.inference import tracker as tracker_lib


@dataclasses.dataclass(frozen=True)
class Timing:
  """Where the time of a sequence went, seconds.

  Attributes:
    first_step: the reference and the first target frame, with compilation
      where the size or the number of objects is new.
    steady_step: the sum over the other frames, network and transfers.
    steady_frames: how many these were.
  """

  first_step: float
  steady_step: float
  steady_frames: int


def segment_sequence(
  tracker: tracker_lib.Tracker,
  sequence: sequences.Sequence,
  folder: pathlib.Path,
  on_frame: Callable[[], object] = lambda: None,
) -> Timing:
  """Segments a sequence from the mask of its first frame.

  Args:
    tracker: segments; a video in progress is dropped.
    sequence: frames, and the first mask; no other mask is read.
    folder: gets one indexed PNG a frame, named as the frame. What it held
      before is removed, so that no older result is taken for a new one.
    on_frame: called after each frame.

  Returns:
    The times of the network.

  Raises:
    SavosError: a frame is damaged or of another size, or the disk is full.
  """
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  first_labels = sequence.labels(0)
  seconds = []
  for index, path in enumerate(sequence.frames):
    frame = sequence.frame(index)
    started = time.perf_counter()
    if index == 0:
      tracker.start(frame, first_labels, sequence.object_ids)
      labels = first_labels
    else:
      labels = tracker.step(frame)
    seconds.append(time.perf_counter() - started)
    masks.write_mask(folder / f'{path.stem}.png', labels)
    on_frame()
  return Timing(sum(seconds[:2]), sum(seconds[2:]), max(0, len(seconds) - 2))
