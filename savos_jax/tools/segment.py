r"""Segments your own video from the mask of its first frame.

  python -m savos_jax.tools.segment --video=clip.mp4 --mask=first.png \
      --checkpoint=savos.safetensors --out=result

writes result/masks/, an indexed PNG a frame, and result/overlay.mp4. A video
is an mp4, avi, webm, ... or a folder of images. The mask is an indexed PNG, a
grey one with 0/255 or one value an object, a picture with one colour an object
(--colours), or several files with one object each.

Ctrl-C keeps what is done; the same command with --resume goes on from there.
"""

import argparse
from collections.abc import Sequence
import functools
import pathlib

from savos_jax import checkpoints
from savos_jax.inference import options
from savos_jax.tools import command
from savos_jax.tools import flags

_CUTOUTS = ('png', 'green')
# Fields that are asked for as they are; of others the network may tell.
_AS_ASKED = ('scales', 'flip', 'aggregation', 'background', 'chunk')


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('segment', __doc__)
  add = parser.add_argument
  path = {'type': pathlib.Path, 'required': True}
  add('--video', **path, help='a video file, or a folder with an image a frame')
  add('--mask', **path, nargs='+', help='of the first frame: see above')
  add('--out', **path, help='the folder that gets the results')
  add(
    '--checkpoint', type=pathlib.Path, default=checkpoints.DEFAULT,
    help='the network: a file of savos_jax.tools.export_checkpoint, or a '
    "training's --workdir; default: the network that is shipped",
  )  # fmt: skip
  add(
    '--colours', action='store_true',
    help='the mask is a picture in which each colour but black is an object',
  )  # fmt: skip
  add(
    '--resize_mask', action='store_true',
    help="the mask may be of another size than the video's frames",
  )  # fmt: skip
  stored = 'as the network was evaluated in its training'
  add_field = functools.partial(
    flags.add_field, parser, options.InferenceConfig
  )
  add_field(
    'short_side',
    called='max_size',
    metavar='PIXELS',
    unset=f'{stored}, else 480',
  )
  add_field('zoom', metavar='FACTOR', unset=stored)
  for name in _AS_ASKED:
    add_field(name)
  add(
    '--overlay', action=argparse.BooleanOptionalAction, default=True,
    help='draws the masks over the video: overlay.mp4',
  )  # fmt: skip
  add(
    '--cutout', choices=_CUTOUTS,
    help='cuts the objects out: png: transparent pictures in cutout/; green: '
    'a video before green, cutout.mp4',
  )  # fmt: skip
  add(
    '--resume', action='store_true',
    help='goes on where an earlier run was interrupted',
  )  # fmt: skip
  add(
    '--overwrite', action='store_true', help='replaces earlier results in --out'
  )
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Segments a video.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.tools import segmenting

  segmenting.run(arguments)


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
