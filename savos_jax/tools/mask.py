r"""Makes a first mask from boxes and points, and a picture to check it.

  python -m savos_jax.tools.mask --video=clip.mp4 --out=first

writes first/grid_00000.png, the frame with a grid of pixel coordinates. With
coordinates read from it,

  python -m savos_jax.tools.mask --video=clip.mp4 --out=first \
      --box 120,80,300,260

writes first/frame_00000.png, first/mask_00000.png (an indexed PNG) and
first/overlay_00000.png, and prints the command that segments the video.

{usage}
"""

import argparse
from collections.abc import Sequence
import pathlib
import shlex
from typing import Any

from savos_jax.tools import command
from savos_jax.tools import marking

# Kinds of files written to --out.
_WRITTEN = ('grid', 'frame', 'mask', 'overlay')


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('mask', __doc__.format(usage=marking.USAGE))
  add = parser.add_argument
  path: dict[str, Any] = {'type': command.path, 'required': True}
  add('--video', **path, help='a video file, or a folder of images')
  add('--out', **path, help='the folder for the pictures')
  add('--frame', default='', help='name or number of the frame; default: first')
  marking.add_flags(parser)
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Writes the pictures and prints the next command.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.foundation import files
  from savos_jax.video import sources

  video = sources.open_video(arguments.video)
  with files.claimed(arguments.out, [arguments.video]) as manifest:
    if arguments.prompts:
      _write_masks(arguments, video, manifest)
    else:
      _write_grid(arguments, video, manifest)


def _path(arguments, video, kind: str, index: int) -> pathlib.Path:
  return arguments.out / f'{kind}_{video.names(index)}.png'


def _write_grid(arguments, video, manifest) -> None:
  from savos_jax.pictures import grid
  from savos_jax.pictures import overlay

  index = video.find(arguments.frame) if arguments.frame else 0
  path = _path(arguments, video, 'grid', index)
  manifest.check([path])
  overlay.write_png(path, grid.draw(video.frame(index)))
  print(
    f'{path}: read the coordinates of the object from it, then add\n'
    '  --box left,top,right,bottom, or --points x,y'
  )


def _write_masks(arguments, video, manifest) -> None:
  from savos_jax.datasets import masks
  from savos_jax.pictures import overlay
  from savos_jax.pictures import pointers

  prompts = marking.in_frames(video, arguments.prompts, arguments.frame)
  manifest.check(
    _path(arguments, video, kind, index)
    for index in prompts
    for kind in _WRITTEN[1:]
  )
  found = marking.prompted(video, arguments.prompts, arguments.frame)
  for index, labels in found.items():
    frame = video.frame(index)
    drawn = overlay.draw(frame, labels)
    for number, prompt in prompts[index].items():
      drawn = pointers.draw(
        drawn, overlay.colour(number), prompt.box, prompt.inside, prompt.outside
      )
      share = (labels == number).mean()
      print(
        f'frame {video.names(index)}, object {number}: {100 * share:.1f} % of '
        'the frame'
      )
    overlay.write_png(_path(arguments, video, 'frame', index), frame)
    masks.write_mask(_path(arguments, video, 'mask', index), labels)
    path = _path(arguments, video, 'overlay', index)
    overlay.write_png(path, drawn)
    print(f'look at {path}')
  print(f'to segment the video:\n  {_next(arguments, video, found)}')


def _next(arguments, video, indices) -> str:
  """Returns the command that segments the video from the masks."""
  given = []
  for index in indices:
    path = _path(arguments, video, 'mask', index)
    frame = f'{video.names(index)}=' if index else ''
    given.append(shlex.quote(f'{frame}{path}'))
  return (
    f'{command.call("segment")} --video={shlex.quote(str(arguments.video))} '
    f'--mask {" ".join(given)} --out=result'
  )


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
