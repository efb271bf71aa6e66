"""Dreams a second and core, every step of a dream, and the loaders.

Everything but the loaders runs on one core: OpenCV's own threads are off.
Frames come from a DAVIS folder, or from the embedded clips. A row for each size
and way of merging, milliseconds a dream for each step (`inpaint_ms` once a
frame); one of examples of 256x448; and one for each loader, in a process of its
own that does nothing else:

  examples_per_second  from the first batch to the last
  first_batch_s        until the first one, libraries and workers started
  peak_gib             largest resident sizes of that process (JAX is imported,
                       as in a training) and of its worker processes, added up:
                       libraries that they share count for each
  share_of_workers     of what one core makes alone, times the workers
"""

import argparse

from savos_jax.tools import command
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  add = parser.add_argument
  add(
    '--root',
    type=command.path,
    metavar='FOLDER',
    help='DAVIS; without it the embedded clips',
  )
  add('--year', default='2016', choices=('2016', '2017'), help='of its lists')
  for name, default, text in (
    ('frames', 10, 'to dream of'),
    ('repeats', 10, 'dreams of each frame'),
    ('examples', 200, 'from each loader'),
    ('workers', 2, 'of each loader'),
  ):
    add(f'--{name}', type=shared.positive, default=default, help=text)
