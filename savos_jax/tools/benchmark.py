"""Measures speed and memory on this machine.

  python -m savos_jax.tools.benchmark inference --width_multiplier=0.5

Prints a line of JSON: the setting, the device, seconds and GiB. Weights are
random: they change neither.
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import time

import jax
import numpy as np

from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.training import state as state_lib


def peak_memory_gib() -> float:
  """Returns the largest resident size of this process so far, GiB."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  # Kilobytes on Linux, bytes on macOS.
  return peak / (2**30 if sys.platform == 'darwin' else 2**20)


def inference(
  config: savos.SavosConfig, height: int, width: int, objects: int, frames: int
) -> dict[str, float]:
  """Times the tracker on random frames.

  Args:
    config: the architecture.
    height: of the frames, pixels.
    width: of the frames, pixels.
    objects: how many are segmented at once.
    frames: timed, after one that compiles.

  Returns:
    Seconds of the first frames with compilation, median, fastest and slowest
    seconds a frame after them, peak memory in GiB.
  """
  model = savos.SAVOS(config)
  params = jax.jit(lambda key: state_lib.init_params(model, key))(
    jax.random.key(0)
  )
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, (height, width, 3), np.uint8)
  labels = rng.integers(0, objects + 1, (height, width), np.uint8)
  tracker = tracker_lib.Tracker(model, params)

  started = time.perf_counter()
  tracker.start(frame, labels, tuple(range(1, objects + 1)))
  tracker.step(frame)
  first = time.perf_counter() - started
  seconds = []
  for _ in range(frames):
    started = time.perf_counter()
    tracker.step(frame)
    seconds.append(time.perf_counter() - started)
  return {
    'first_frames_with_compilation_s': first,
    'median_s_per_frame': statistics.median(seconds),
    'fastest_s_per_frame': min(seconds),
    'slowest_s_per_frame': max(seconds),
    'peak_memory_gib': peak_memory_gib(),
  }


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  commands = parser.add_subparsers(dest='command', required=True)
  command = commands.add_parser(
    'inference',
    help='seconds a frame and peak memory of the tracker',
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  for name, default, text in (
    ('height', 480, 'of the frames, pixels'),
    ('width', 854, 'of the frames, pixels'),
    ('objects', 1, 'segmented at once'),
    ('frames', 10, 'timed'),
    ('decoder_features', 256, 'channels of the decoder'),
  ):
    command.add_argument(f'--{name}', type=int, default=default, help=text)
  command.add_argument(
    '--width_multiplier', type=float, default=1.0, help="the encoder's width"
  )
  command.add_argument(
    '--compute_dtype', default='float32', choices=('float32', 'bfloat16')
  )
  return parser


def main() -> None:
  """Runs a benchmark and prints it."""
  parser = _parser()
  arguments = parser.parse_args()
  try:
    config = savos.SavosConfig(
      width_multiplier=arguments.width_multiplier,
      decoder_features=arguments.decoder_features,
      compute_dtype=arguments.compute_dtype,
    )
  except ValueError as error:
    parser.error(str(error))
  for name in ('height', 'width', 'objects', 'frames'):
    if getattr(arguments, name) < 1:
      parser.error(f'--{name} must be at least 1')
  result = inference(
    config,
    arguments.height,
    arguments.width,
    arguments.objects,
    arguments.frames,
  )
  setting = vars(arguments) | {
    'device': jax.devices()[0].device_kind,
    'machine': platform.machine(),
    'jax': jax.__version__,
  }
  rounded = {name: round(value, 4) for name, value in result.items()}
  print(json.dumps(setting | rounded))


if __name__ == '__main__':
  main()
