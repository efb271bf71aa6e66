r"""Draws lucid dreams of a photo with a mask of its objects.

  python -m savos_jax.tools.dream --image=JPEGImages/480p/bear/00000.jpg \
      --mask=Annotations/480p/bear/00000.png --out=dreams --steps

writes dreams/gallery.png, one dream per row, and with --steps dreams/steps.png,
the five steps of one dream. The same --seed gives the same pictures; dream 3 is
the same with any --count.
"""

import argparse
from collections.abc import Sequence

from savos_jax.data import lucid_config
from savos_jax.foundation import files
from savos_jax.tools import command

_GALLERY, _STEPS = _WRITTEN = 'gallery.png', 'steps.png'


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('dream', __doc__)
  add = parser.add_argument
  add('--image', type=command.path, required=True, help='JPEG or PNG photo')
  add(
    '--mask',
    type=command.path,
    required=True,
    help='PNG of the same size: indexed, grey object ids, or 0/255',
  )
  add('--out', type=command.path, required=True, help='folder for the pictures')
  add('--count', type=int, default=12, help='dreams (12)')
  add('--steps', action='store_true', help='also draw the five steps')
  add('--seed', type=int, default=0, help='of all random choices (0)')
  add(
    '--merge',
    choices=lucid_config.MERGES,
    default=lucid_config.LucidConfig.merge,
    help='how objects are pasted (%(default)s)',
  )
  add('--height', type=int, help="of a dream, pixels (the photo's)")
  add('--width', type=int, help="of a dream, pixels (the photo's)")
  add('--targets', type=int, default=1, help='frames after the reference (1)')
  add(
    '--moving',
    type=int,
    nargs='+',
    metavar='ID',
    help='objects that move (random for each dream; all of them for --steps)',
  )
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Makes and writes the pictures.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.tools import dream_making

  frame, labels = dream_making.read(arguments.image, arguments.mask)
  dream_making.check(arguments, labels)
  with files.claimed(
    arguments.out, [arguments.image, arguments.mask]
  ) as manifest:
    manifest.check(arguments.out / name for name in _WRITTEN)
    _write(arguments, frame, labels)


def _write(arguments: argparse.Namespace, frame, labels) -> None:
  """Makes the dreams and writes the pictures."""
  import numpy as np

  from savos_jax.pictures import overlay
  from savos_jax.tools import dream_making
  from savos_jax.tools import dream_pictures

  arguments.moving = tuple(sorted(set(arguments.moving or ())))
  dreams, timing = dream_making.make(frame, labels, arguments)
  path = arguments.out / _GALLERY
  overlay.write_png(path, dream_pictures.gallery(dreams))
  print(f'{path}: {timing}')
  if not arguments.steps:
    return
  ids = arguments.moving or [int(i) for i in np.unique(labels) if i]
  picture = dream_pictures.steps(
    frame,
    labels,
    ids,
    lucid_config.LucidConfig(merge=arguments.merge),
    dream_making.size_of(arguments, labels),
    np.random.default_rng(arguments.seed),
  )
  path = arguments.out / _STEPS
  overlay.write_png(path, picture)
  print(f'{path}: object(s) {", ".join(map(str, ids))} in five steps')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
