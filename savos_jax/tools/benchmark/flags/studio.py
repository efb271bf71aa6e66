"""How long the studio takes to show any frame of a video, and its memory.

The program runs in a process of its own, on a new project, and is asked by
HTTP, as a browser does: for frames drawn at random while it is still decoding
the video, then, when all frames are kept, again, and for small pictures of
them. Without --video one is made: pictures that move, a key frame each 250.
Rows:

  seconds         until all frames are kept, of the start on; disk_gb of JPEGs
  median_ms ...   from asking for a frame to its last byte
  resident_gib    of the program, after these frames
"""

import argparse

from savos_jax.tools import command
from savos_jax.tools.benchmark.flags import shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this benchmark's flags."""
  add = parser.add_argument
  add('--video', type=command.path, help='a file; without it one is made')
  add(
    '--size', type=shared.size, default=shared.Size(1080, 1920),
    metavar='HxW', help='of the video that is made, pixels',
  )  # fmt: skip
  for name, default, text in (
    ('frames', 5000, 'of the video that is made'),
    ('seeks', 400, 'frames that are asked for, each time'),
  ):
    add(f'--{name}', type=shared.positive, default=default, help=text)
