"""Compiles for TPUs and GPUs that are not here: what fits, how long it takes.

Needs no TPU, but its compiler: pip install -e '.[aot]'. The training step is
compiled for all chips of a topology, one frame of inference for one chip. A row
for each. Columns:

  chips           of the topology
  batch_size      examples a step and chip; of a frame: objects
  compile_s       to trace and compile, here
  state_gib, temporary_gib, total_gib
                  memory of each chip by the compiler: weights and the
                  optimiser's state; what the program needs besides; in all
  memory_gib      what a chip has
  gflop           10^9 operations of each chip
  gbyte           10^9 bytes that each chip reads and writes
  collectives     kinds and numbers in the program, and the bytes each chip
                  gives to them
  compute_s       estimated, not measured: the cycles that the compiler expects
                  its instructions to take, one after the other, at the clock
  collective_s    estimated: at the least, what all chips exchange in a ring at
                  the published rate of their links, with nothing computed
                  meanwhile
  per_s           examples or frames a second by these two, all chips
  efficiency      per_s of a chip, over the same with the first topology

A topology is a generation and how its chips are laid out: v5e:2x4, v5p:2x2x1,
v6e:4x4. One v5e chip is v5e:1x1. Of other generations nothing is estimated.

Or a GPU: gtx_1080_ti, rtx_2080_ti, rtx_3060. Its compiler is JAX's plugin for
CUDA (pip install --no-deps jax-cuda12-plugin jax-cuda12-pjrt, of the version of
jax, and nvidia-cuda-nvcc-cu12). Memory alone is told, without what cuDNN takes
for itself while a convolution runs; no time is estimated.
"""

import argparse

from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  parser.add_argument(
    '--topology',
    nargs='+',
    default=['v5e:2x4'],
    help='chips to compile for',
  )
  parser.add_argument(
    '--program',
    nargs='+',
    default=['training', 'inference'],
    choices=('training', 'inference'),
    help='what is compiled',
  )
  shared.add_sweep_arguments(parser, runs=False)
  parser.add_argument(
    '--batch_size',
    type=shared.positive,
    nargs='+',
    default=[4],
    help='examples a step and chip; in inference objects',
  )
  parser.add_argument(
    '--clip_frames',
    type=shared.positive,
    default=1,
    help='frames to segment in an example',
  )
  shared.add_step_arguments(parser)
  parser.add_argument(
    '--rematerialise',
    nargs='+',
    choices=list(shared.SWITCH),
    default=['off'],
    help='whether the training step computes activations again',
  )
  shared.add_architecture_arguments(parser)
