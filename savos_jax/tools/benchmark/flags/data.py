"""Dreams a second and core, every step of a dream, and the pipeline.

Everything but the pipeline runs on one core: OpenCV's own threads are off.
Frames come from a DAVIS folder, or from the embedded clips. A row for each size
and way of merging, milliseconds a dream for each step (`inpaint_ms` once a
frame); then one of examples, alone and through the pipeline.
"""

import argparse
import pathlib

from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  add = parser.add_argument
  add(
    '--root',
    type=pathlib.Path,
    metavar='FOLDER',
    help='DAVIS; without it the embedded clips',
  )
  add('--year', default='2016', choices=('2016', '2017'), help='of its lists')
  for name, default, text in (
    ('frames', 10, 'to dream of'),
    ('repeats', 10, 'dreams of each frame'),
    ('examples', 200, 'through the pipeline'),
    ('workers', 2, 'threads of the pipeline'),
  ):
    add(f'--{name}', type=shared.positive, default=default, help=text)
