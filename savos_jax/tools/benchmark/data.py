"""Times dreams, their steps, and the loaders."""

import argparse
import collections
from collections.abc import Iterator
import pathlib
import statistics
import tempfile
import time

import cv2
import numpy as np

from savos_jax.data import backgrounds
from savos_jax.data import examples
from savos_jax.data import lucid
from savos_jax.data import pipeline
from savos_jax.data import sampling
from savos_jax.datasets import davis
from savos_jax.foundation import threads
from savos_jax.synthetic import embedded_clips
from savos_jax.tools.benchmark import loaders
from savos_jax.tools.benchmark import output

_SIZES = ((256, 512), (480, 854))
_CROP_SIZE = (256, 448)
_BATCH_SIZE = 4
_KINDS = {examples.Clip: 'clip', examples.DreamSource: 'dream'}


class _Clock:
  """Sums up this thread's seconds by name, those of other programs left out."""

  def __init__(self):
    self.seconds = collections.defaultdict(float)

  def __call__(self, name, function, *arguments, **named):
    started = time.thread_time()
    result = function(*arguments, **named)
    self.seconds[name] += time.thread_time() - started
    return result


def _scenes(videos, count, size, config):
  """Returns (frame, labels, background) of a size, from the videos' middles."""
  scenes = []
  for video in videos[:: max(1, len(videos) // count)][:count]:
    middle = len(video) // 2
    frame, labels = video.frame(middle), video.labels(middle)
    frame = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
    labels = cv2.resize(
      labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    moving = [int(i) for i in np.unique(labels[labels > 0])]
    background = lucid.inpaint(frame, labels, moving, config)
    scenes.append((frame, labels, moving, background))
  return scenes


def _dream_in_steps(scene, config, rng, clock) -> None:
  """Takes the steps of `lucid.dream` one by one, each timed."""
  frame, labels, moving, background = scene
  size = labels.shape
  background, staying, cutouts = clock(
    'split', lucid.split, frame, labels, moving, config, rng, background
  )
  light = lucid.change_illumination
  background = clock('illumination', light, background, config, rng)
  seen = clock(
    'camera', lucid.move_camera, background, staying, size, 1.0, config, rng
  )
  tracks = [
    clock('object motion', lucid.move_object, c, size, 1.0, config, rng)
    for c in cutouts
  ]
  for t, (picture, ids) in enumerate(seen):
    layers = [track[t] for track in tracks]
    picture, ids = clock('merge', lucid.merge, picture, ids, layers, config)
    clock('illumination', light, picture, config, rng)
  clock('previous mask', lucid.previous_labels, ids, config, rng)


def dreams(videos, count: int, repeats: int) -> Iterator[dict]:
  """Times dreams with cached backgrounds, and every step, on one core.

  Args:
    videos: records; the middle frames of `count` of them are used.
    count: frames.
    repeats: dreams of each.

  Yields:
    A row for each size and way of merging: dreams a second, milliseconds a
    dream for each step, and for the inpainting that is cached.
  """
  for size in _SIZES:
    for merge in lucid.MERGES:
      config = lucid.LucidConfig(merge=merge)
      scenes = _scenes(videos, count, size, config)
      clock, rng = _Clock(), np.random.default_rng(0)
      for scene in scenes:
        frame, labels, moving, background = scene
        clock('inpaint', lucid.inpaint, frame, labels, moving, config)
        for repeat in range(1 + repeats):
          if repeat:  # The first one warms up.
            _dream_in_steps(scene, config, rng, clock)
            clock(
              'dream', lucid.dream, frame, labels, rng, config, moving=moving,
              background=background,
            )  # fmt: skip
          else:
            _dream_in_steps(scene, config, rng, _Clock())
      number = len(scenes) * repeats
      row = {
        'size': f'{size[0]}x{size[1]}',
        'merge': merge,
        'dreams_per_second_and_core': number / clock.seconds.pop('dream'),
        'inpaint_ms': 1e3 * clock.seconds.pop('inpaint') / len(scenes),
      }
      row |= {
        f'{name.replace(" ", "_")}_ms': 1e3 * seconds / number
        for name, seconds in clock.seconds.items()
      }
      yield row


def make_sampler(videos, cache: pathlib.Path, count: int) -> sampling.Sampler:
  """Returns a sampler of clips and dreams whose backgrounds are made.

  Args:
    videos: records.
    cache: folder for the inpainted backgrounds.
    count: examples for which they are made.
  """
  lucid_config = lucid.LucidConfig(merge='feather')
  config = sampling.SamplingConfig(
    crop_size=_CROP_SIZE,
    dream_fraction=0.35,
    dream_only_steps=0,
    lucid=lucid_config,
  )
  sampler = sampling.Sampler(
    videos, config, 0, _BATCH_SIZE,
    backgrounds=backgrounds.BackgroundCache(cache, lucid_config),
  )  # fmt: skip
  for index in range(count):
    sampler.example(index)
  return sampler


def make_examples(sampler: sampling.Sampler, count: int) -> dict:
  """Times examples one by one on one core.

  Args:
    sampler: see `make_sampler`.
    count: timed.

  Returns:
    Milliseconds of an example by kind, and examples a second.
  """
  seconds = collections.defaultdict(list)
  for index in range(count):
    started = time.perf_counter()
    sampler.example(index)
    elapsed = time.perf_counter() - started
    kind = type(sampler.describe(index))
    seconds[_KINDS[kind]].append(elapsed)
  row = {
    f'{kind}_ms': 1e3 * statistics.mean(seconds[kind])
    if seconds[kind]
    else None
    for kind in _KINDS.values()
  }
  total = sum(map(sum, seconds.values()))
  return row | {'examples_per_second_one_core': count / total}


def load(
  sampler: sampling.Sampler, count: int, workers: int, alone: float
) -> Iterator[dict]:
  """Times each loader that is installed, in a process of its own.

  Args:
    sampler: see `make_sampler`.
    count: examples, a multiple of the batch size.
    workers: of each loader.
    alone: examples a second of one core without a loader.

  Yields:
    A row for each loader: see `loaders.measure`; its share of what `workers`
    times one core would give.
  """
  for loader in pipeline.installed_loaders():
    found = loaders.measure(
      loader, sampler.example, _CROP_SIZE, _BATCH_SIZE, count // _BATCH_SIZE,
      workers,
    )  # fmt: skip
    share = found['examples_per_second'] / (workers * alone)
    yield {
      'loader': loader, 'workers': workers, **found, 'share_of_workers': share,
    }  # fmt: skip


def _open(arguments, folder: pathlib.Path):
  if arguments.root:
    videos = davis.load(arguments.root, 'train', arguments.year, '480p')
    return [video.annotated_part() for video in videos]
  embedded_clips.generate(
    folder / 'embedded', seed=0, size=(480, 854), train_clips=12, val_clips=1,
    frames=6,
  )  # fmt: skip
  return davis.load(folder / 'embedded', 'train', '2017', '480p')


def run(arguments: argparse.Namespace) -> None:
  """Measures; prints each row when it is there.

  Raises:
    SavosError: data that are missing or malformed, or the JSON can't be
      written.
  """
  count = -(-arguments.examples // _BATCH_SIZE) * _BATCH_SIZE
  with tempfile.TemporaryDirectory() as name, threads.one_opencv_thread():
    folder = pathlib.Path(name)
    videos = _open(arguments, folder)
    out = output.Output(arguments)
    for row in dreams(videos, arguments.frames, arguments.repeats):
      out.add(row)
    # The loaders take some batches more than are timed.
    sampler = make_sampler(videos, folder / 'cache', 2 * count)
    alone = make_examples(sampler, count)
    out.add(alone)
    rate = alone['examples_per_second_one_core']
    for row in load(sampler, count, arguments.workers, rate):
      out.add(row)
