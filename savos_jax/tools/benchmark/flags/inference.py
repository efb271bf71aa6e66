"""Seconds a frame, memory and share of the limit of the tracker.

Random frames and weights: they change nothing. Without flags as the shipped
network segments: windows whose shorter side is 256 pixels. A row for each size,
zoom, number of objects and dtype. Columns:

  compile_s       until the first frame is segmented, compilation included
  median_s ...    seconds a frame after that, all objects and views of it
  frames_per_s    of the median
  gflop, gbyte    10^9 operations of the network, and bytes of the program, a
                  frame
  gflop_per_s     of the median
  share_of_limit  the limit (operations or bytes over the device's measured
                  rates: `limited_by`) over the median
  temporary_gib, total_gib
                  memory of the compiled frame by the compiler; with weights,
                  references, frame and masks
  peak_gib        memory in use so far, of this process or of an accelerator;
                  of all rows up to this one
"""

import argparse

from savos_jax.inference import options
from savos_jax.tools import flags
from savos_jax.tools.benchmark.flags import shared

# Of the shipped network, as it is used best (savos_jax/checkpoints/README.md).
ZOOM = 2.0
SHORT_SIDE = 256


def add_windows(parser: argparse.ArgumentParser, several: bool = True) -> None:
  """Adds --zoom, or several of them, and --max_size: the shipped network's."""
  flags.add_field(
    parser, options.InferenceConfig, 'zoom', several=several, default=ZOOM
  )
  flags.add_field(
    parser,
    options.InferenceConfig,
    'short_side',
    called='max_size',
    metavar='PIXELS',
    default=SHORT_SIDE,
  )


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  shared.add_sweep_arguments(parser)
  parser.add_argument(
    '--objects',
    type=shared.positive,
    nargs='+',
    default=[1],
    help='segmented at once',
  )
  parser.add_argument(
    '--frames',
    type=shared.positive,
    default=10,
    help='timed, after one that compiles',
  )
  add_windows(parser)
  for name in ('scales', 'flip'):
    flags.add_field(parser, options.InferenceConfig, name)
  shared.add_architecture_arguments(parser)
  shared.add_roofline_arguments(parser)
