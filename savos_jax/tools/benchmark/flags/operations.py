"""The operations of a frame that take longest, by JAX and by ONNX Runtime.

The shipped network on a synthetic video, each runtime's own profile. On the
CPU; profiling slows a frame a little. A row for each operation, at most --top
of each runtime. Columns:

  layer           of the network
  operation       JAX's primitive, the last where several are fused; ONNX
                  Runtime's operator
  ms              in the frame where it took the fewest
  share_of_frame  of the sum of all operations
  gflop, mbyte    10^9 operations of products and convolutions, counted as they
                  are computed (Winograd's filtering has fewer); 10^6 bytes read
                  and written, though caches may serve them
  share_of_limit  the limit (operations or bytes over the device's measured
                  rates: `limited_by`) over the time; above 100 % where a cache
                  serves the bytes
"""

import argparse

from savos_jax.tools.benchmark.flags import inference
from savos_jax.tools.benchmark.flags import shared

RUNTIMES = ('jax', 'onnx')


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  parser.add_argument(
    '--size',
    type=shared.size,
    default=shared.DAVIS_SIZE,
    metavar='HxW',
    help='height and width of the frames, pixels',
  )
  for name, default, text in (
    ('objects', 1, 'segmented at once'),
    ('frames', 20, 'timed'),
    ('top', 10, 'rows of each runtime, at most'),
  ):
    parser.add_argument(
      f'--{name}', type=shared.positive, default=default, help=text
    )
  parser.add_argument(
    '--runtime',
    nargs='+',
    choices=RUNTIMES,
    default=list(RUNTIMES),
    help='what is profiled',
  )
  inference.add_windows(parser, several=False)
  shared.add_roofline_arguments(parser)
