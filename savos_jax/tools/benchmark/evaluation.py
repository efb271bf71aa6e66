"""Times scoring, and each of its steps."""

import argparse
import pathlib
import statistics
import tempfile
import time

import cv2
import numpy as np

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.evaluation import annotations
from savos_jax.evaluation import measures
from savos_jax.evaluation import predictions
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from savos_jax.foundation import threads
from savos_jax.tools.benchmark import output

_STEPS = ('reading', 'j', 'f')


def _discs(size, objects: int, time_share: float, rng, shift: int):
  """Draws labels: one disc an object, with dots cut out of its rim."""
  height, width = size
  labels = np.zeros(size, np.uint8)
  for object_id in range(1, objects + 1):
    x = int(width * (object_id - 0.5 + 0.3 * time_share) / objects) + shift
    y = int(height * (0.35 + 0.3 * time_share)) + shift
    radius = max(2, min(height // 4, width // (3 * objects)))
    cv2.circle(labels, (x, y), radius, object_id, -1)
    for angle in rng.uniform(0, 2 * np.pi, 20):
      dot = (
        int(x + radius * np.cos(angle)),
        int(y + radius * np.sin(angle)),
      )
      cv2.circle(labels, dot, max(1, radius // 12), 0, -1)
  return labels


def write_masks(
  folder: pathlib.Path,
  size: tuple[int, int],
  objects: int,
  frames: int,
  seed: int = 0,
) -> list[sequences.Sequence]:
  """Writes made-up annotations and results of one video.

  Args:
    folder: gets `annotations/discs` and `results/discs`.
    size: (height, width), pixels.
    objects: in the video.
    frames: scored; the video has one more at either end.
    seed: of the roughness.

  Returns:
    The record of the video, without frames, for the rules of DAVIS 2017.
  """
  rng = np.random.default_rng(seed)
  for index in range(frames + 2):
    for kind, shift in (('annotations', 0), ('results', 3)):
      labels = _discs(size, objects, index / (frames + 1), rng, shift)
      masks.write_mask(folder / kind / 'discs' / f'{index:05}.png', labels)
  return davis.load_annotations(folder / 'annotations', ['discs'], False)


def steps(
  videos: list[sequences.Sequence], results: pathlib.Path
) -> dict[str, float]:
  """Times reading, J and F in this thread.

  Args:
    videos: what is scored.
    results: folder of mask files.

  Returns:
    Seconds of each step, of all scored frames and objects together.
  """
  seconds = dict.fromkeys(_STEPS, 0.0)
  for video in videos:
    files = predictions.open_files(results, video)
    for index in protocol.scored_frames(video):
      started = time.perf_counter()
      found = predictions.by_object(video, files, index)
      truths = video.truth(index).objects
      read = time.perf_counter()
      for object_id, truth, void in truths:
        measures.region_similarity(found[object_id], truth, void)
      compared = time.perf_counter()
      for object_id, truth, void in truths:
        measures.boundary_accuracy(found[object_id], truth, void)
      finished = time.perf_counter()
      marks = (started, read, compared, finished)
      for name, begin, end in zip(_STEPS, marks, marks[1:], strict=False):
        seconds[name] += end - begin
  return seconds


def measure(
  videos: list[sequences.Sequence],
  results: pathlib.Path,
  repeats: int,
  workers: int | None,
) -> dict[str, float]:
  """Times the scoring of a results folder.

  Args:
    videos: what is scored.
    results: folder of mask files.
    repeats: of everything, after one that warms up.
    workers: threads of the whole; None for one a core.

  Returns:
    How many frames and objects are scored; median, fastest and slowest frames
    a second of all together, median frames a second of each step alone.

  Raises:
    SavosError: masks are missing or unreadable.
  """
  frames = sum(len(protocol.scored_frames(video)) for video in videos)
  whole: list[float] = []
  alone: dict[str, list[float]] = {name: [] for name in _STEPS}
  for _ in range(1 + repeats):
    started = time.perf_counter()
    protocol.score_results(results, videos, progress=False, workers=workers)
    whole.append(frames / (time.perf_counter() - started))
    with threads.one_opencv_thread():
      for name, seconds in steps(videos, results).items():
        alone[name].append(frames / seconds)
  whole = whole[1:]
  row = {
    'scored_frames': frames,
    'scored_objects': sum(len(video.scored_ids) for video in videos),
    'median_frames_per_s': statistics.median(whole),
    'fastest_frames_per_s': max(whole),
    'slowest_frames_per_s': min(whole),
  }
  return row | {
    f'{name}_alone_frames_per_s': statistics.median(rates[1:])
    for name, rates in alone.items()
  }


def run(arguments: argparse.Namespace) -> None:
  """Measures and prints.

  Raises:
    SavosError: one of --results and --annotations alone; masks are missing or
      unreadable; the JSON can't be written.
  """
  results, root = arguments.results, arguments.annotations
  if bool(results) != bool(root):
    given, lacking = ('results', 'annotations')[:: 1 if results else -1]
    raise errors.SavosError(
      f'--{given} without --{lacking}.\n'
      '  Expected both, or neither: then masks are made up.'
    )
  with tempfile.TemporaryDirectory() as name:
    if results:
      opened = annotations.open_annotations(root, arguments.protocol)
      videos = opened.videos
    else:
      size = arguments.size.height, arguments.size.width
      folder = pathlib.Path(name)
      videos = write_masks(folder, size, arguments.objects, arguments.frames)
      results = folder / 'results'
    out = output.Output(arguments)
    out.add(measure(videos, results, arguments.repeats, arguments.workers))
