"""Segments the sequences of a split: here, or side by side in processes."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import time
from typing import Any

import jax
from ml_collections import config_dict
import tqdm

from savos_jax import settings
from savos_jax.datasets import sequences
from savos_jax.evaluation import results_folder
from savos_jax.foundation import allocation
from savos_jax.foundation import compilation_cache
from savos_jax.foundation import cores
from savos_jax.foundation import distributed
from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.foundation import memory
from savos_jax.foundation import workers
from savos_jax.inference import geometry
from savos_jax.inference import runtime
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_jax
from savos_jax.pictures import overlay
from savos_jax.training import online as learning
from savos_jax.video import engine
from savos_jax.video import jobs as jobs_lib
from savos_jax.video import sinks

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Network:
  """A network that is evaluated.

  Attributes:
    model: what `tracker.Tracker` takes.
    params: what it takes besides.
    checksum: of the parameters.
    step: of the training.
    averaged: whether the parameters are the averaged ones.
  """

  model: Any
  params: Any
  checksum: str
  step: int
  averaged: bool


@dataclasses.dataclass(frozen=True)
class Work:
  """What is done with every sequence; pickled for processes.

  Attributes:
    config: the configuration.
    network: the network.
    results: the folder that receives `masks` and `videos`.
    inputs: files and folders being read, which are never replaced.
  """

  config: config_dict.ConfigDict
  network: Network
  results: pathlib.Path
  inputs: tuple[str | os.PathLike, ...]

  def check(self) -> None:
    """Raises SavosError if the network cannot do what is asked."""
    self.trackers(1)

  def trackers(self, count: int) -> list[tracker_lib.Tracker]:
    """Returns trackers that can step together."""
    inference = settings.inference_config(self.config)
    how, model = settings.online_config(self.config), self.network.model
    learner = None
    if how.steps:
      learner = learning.Learner(model, how, self.config.seed)
    return [
      tracker_lib.Tracker(
        model, self.network.params, inference, learner=learner
      )
      for _ in range(count)
    ]

  def job(self, video: sequences.Sequence) -> engine.Job:
    """Returns the job of a sequence."""
    films: tuple[sinks.Sink, ...] = ()
    if self.config.eval.video:
      path = self.results / 'videos' / f'{video.name}.mp4'
      films = (sinks.Film(path, self.config.eval.video_fps, overlay.draw),)
    return engine.of_sequence(video, self.results / 'masks', films)


def count_jobs(work: Work, videos: Sequence[sequences.Sequence]) -> int:
  """Returns how many processes are to segment videos: config.eval.jobs.

  0 stands for as many as there are cores, videos, and memory for; for one on an
  accelerator, whose memory they would have to share.
  """
  asked = work.config.eval.jobs
  if asked:
    return min(asked, len(videos))
  model = work.network.model
  by_jax = not isinstance(model, runtime.Runtime) or model.compiles
  if by_jax and jax.default_backend() != 'cpu':
    return 1
  inference = settings.inference_config(work.config)
  most = 0
  for video in videos:
    seen = geometry.of((video.height, video.width), inference)
    count = len(video.object_ids)
    most = max(most, seen.pixels * min(count, inference.chunk or count))
  learns = bool(settings.online_config(work.config).steps)
  return jobs_lib.fitting(len(videos), jobs_lib.estimated_gib(most, learns))


def segment(work: Work, videos: list[sequences.Sequence]) -> None:
  """Segments every video, and logs and saves the speed.

  Raises:
    SavosError: as `engine.segment`; or a process was lost.
  """
  jobs = count_jobs(work, videos)
  total, began = sum(map(len, videos)), time.perf_counter()
  with tqdm.tqdm(
    total=total, unit='frame', desc='segmenting', disable=None
  ) as bar:

    def advance(name: str, frames: int) -> None:
      bar.set_postfix_str(name, refresh=False)
      bar.update(frames)

    side_by_side = _in_processes if jobs > 1 else _here
    timing, peak = side_by_side(work, videos, jobs, advance)
  seconds = time.perf_counter() - began
  logger.info(
    'segmented %d frames of %d sequences in %.1f s, %.0f %% of it in the '
    'network: %.3f s per frame, first frames and compilation %.1f s; peak '
    'memory %.2f GiB%s',
    total, len(videos), seconds, 100 * timing.network_share,
    timing.seconds_a_frame, timing.first, peak,
    f'; {jobs} processes' * (jobs > 1),
  )  # fmt: skip
  speed = {
    'sequences': len(videos),
    'frames': total,
    'jobs': jobs,
    'total_seconds': seconds,
    'network_share': timing.network_share,
    'seconds_a_frame': timing.seconds_a_frame,
    'first_seconds': timing.first,
    'refining_seconds': timing.refining,
    'learning_seconds': timing.learning,
    'peak_gib': peak,
  }
  if distributed.is_first():
    results_folder.write_speed(work.results, speed)


def _here(
  work: Work, videos, jobs: int, advance: Callable[[str, int], None]
) -> tuple[engine.Timing, float]:
  """Segments videos; returns the timing, and the peak memory, GiB."""
  trackers = work.trackers(min(work.config.eval.videos, len(videos)))
  todo = list(map(work.job, videos))
  if len(trackers) == 1:  # Several step together, by another function.
    first, marks = todo[0].video, todo[0].marks
    objects = len(marks.objects[marks.first])
    trackers[0].compile_ahead(first.height, first.width, objects)
  timing = engine.segment(
    trackers,
    todo,
    lambda job, frames: advance(job.video.name, frames),
  )
  return timing, memory.peak_gib()


def _begin(work: Work) -> workers.Handle:
  """Prepares a process; returns what segments a sequence in it."""
  allocation.keep()
  compilation_cache.enable()
  manifests.join(work.results, work.inputs)
  params = with_jax.placed_params(work.network.params)
  network = dataclasses.replace(work.network, params=params)
  work = dataclasses.replace(work, network=network)
  return functools.partial(_segment, work, work.trackers(1))


def _segment(
  work: Work, trackers, video: sequences.Sequence, report: workers.Report
) -> engine.Timing:
  return engine.segment(
    trackers, [work.job(video)], lambda _, frames: report(frames)
  )


def _in_processes(
  work: Work, videos, jobs: int, advance: Callable[[str, int], None]
) -> tuple[engine.Timing, float]:
  """As `_here`, in processes; each task is a video, the longest first."""
  tasks = sorted(videos, key=len, reverse=True)
  network = dataclasses.replace(
    work.network, params=jax.device_get(work.network.params)
  )
  events = workers.run(
    _begin,
    dataclasses.replace(work, network=network),
    tasks,
    cores.shares(cores.usable(), jobs),
  )
  timings, peak = [], memory.peak_gib()
  with contextlib.closing(events):
    for event in events:
      match event:
        case workers.Told(index, frames):
          advance(tasks[index].name, frames)
        case workers.Ended(_, timing):
          timings.append(timing)
          peak = max(peak, memory.peak_with_workers_gib() or 0.0)
        case workers.Lost(index, why):
          raise errors.SavosError(
            f'{tasks[index].name}: {why}.\n'
            '  Expected memory for it: a lower config.eval.jobs, or less at '
            'once: config.eval.short_side or chunk.'
          )
  return _sum(timings), peak


def _sum(timings: Iterable[engine.Timing]) -> engine.Timing:
  columns = zip(*map(dataclasses.astuple, timings), strict=True)
  return engine.Timing(*map(sum, columns))
