"""Seconds, memory and share of the limit of a training step.

Random frames and weights, on all devices. A row for each combination of size,
batch, dtype, clip length, recurrence, rematerialisation, accumulation and
preset; of a single frame both recurrences are the same, and it has rows of one.
Columns:

  compile_s       to trace and compile
  median_s ...    seconds a step after one that isn't timed; "-" with
                  --compile_only, and where the device has too little memory
  examples_per_s  of all devices, and of each
  gflop, gbyte    10^9 operations of a step, what is rematerialised counted
                  once, and bytes of the program, of all devices
  gflop_per_s     of the median
  share_of_limit  the limit (operations or bytes over the devices' measured
                  rates: `limited_by`) over the median
  temporary_gib, total_gib
                  of each device, by the compiler: what the step needs beside
                  its inputs and outputs; with state, batch and metrics
  peak_gib        memory in use so far, of this process or of an accelerator;
                  of all rows up to this one
"""

import argparse

from savos_jax import objective
from savos_jax.tools import flags
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  shared.add_sweep_arguments(parser)
  for name, default, text in (
    ('batch_size', 4, 'examples a step, of all devices together'),
    ('clip_frames', 1, 'frames to segment in an example'),
  ):
    parser.add_argument(
      f'--{name}',
      type=shared.positive,
      nargs='+',
      default=[default],
      help=text,
    )
  shared.add_step_arguments(parser)
  flags.add_field(parser, objective.Objective, 'recurrence', several=True)
  parser.add_argument(
    '--rematerialise',
    nargs='+',
    choices=list(shared.SWITCH),
    default=list(shared.SWITCH),
    help='whether activations are computed again instead of kept',
  )
  parser.add_argument(
    '--repeats', type=shared.positive, default=5, help='steps timed'
  )
  parser.add_argument(
    '--compile_only',
    action='store_true',
    help='runs and profiles no step: memory and operations alone',
  )
  shared.add_architecture_arguments(parser)
  shared.add_roofline_arguments(parser)
