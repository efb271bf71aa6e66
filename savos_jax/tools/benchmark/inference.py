"""Seconds a frame and peak memory of the tracker, on random frames.

Prints a line of JSON: the setting, the device, seconds, GiB, and the network's
rate beside that of a large matrix product in the same process. Weights are
random: they change nothing.
"""

import argparse
import json
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax import errors
from savos_jax import memory
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.tools.benchmark import common
from savos_jax.training import state as state_lib


def _operations(model, params, config, size, objects) -> float:
  """Returns the network's floating-point operations a frame, for all views."""
  geometry = geometry_lib.of(size, config)
  total = 0.0
  for view in geometry.views:
    height, width = geometry.size if view.plain else (view.height, view.width)
    frame = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    mask = jax.ShapeDtypeStruct((objects, height, width), jnp.float32)

    def encode(params, frame, mask):
      return model.apply(
        {'params': params}, frame, mask, method='encode_reference'
      )

    def segment(params, frame, mask, reference):
      return model.apply(
        {'params': params}, frame, mask, reference, method='segment'
      )

    reference = jax.eval_shape(encode, params, frame, mask)
    traced = jax.jit(segment).trace(params, frame, mask, reference)
    # Where no convolution is taken apart, as it may be on CPUs.
    lowered = traced.lower(lowering_platforms=('tpu',))
    total += lowered.cost_analysis()['flops']
  return total


def measure(
  architecture: savos.SavosConfig,
  config: options.InferenceConfig,
  height: int,
  width: int,
  objects: int,
  frames: int,
) -> dict[str, float]:
  """Times the tracker on random frames.

  Args:
    architecture: of the network.
    config: how it segments.
    height: of the frames, pixels.
    width: of the frames, pixels.
    objects: how many are segmented at once.
    frames: timed, after one that compiles.

  Returns:
    Seconds of the first frames with compilation, median, fastest and slowest
    seconds a frame after them, peak memory in GiB; 10^9 floating-point
    operations of the network a frame and a second, and of a large matrix
    product a second.
  """
  model = savos.SAVOS(architecture)
  params = jax.jit(lambda key: state_lib.init_params(model, key))(
    jax.random.key(0)
  )
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, (height, width, 3), np.uint8)
  labels = rng.integers(0, objects + 1, (height, width), np.uint8)
  tracker = tracker_lib.Tracker(model, params, config)

  started = time.perf_counter()
  tracker.start(frame, labels, tuple(range(1, objects + 1)))
  tracker.step(frame)
  first = time.perf_counter() - started
  seconds = []
  for _ in range(frames):
    started = time.perf_counter()
    tracker.step(frame)
    seconds.append(time.perf_counter() - started)
  median = statistics.median(seconds)
  peak = memory.peak_gib()  # Before anything is counted: that takes memory.
  gflop = _operations(model, params, config, (height, width), objects) / 1e9
  return {
    'first_frames_with_compilation_s': first,
    'median_s_per_frame': median,
    'fastest_s_per_frame': min(seconds),
    'slowest_s_per_frame': max(seconds),
    'peak_memory_gib': peak,
    'gflop_per_frame': gflop,
    'gflop_per_s': gflop / median,
    'matrix_product_gflop_per_s': common.matrix_product_rate() / 1e9,
  }


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  for name, default, text in (
    ('height', 480, 'of the frames, pixels'),
    ('width', 854, 'of the frames, pixels'),
    ('objects', 1, 'segmented at once'),
    ('frames', 10, 'timed'),
  ):
    parser.add_argument(
      f'--{name}', type=common.positive, default=default, help=text
    )
  parser.add_argument(
    '--scales', type=float, nargs='+', default=[1.0], help='averaged'
  )
  parser.add_argument(
    '--flip', action='store_true', help='averages the mirror image, too'
  )
  common.add_architecture_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
  """Measures and prints.

  Raises:
    SavosError: no network can be built from the arguments.
  """
  try:
    config = options.InferenceConfig(
      scales=tuple(arguments.scales), flip=arguments.flip
    )
  except ValueError as error:
    raise errors.SavosError(f'--{error}') from None
  result = measure(
    common.architecture(arguments),
    config,
    arguments.height,
    arguments.width,
    arguments.objects,
    arguments.frames,
  )
  rounded = {name: round(value, 4) for name, value in result.items()}
  print(json.dumps(common.setting(arguments) | rounded))
