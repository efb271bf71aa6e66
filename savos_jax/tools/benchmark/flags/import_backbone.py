"""Seconds and peak memory of importing a ResNet-50's weights.

Each import is `tools.import_backbone` in a process of its own, so that the
peak is its own; what it writes is removed. Columns:

  file_mb         10^6 bytes
  median_s ...    seconds of the import itself, libraries of its format included
  with_start_s    median seconds from the start of the program to its end
  peak_gib        the largest resident size of the processes
"""

import argparse

from savos_jax.tools import command
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  parser.add_argument(
    '--file',
    type=command.path,
    nargs='+',
    required=True,
    help='weights, as tools.import_backbone takes them; a row each',
  )
  parser.add_argument(
    '--repeats', type=shared.positive, default=3, help='imports timed'
  )
