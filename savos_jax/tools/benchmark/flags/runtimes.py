"""JAX and ONNX Runtime side by side: seconds a frame of the tracker.

The shipped network, or --checkpoint, and its exports, on a synthetic video; in
one process and in turns, so that other load on the machine affects all alike.
A row for each size, zoom, focus, number of objects and runtime. Columns:

  median_s ...    seconds a frame, for all objects
  over_jax        median ratio of JAX's time to this one's, frame by frame:
                  above 1 this one is faster
  differing       pixels labelled differently from JAX, in a million
"""

import argparse

from savos_jax import checkpoints
from savos_jax.inference import options
from savos_jax.tools import command
from savos_jax.tools import flags
from savos_jax.tools.benchmark.flags import inference
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  parser.add_argument(
    '--size',
    type=shared.size,
    nargs='+',
    default=[shared.size('480x854')],
    metavar='HxW',
    help='of the frames',
  )
  parser.add_argument(
    '--objects',
    type=shared.positive,
    nargs='+',
    default=[1, 3],
    help='segmented at once',
  )
  parser.add_argument(
    '--frames', type=shared.positive, default=20, help='timed, of each'
  )
  inference.add_windows(parser)
  flags.add_field(
    parser, options.InferenceConfig, 'focus', several=True, default=1.25
  )
  parser.add_argument(
    '--checkpoint',
    type=command.path,
    default=checkpoints.DEFAULT,
    help='the network that JAX runs; by default the shipped one',
  )
  parser.add_argument(
    '--exported',
    type=command.path,
    nargs='+',
    metavar='DIR',
    help='folders of savos_jax.tools.export that ONNX Runtime runs; by default '
    'the shipped network',
  )
