"""A video into a folder, as the arguments of the program segment ask for."""

import argparse
import dataclasses
import functools
import hashlib
import sys

import tqdm

from savos_jax import network
from savos_jax.foundation import compilation_cache
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import memory
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.pictures import cutout
from savos_jax.pictures import overlay
from savos_jax.tools import flags
from savos_jax.video import engine
from savos_jax.video import first_masks
from savos_jax.video import marks
from savos_jax.video import progress
from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.weights import fingerprints

_FOLDER_FPS = 24.0  # Of videos made from a folder of images.
_FEATHER = 1.5  # Width of a cutout's soft edge, pixels.
# What it writes into --out.
_WRITTEN = ('masks/*', 'overlay.mp4', 'cutout.mp4', 'cutout/*', progress.FILE)
# As the network was evaluated in its training, where no flag says otherwise.
_AS_EVALUATED = (
  'zoom',
  'lost_confidence',
  'stray',
  'memory_frames',
  'memory_every',
  'memory_confidence',
)


def inference_config(arguments, trained) -> options.InferenceConfig:
  """Returns how to segment: as the flags say, or as the network is used best.

  Raises:
    SavosError: the network tells of an evaluation that can't be.
  """
  stored = trained.config.get('eval', {})
  fields = [field.name for field in dataclasses.fields(options.InferenceConfig)]
  with_flag = [name for name in fields if hasattr(arguments, name)]
  chosen = {
    'short_side': stored.get('short_side') or 480,
    **{name: stored[name] for name in _AS_EVALUATED if name in stored},
    **flags.values(arguments, with_flag),
  }
  try:
    return options.InferenceConfig(**chosen)
  except ValueError as error:
    raise errors.SavosError(f'{arguments.checkpoint}: {error}') from None


def _check_out(arguments, manifest) -> None:
  """Raises SavosError where files are that nobody asked to touch."""
  out = arguments.out
  manifest.check(path for name in _WRITTEN for path in out.glob(name))
  held = list((out / 'masks').glob('*.png'))
  if held and not (arguments.resume or arguments.overwrite):
    raise errors.SavosError(
      f'{out}: holds {len(held)} masks of an earlier run.\n'
      '  --resume goes on from there, --overwrite begins anew; or name '
      'another --out.'
    )


def _setting(video, labels, trained, config) -> dict:
  """What two runs must share for one to go on from the other."""
  return {
    'video': f'{video.name}, {video.width}x{video.height}',
    'mask': hashlib.sha256(labels.tobytes()).hexdigest()[:16],
    'checkpoint': fingerprints.fingerprint(trained.params)[:16],
    **{
      name: list(value) if isinstance(value, tuple) else value
      for name, value in dataclasses.asdict(config).items()
    },
  }


def _before_green(frame, labels):
  return cutout.green_screen(frame, cutout.matte(labels, _FEATHER))


def _sinks(arguments, video) -> tuple[sinks.Sink, ...]:
  """Returns what draws the pictures that were asked for."""
  out, fps = arguments.out, video.fps or _FOLDER_FPS
  found = []
  if arguments.overlay:
    found.append(sinks.Film(out / 'overlay.mp4', fps, overlay.draw))
  if arguments.cutout == 'png':
    draw = functools.partial(cutout.rgba, feather=_FEATHER)
    found.append(sinks.Pictures(out / 'cutout', video.names, draw))
  if arguments.cutout == 'green':
    found.append(sinks.Film(out / 'cutout.mp4', fps, _before_green))
  return tuple(found)


def _segment(arguments, video, labels, trained, config) -> None:
  """Writes the results, with a progress bar, and prints where the time went."""
  job = engine.Job(
    video,
    marks.of_labels({0: labels}),
    sinks.Masks(arguments.out / 'masks', video.names),
    _sinks(arguments, video),
    progress.Progress(arguments.out, _setting(video, labels, trained, config)),
  )
  tracker = tracker_lib.Tracker(trained.model, trained.params, config)
  with tqdm.tqdm(
    total=video.length or None, unit='frame', desc='segmenting', disable=None
  ) as bar:
    timing = engine.segment([tracker], [job], lambda _, done: bar.update(done))
  if timing.steady_frames:
    print(
      f'{1 / timing.seconds_a_frame:.2f} frames/s in the network '
      f'({100 * timing.steady / (timing.total - timing.first):.0f} % of the '
      f'time after the first), first frame with compilation '
      f'{timing.first:.1f} s, {timing.total:.1f} s in all, peak memory '
      f'{memory.peak_gib():.2f} GiB'
    )


def run(arguments: argparse.Namespace) -> None:
  """Segments a video, as the arguments of the program ask for.

  Raises:
    SavosError: something that the user can put right.
  """
  compilation_cache.enable()
  if arguments.out.exists() and not arguments.out.is_dir():
    raise errors.SavosError(
      f'{arguments.out}: a file.\n  Expected a folder for the results, or a '
      'path that is free.'
    )
  video = sources.open_video(arguments.video)
  labels, _ = first_masks.read(
    arguments.mask,
    (video.height, video.width),
    colours=arguments.colours,
    resize=arguments.resize_mask,
  )
  trained = network.load(arguments.checkpoint)
  config = inference_config(arguments, trained)
  inputs = [arguments.video, *arguments.mask, arguments.checkpoint]
  with files.claimed(arguments.out, inputs) as manifest:
    _check_out(arguments, manifest)
    if arguments.overwrite and not arguments.resume:
      manifest.clear()
    try:
      _segment(arguments, video, labels, trained, config)
    except errors.Incomplete:
      print(f'results are in {arguments.out}; they are not whole')
      raise
    except (KeyboardInterrupt, errors.SavosError):
      held = len(list((arguments.out / 'masks').glob('*.png')))
      if held:
        print(
          f'\n{held} masks are in {arguments.out / "masks"}; the same command '
          'with --resume goes on.',
          file=sys.stderr,
        )
      raise
  print(f'results are in {arguments.out}')
