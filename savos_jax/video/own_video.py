"""Segments a video into a folder, in a way that an interruption can't harm.

The folder gets `masks/`, an indexed PNG a frame, and `progress.npz`: how many
frames are done, and until all are, what the next one needs to know. From there
a later call goes on, and its masks are those of a run that was never
interrupted.
"""

from collections.abc import Callable
import contextlib
import dataclasses
import json
import logging
import pathlib
import time
from typing import Any
import zipfile

import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import overlapped
from savos_jax.video import sources

logger = logging.getLogger(__name__)

_SAVE_EVERY = 50  # Frames; what a kill -9 loses at most.


@dataclasses.dataclass
class Timing:
  """Where the time went, seconds.

  Attributes:
    first: the reference and the first frame after it, with compilation.
    network: all frames after these.
    frames: how many these were.
    total: from the first frame's decoding to the last mask on disk.
  """

  first: float = 0.0
  network: float = 0.0
  frames: int = 0
  total: float = 0.0


def mask_path(
  folder: pathlib.Path, video: sources.Video, index: int
) -> pathlib.Path:
  """Returns where the mask of a frame is."""
  return folder / 'masks' / f'{video.names(index)}.png'


def _progress_path(folder: pathlib.Path) -> pathlib.Path:
  return folder / 'progress.npz'


def _save_progress(folder, setting, done, state) -> None:
  arrays = {f'state_{i}': np.asarray(x) for i, x in enumerate(state)}
  with files.replacing(_progress_path(folder)) as partial:
    np.savez(
      partial,
      setting=json.dumps(setting),
      done=done,
      **arrays,
    )


def _read_progress(folder, setting) -> tuple[int, list[np.ndarray]]:
  """Returns how many frames are done, and the tracker's state after the last.

  Raises:
    SavosError: they were made in another way, or the file is damaged.
  """
  path = _progress_path(folder)
  if not path.is_file():
    return 0, []
  try:
    with path.open('rb') as file, np.load(file) as stored:
      found = json.loads(str(stored['setting']))
      done, count = int(stored['done']), len(stored.files) - 2
      state = [stored[f'state_{i}'] for i in range(count)]
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
    raise errors.SavosError(
      f'{path}: damaged.\n  Remove {folder} and segment the video again.'
    ) from None
  different = [
    f'{name}: {found.get(name)!r} (now {value!r})'
    for name, value in setting.items()
    if found.get(name) != value
  ]
  if different:
    raise errors.SavosError(
      f'{folder}: was begun in another way:\n    '
      + '\n    '.join(different)
      + '\n  Go on as it was begun, or segment into another folder.'
    )
  return done, state


def segment_video(
  tracker: tracker_lib.Tracker,
  video: sources.Video,
  labels: np.ndarray,
  folder: pathlib.Path,
  setting: dict[str, Any],
  on_start: Callable[[int], object] = lambda done: None,
  on_frame: Callable[[], object] = lambda: None,
) -> Timing:
  """Segments a video, or goes on segmenting it.

  Frames are decoded ahead and masks written behind in other threads.

  Args:
    tracker: segments; a video in progress is dropped.
    video: the frames.
    labels: the mask of the first one, uint8 [H, W].
    folder: gets `masks/`; goes on from the `progress.npz` that is there.
    setting: what JSON can hold; a run goes on only where it is the same.
    on_start: is told how many frames are done already.
    on_frame: called after each frame.

  Returns:
    Where the time went.

  Raises:
    SavosError: a frame is damaged, the disk is full, or the folder holds
      something else. What was done is kept, as after Ctrl-C.
  """
  done, before = _read_progress(folder, setting)
  on_start(done)
  timing = Timing()
  began = time.perf_counter()
  ids = [int(i) for i in np.unique(labels) if i]
  tracker.start(video.first(), labels, ids)
  if done and before:
    tracker.restore(before)
  elif not done:
    masks.write_mask(mask_path(folder, video, 0), labels)
    done = 1
    on_frame()
  # One name for both: an interruption never sees one of them alone.
  state = done, tracker.state()

  with contextlib.ExitStack() as stack:

    def save():
      # A mask that could not be written must not count as done.
      if writer is None or not writer.failed:
        _save_progress(folder, setting, *state)

    # In whatever way this ends; the masks are on disk by then.
    stack.callback(save)
    writer = stack.enter_context(overlapped.write_behind())
    frames = stack.enter_context(
      contextlib.closing(overlapped.read_ahead(video.frames(done)))
    )
    for frame in frames:
      started = time.perf_counter()
      found = tracker.step(frame)
      seconds = time.perf_counter() - started
      if timing.first:
        timing.network += seconds
        timing.frames += 1
      else:
        timing.first = time.perf_counter() - began
      done = state[0]
      writer.submit(masks.write_mask, mask_path(folder, video, done), found)
      state = done + 1, tracker.state()
      on_frame()
      if state[0] % _SAVE_EVERY == 0:
        writer.flush()
        save()
  # All is done: the masks need no more than this word.
  _save_progress(folder, setting, state[0], [])
  timing.total = time.perf_counter() - began
  return timing
