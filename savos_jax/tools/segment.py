r"""Segments your own video from masks of one or more of its frames.

  python -m savos_jax.tools.segment --video=clip.mp4 --mask=first.png \
      --checkpoint=savos.safetensors --out=result

writes result/masks/, an indexed PNG a frame, and result/overlay.mp4. A video
is an mp4, avi, webm, ... or a folder of images. The mask is an indexed PNG, a
grey one with 0/255 or one value an object, a picture with one colour an object
(--colours), or several files with one object each. A mask of another frame,
where an object enters or has to be corrected, has its number in front, as the
results have it in their names; --direction=both follows what is marked to
either side:

  --mask first.png --mask 120=fixed.png --direction=both

Annotations of COCO, labelme, CVAT (XML) and Label Studio are masks, too; they
tell of their frames themselves. --format writes such files.

Without a mask, a box around an object or points of it do:

{usage}

Many videos, their names in the lines of a CSV file, or a pattern:

  --list videos.csv --out results       columns: video,mask, and other flags
  --list 'clips/*.mp4' --out results    clips/a.png is the mask of clips/a.mp4

Ctrl-C keeps what is done; the same command with --resume goes on from there.
"""

import argparse
from collections.abc import Sequence
import functools

from savos_jax import online
from savos_jax.annotations import formats
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import command
from savos_jax.tools import flags
from savos_jax.tools import many
from savos_jax.tools import marking

_CUTOUTS = ('png', 'green', 'prores', 'webm')
_DIRECTIONS = ('forward', 'backward', 'both')
# Fields that are asked for as they are; of others the network may tell.
_AS_ASKED = (
  'scales',
  'flip',
  'aggregation',
  'background',
  'chunk',
  'crf',
  'crf_iterations',
  'crf_gaussian_sxy',
  'crf_gaussian_weight',
  'crf_bilateral_sxy',
  'crf_bilateral_srgb',
  'crf_bilateral_weight',
)


def _parser() -> argparse.ArgumentParser:
  parser = command.parser('segment', __doc__.format(usage=marking.USAGE))
  add = parser.add_argument
  add(
    '--video', type=command.path,
    help='a video file, or a folder with an image a frame',
  )  # fmt: skip
  add(
    '--mask', nargs='+', action='append', default=[], metavar='[FRAME=]FILE',
    help='of the first frame, or of another: see above; several times; or a '
    'folder of masks, each named as its frame is',
  )  # fmt: skip
  marking.add_flags(parser)
  add(
    '--out', type=many.place,
    help='the folder that gets the results; with --list it may be a URL',
  )  # fmt: skip
  many.add_flags(parser)
  flags.add_network(parser)
  add(
    '--colours', action='store_true',
    help='the mask is a picture in which each colour but black is an object',
  )  # fmt: skip
  add(
    '--resize_mask', action='store_true',
    help="the mask may be of another size than the video's frames",
  )  # fmt: skip
  add(
    '--direction', choices=_DIRECTIONS, default='forward',
    help='which way what is marked is followed; between two marks of an object '
    'both ways are joined; default: forward',
  )  # fmt: skip
  add('--from', dest='first', metavar='FRAME', help='begins there')
  add('--to', dest='last', metavar='FRAME', help='ends behind it')
  flags.add_flag(
    parser, 'every', ranges.whole(1, 10_000), default=1, metavar='N',
    help='takes one of so many frames',
  )  # fmt: skip
  flags.add_flag(
    parser, 'stop_when_lost', ranges.whole(1, 10**6, zero='never'), default=0,
    metavar='N', help='ends after so many frames, behind the last mask, in '
    'which no object is seen; 0: at the end',
  )  # fmt: skip
  flags.add_seeing(parser)
  for name in _AS_ASKED:
    flags.add_field(parser, options.InferenceConfig, name)
  _add_online(parser)
  add(
    '--overlay', action=argparse.BooleanOptionalAction, default=True,
    help='draws the masks over the video: overlay.mp4',
  )  # fmt: skip
  add(
    '--cutout', choices=_CUTOUTS,
    help='cuts the objects out: png: transparent pictures in cutout/; green: '
    'a video before green, cutout.mp4; prores, webm: a transparent video, '
    'cutout.mov (ProRes 4444) or cutout.webm (VP9)',
  )  # fmt: skip
  add(
    '--format', nargs='+', default=(), choices=('davis', *formats.FORMATS),
    metavar='FORMAT',
    help='writes what other programs read, in a folder each, beside the masks '
    '(davis): ' + '; '.join(
      f'{name}: {kind.says}' for name, kind in formats.FORMATS.items()
    ),
  )  # fmt: skip
  add(
    '--resume', action='store_true',
    help='goes on where an earlier run was interrupted',
  )  # fmt: skip
  add(
    '--overwrite', action='store_true', help='replaces earlier results in --out'
  )
  return parser


def _add_online(parser: argparse.ArgumentParser) -> None:
  add_field = functools.partial(
    flags.add_field, parser, online.OnlineConfig, prefix='online_'
  )
  add_field(
    'steps',
    called='online',
    nargs='?',
    const=online.PRACTICAL.steps,
    metavar='STEPS',
    help='the network learns the objects first, from lucid dreams of the '
    'frames with a mask; slow; without a number of steps '
    f'{online.PRACTICAL.steps}',
  )
  add_field('seconds', metavar='SECONDS')
  add_field('every', metavar='FRAMES')


def _check(
  parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
  """Refuses, as a parser does, arguments of a video that do not go together."""
  for name in ('video', 'out'):
    if not getattr(arguments, name):
      parser.error(f'--{name} is missing. Expected it; or --list, with --out')
  if not (arguments.mask or arguments.prompts):
    parser.error(marking.MISSING)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = _parser()
  arguments = parser.parse_args(argv)
  if arguments.list:
    many.check(parser, arguments)
  else:
    _check(parser, arguments)
    many.check_one(parser, arguments)
  return arguments


def run(arguments: argparse.Namespace) -> None:
  """Segments a video, or those of a list.

  Raises:
    SavosError: something that the user can put right.
  """
  if arguments.list:
    from savos_jax.tools.many import segmenting_all

    segmenting_all.run(_parser(), arguments, _check)
  else:
    from savos_jax.tools import segmenting

    segmenting.run(arguments)


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
