r"""Makes validation clips with look-alikes from photos with masks.

  python -m savos_jax.tools.rival_clips STILLS... --out=runs/rival_clips
  python -m savos_jax.main --mode=evaluate \
      --config.data.root=runs/rival_clips --config.data.year=2017

Each STILLS is a folder of photos: images/NAME.jpg and masks/NAME.png. Only
held-out photos are used: about one in 25, chosen by name, which training leaves
out. In each clip 2 to 4 objects are to be segmented: cut-outs that move across
another photo and cross each other, and that photo's own objects. In a third of
the clips an object leaves the frame or is occluded, and comes back; in another
third, objects that are not to be segmented enter later.

The layout is that of DAVIS 2017 (ImageSets/2017/val.txt); rival_clips.json
records what each clip is made of. The same photos, folder names and settings
give the same files.
"""

import argparse
from collections.abc import Sequence

from savos_jax.tools import command


def _size(text: str) -> tuple[int, int]:
  try:
    height, width = (int(part) for part in text.split('x'))
  except ValueError:
    raise argparse.ArgumentTypeError(
      f'{text!r}; expected HEIGHTxWIDTH, such as 256x448'
    ) from None
  return height, width


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('rival_clips', __doc__)
  add = parser.add_argument
  add(
    'stills', type=command.path, nargs='+', metavar='STILLS',
    help='folders of photos with images/ and masks/',
  )  # fmt: skip
  add(
    '--out', type=command.path, required=True, metavar='FOLDER',
    help='the folder to create; it must be new or empty',
  )  # fmt: skip
  add('--clips', type=int, default=12, help='how many (12)')
  add('--frames', type=int, default=30, help='length of each (30)')
  add(
    '--size', type=_size, default=(256, 448), metavar='HEIGHTxWIDTH',
    help='of the frames, pixels (256x448)',
  )  # fmt: skip
  add('--seed', type=int, default=0, help='of all random choices (0)')
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Makes the clips, and prints a summary.

  Raises:
    SavosError: something that the user can put right.
  """
  import numpy as np

  from savos_jax.synthetic import rival_clips

  made = rival_clips.generate(
    arguments.stills,
    arguments.out,
    clips=arguments.clips,
    frames=arguments.frames,
    size=arguments.size,
    seed=arguments.seed,
  )
  gone = sum(frames > 0 for frames in made.hidden)
  print(
    f'{arguments.out}: {made.clips} clips of {arguments.frames} frames, '
    f'{made.objects} objects that cover {np.mean(made.areas):.1%} of the first '
    f'frame (at least {min(made.areas):.1%}); hidden for '
    f'{np.mean(made.hidden):.1f} frames on average, {gone} objects at least '
    'once'
  )


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
