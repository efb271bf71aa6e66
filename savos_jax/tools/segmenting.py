"""A video into a folder, as the arguments of the program segment ask for."""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
import sys
from typing import Any

import tqdm

from savos_jax import online
from savos_jax.annotations import formats
from savos_jax.foundation import allocation
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import memory
from savos_jax.inference import lessons
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.tools import flags
from savos_jax.tools import marking
from savos_jax.tools import networks
from savos_jax.video import annotation_files
from savos_jax.video import annotation_sinks
from savos_jax.video import drawn_sinks
from savos_jax.video import engine
from savos_jax.video import excerpts
from savos_jax.video import marks
from savos_jax.video import mask_files
from savos_jax.video import progress
from savos_jax.video import sinks
from savos_jax.video import sources

# How many frames are passed, None if unknown -> a block in which so many more
# are told.
Bar = Callable[
  [int | None], contextlib.AbstractContextManager[Callable[[int], object]]
]

# What it writes into --out.
_WRITTEN = (
  'masks/*',
  'overlay.mp4',
  'cutout.mp4',
  'cutout.mov',
  'cutout.webm',
  'cutout/*',
  progress.FILE,
)
_BACKWARDS = '.backwards'  # In --out, until it is joined.
# As the network was evaluated in its training, where no flag says otherwise.
_AS_EVALUATED = (
  'zoom',
  'lost_confidence',
  'stray',
  'focus',
  'lost_every',
  'memory_frames',
  'memory_every',
  'memory_confidence',
)


def inference_config(
  arguments, evaluated: Mapping[str, Any]
) -> options.InferenceConfig:
  """Returns how to segment: as the flags say, or as the network is used best.

  Args:
    arguments: of the program.
    evaluated: how the network was evaluated.

  Raises:
    SavosError: the network tells of an evaluation that can't be.
  """
  fields = [field.name for field in dataclasses.fields(options.InferenceConfig)]
  with_flag = [name for name in fields if hasattr(arguments, name)]
  chosen = {
    'short_side': evaluated.get('short_side') or 480,
    **{name: evaluated[name] for name in _AS_EVALUATED if name in evaluated},
    **flags.values(arguments, with_flag),
  }
  try:
    return options.InferenceConfig(**chosen)
  except ValueError as error:
    raise errors.SavosError(f'{arguments.checkpoint}: {error}') from None


def held(out: pathlib.Path) -> int:
  """Returns how many masks there are, those on the way backwards included."""
  folders = out / 'masks', out / _BACKWARDS
  found = (
    path
    for folder, suffix in zip(folders, ('png', 'npz'), strict=True)
    for path in folder.glob(f'*.{suffix}')
  )
  return sum(path.name != progress.FILE for path in found)


def _check_out(arguments, manifest) -> None:
  """Raises SavosError where files are that nobody asked to touch."""
  out = arguments.out
  manifest.check(path for name in _WRITTEN for path in out.glob(name))
  for name in formats.FORMATS:
    there = (out / name).rglob('*')
    manifest.check(path for path in there if not path.is_dir())
  count = held(out)
  if count and not (arguments.resume or arguments.overwrite):
    raise errors.SavosError(
      f'{out}: holds {count} masks of an earlier run.\n'
      '  --resume goes on from there, --overwrite begins anew; or name '
      'another --out.'
    )


def _online(arguments) -> online.OnlineConfig:
  """Returns how the network is to learn."""
  asked = {
    name: getattr(arguments, f'online_{name}')
    for name in ('steps', 'seconds', 'every')
  }
  return dataclasses.replace(online.PRACTICAL, **asked)


def _learner(arguments, network) -> lessons.Learner | None:
  """Returns what teaches the network, if it is to learn."""
  how = _online(arguments)
  if not how.steps:
    return None
  if network.runtime != 'jax':
    raise errors.SavosError(
      f'--online={how.steps} needs JAX, which teaches the network.\n  '
      'Expected --runtime=jax with it, and a network that was not exported.'
    )
  # Takes long to import, and few ask for it.
  from savos_jax.training import online as learning

  return learning.Learner(network.model, how)


def _setting(arguments, video, given, network, config) -> dict:
  """What two runs must share for one to go on from the other."""
  digest = hashlib.sha256()
  for index in sorted(given.objects):
    digest.update(f'{index}:'.encode() + given.labels(index).tobytes())
  return {
    'video': f'{video.name}, {video.width}x{video.height}',
    'masks': digest.hexdigest()[:16],
    'frames': f'{arguments.first}-{arguments.last}/{arguments.every}',
    'direction': arguments.direction,
    'stop_when_lost': arguments.stop_when_lost,
    'checkpoint': network.checksum[:16],
    'runtime': network.runtime,
    'online': json.loads(json.dumps(dataclasses.asdict(_online(arguments)))),
    **{
      name: list(value) if isinstance(value, tuple) else value
      for name, value in dataclasses.asdict(config).items()
    },
  }


def _given(arguments, video) -> tuple[marks.Marks, dict[int, str]]:
  """Returns what is marked, and what the objects are called.

  Raises:
    SavosError: a file can't be read, or does not tell what is meant.
  """
  texts = [text for group in arguments.mask for text in group]
  told = [text for text in texts if annotation_files.is_annotations(text)]
  found = annotation_files.read(video, told, resize=arguments.resize_mask)
  drawn = mask_files.readers(
    video,
    [text for text in texts if text not in told],
    colours=arguments.colours,
    resize=arguments.resize_mask,
  )
  twice = sorted(drawn.keys() & found.labels.keys())
  if twice:
    raise errors.SavosError(
      f'{told[0]}: masks of frame {video.names(twice[0])}, of which another '
      'file is, too.\n  Expected one or the other.'
    )
  drawn |= {
    index: functools.partial(found.labels.__getitem__, index)
    for index in found.labels
  }
  drawn |= marking.readers(video, arguments.prompts, drawn)
  given = mask_files.marks(drawn)
  ids = {object_id for ids in given.objects.values() for object_id in ids}
  return given, {i: found.names.get(i, '') for i in sorted(ids)}


def _sinks(arguments, video, names) -> tuple[sinks.Sink, ...]:
  """Returns what makes all that was asked for beside the masks."""
  out = arguments.out
  found: list[sinks.Sink] = []
  if arguments.overlay:
    found.append(drawn_sinks.masks_over(out, video))
  if arguments.cutout:
    found.append(drawn_sinks.cut_out(out, video, arguments.cutout))
  found += [
    annotation_sinks.Annotations(out, name, video, names)
    for name in formats.FORMATS
    if name in arguments.format
  ]
  return tuple(found)


def _part(arguments, video: sources.Video) -> sources.Video:
  """Returns the frames that were asked for.

  Raises:
    SavosError: there are none.
  """
  first = video.find(arguments.first) if arguments.first else 0
  last = video.find(arguments.last) if arguments.last else None
  if last is not None and last < first:
    raise errors.SavosError(
      f'--to={arguments.last}: before --from={arguments.first}.\n'
      '  Expected the same frame, or one behind it.'
    )
  return excerpts.part(video, first, last, arguments.every)


def _length(arguments, video, given) -> int | None:
  """Returns how many frames are passed, both ways counted; None if unknown."""
  turned = arguments.direction != 'forward'
  return (video.length + turned * (given.last + 1)) if video.length else None


def _segment(
  arguments, video, given, names, network, config, learner, bar: Bar
) -> engine.Timing:
  """Writes the results."""
  tracker = tracker_lib.Tracker(
    network.model,
    network.params,
    config,
    float(video.pixel_aspect),
    learner,
  )
  way = arguments.direction
  setting = _setting(arguments, video, given, network, config)
  kept = progress.Progress(arguments.out, setting)
  if not kept.read().whole:
    first = given.first if way == 'forward' else given.last
    tracker.compile_ahead(video.height, video.width, len(given.objects[first]))
  job = engine.Job(
    video,
    given,
    sinks.Masks(arguments.out / 'masks', video.names),
    _sinks(arguments, video, names),
    kept,
    forwards=way != 'backward',
    backwards=None if way == 'forward' else arguments.out / _BACKWARDS,
    stop_when_lost=arguments.stop_when_lost,
  )
  with bar(_length(arguments, video, given)) as advance:
    return engine.segment([tracker], [job], lambda _, done: advance(done))


def into_folder(
  arguments: argparse.Namespace, load: Callable[[], networks.Network], bar: Bar
) -> engine.Timing:
  """Segments a video, and prints nothing.

  Args:
    arguments: of the program.
    load: gives the network; called when video and masks are found right.
    bar: shows how far it is.

  Raises:
    SavosError: as `engine.segment`, or something else that the user can put
      right.
  """
  if arguments.out.exists() and not arguments.out.is_dir():
    raise errors.SavosError(
      f'{arguments.out}: a file.\n  Expected a folder for the results, or a '
      'path that is free.'
    )
  video = _part(arguments, sources.open_video(arguments.video))
  given, names = _given(arguments, video)
  network = load()
  config = inference_config(arguments, network.evaluated)
  learner = _learner(arguments, network)
  texts = [text for group in arguments.mask for text in group]
  read = [mask_files.split(text)[1] for text in texts]
  inputs = [arguments.video, *read, arguments.checkpoint]
  with files.claimed(arguments.out, inputs) as manifest:
    _check_out(arguments, manifest)
    if arguments.overwrite and not arguments.resume:
      manifest.clear()
    return _segment(
      arguments, video, given, names, network, config, learner, bar
    )


@contextlib.contextmanager
def _shown(
  out: pathlib.Path, length: int | None
) -> Iterator[Callable[[int], object]]:
  """Shows a bar; where the work ends early, says what is there."""
  try:
    with tqdm.tqdm(
      total=length, unit='frame', desc='segmenting', disable=None
    ) as bar:
      yield bar.update
  except errors.Incomplete:
    print(f'results are in {out}; they are not whole')
    raise
  except (KeyboardInterrupt, errors.SavosError):
    count = held(out)
    if count:
      print(
        f'\n{count} masks are in {out}; the same command with --resume goes '
        'on.',
        file=sys.stderr,
      )
    raise


def run(arguments: argparse.Namespace) -> None:
  """Segments a video, as the arguments of the program ask for.

  It shows a progress bar, and prints where the time went.

  Raises:
    SavosError: something that the user can put right.
  """
  allocation.keep()
  timing = into_folder(
    arguments,
    functools.partial(networks.load, arguments),
    functools.partial(_shown, arguments.out),
  )
  if timing.learning:
    print(f'{timing.learning:.1f} s of online learning')
  if timing.steady_frames:
    print(
      f'{1 / timing.seconds_a_frame:.2f} frames/s in the network '
      f'({100 * timing.steady / (timing.total - timing.first):.0f} % of the '
      f'time after the first), first frame with compilation '
      f'{timing.first:.1f} s, {timing.total:.1f} s in all, peak memory '
      f'{memory.peak_gib():.2f} GiB'
    )
  print(f'results are in {arguments.out}')
