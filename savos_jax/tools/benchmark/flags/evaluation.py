"""Frames a second of scoring masks, and of its steps: reading, J and F.

All together runs as when results are scored, in one thread a core; the steps
run one by one in one thread. The masks are those of a results folder, or made
up: discs that move, and rough copies of them.
"""

import argparse

from savos_jax.evaluation import rules
from savos_jax.tools import command
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  add = parser.add_argument
  add(
    '--results',
    type=command.path,
    metavar='FOLDER',
    help='masks; without it they are made up',
  )
  add(
    '--annotations',
    type=command.path,
    metavar='FOLDER',
    help='to score them against',
  )
  add(
    '--protocol',
    default='davis2016',
    choices=sorted(rules.PROTOCOLS),
    help='whose frames and objects count',
  )
  add('--workers', type=shared.positive, help='threads; default one a core')
  add(
    '--size',
    type=shared.size,
    default=shared.DAVIS_SIZE,
    metavar='HxW',
    help='height and width of made-up masks, pixels',
  )
  for name, default, text in (
    ('repeats', 5, 'of everything, timed'),
    ('objects', 1, 'in a made-up video'),
    ('frames', 100, 'of a made-up video that are scored'),
  ):
    add(f'--{name}', type=shared.positive, default=default, help=text)
