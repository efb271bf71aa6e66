"""Boxes and points on the command line, instead of a mask."""

import argparse
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import functools
from typing import TYPE_CHECKING

from savos_jax.foundation import errors
from savos_jax.video import prompts

if TYPE_CHECKING:
  import numpy as np

  from savos_jax.video import sources

# Their syntax, for the help of programs that accept them.
USAGE = """\
  --box 120,80,300,260           left,top,right,bottom in pixels of the frame
  --points 210,150+230,180       points of the object
  --points 210,150-300,90        after a minus: points of the background
  --box 120,80,300,260@30        in frame 30
  --box 2:120,80,300,260@30      object 2

Each --box and --points is a new object, 1, 2, ... in order, unless it begins
with a number; a box and points of the same object in the same frame are
combined. GrabCut segments by colour: savos_jax.tools.mask previews the mask."""

MISSING = (
  'no object is given. Expected --mask=FILE, a mask of a frame; or '
  '--box=LEFT,TOP,RIGHT,BOTTOM around the object; or --points=X,Y on it, in '
  'pixels. savos_jax.tools.mask shows the coordinates in a frame, and the mask '
  'that a box or points give.'
)


def add_flags(parser: argparse.ArgumentParser) -> None:
  """Adds --box and --points, which are collected in order in `prompts`."""
  for name, read, shape, what in (
    ('box', prompts.of_box, '[ID:]X0,Y0,X1,Y1[@FRAME]', 'a box around an'),
    (
      'points',
      prompts.of_points,
      '[ID:]X,Y[+X,Y][-X,Y][@FRAME]',
      'points of an',
    ),
  ):
    parser.add_argument(
      f'--{name}', dest='prompts', action='extend', nargs='+', default=[],
      type=_reader(read), metavar=shape, help=f'{what} object; several times',
    )  # fmt: skip


def _reader(read: Callable) -> Callable:
  def reading(text: str) -> prompts.Given:
    try:
      return read(text)
    except errors.SavosError as error:
      raise argparse.ArgumentTypeError(str(error)) from None

  return reading


def prompted(
  video: 'sources.Video', given: Sequence[prompts.Given], frame: str = ''
) -> 'dict[int, np.ndarray]':
  """Makes masks from boxes and points.

  Args:
    video: the video.
    given: boxes and points.
    frame: name of the frame for those that name none; '': the first.

  Returns:
    Index of a frame -> labels uint8 [H, W].

  Raises:
    SavosError: there is no such frame, a box or point is outside the frame, or
      nothing is found.
  """
  from savos_jax.video import grab_cut

  found = {}
  for index, objects in in_frames(video, given, frame).items():
    try:
      found[index] = grab_cut.labels(video.frame(index), objects)
    except errors.SavosError as error:
      where = f'{video.path}, frame {video.names(index)}'
      raise errors.SavosError(f'{where}: {error}') from None
  return found


def readers(
  video: 'sources.Video',
  given: Sequence[prompts.Given],
  others: Collection[int] = (),
) -> 'dict[int, Callable[[], np.ndarray]]':
  """Makes masks from boxes and points, in the form of `mask_files.readers`.

  Args:
    video: see `prompted`.
    given: see there.
    others: indices of the frames that have a mask already.

  Raises:
    SavosError: as `prompted`; or a frame has a mask already.
  """
  twice = sorted(in_frames(video, given).keys() & set(others))
  if twice:
    raise errors.SavosError(
      f'frame {video.names(twice[0])}: both a mask, and a box or points.\n'
      '  Expected one or the other: draw all objects of this frame in the '
      'mask, or give boxes or points for all of them.'
    )
  found = prompted(video, given)
  return {index: functools.partial(found.__getitem__, index) for index in found}


def in_frames(
  video: 'sources.Video', given: Sequence[prompts.Given], frame: str = ''
) -> dict[int, dict[int, prompts.Prompt]]:
  """Returns frame index -> object id -> its prompt; see `prompted`."""

  def find(name: str) -> int:
    name = name or frame
    return video.find(name) if name else 0

  return prompts.by_frame(given, find)
