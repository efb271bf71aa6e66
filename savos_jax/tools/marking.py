"""Boxes and points on the command line, in place of a mask."""

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

# Of a program that takes them: how they are written.
USAGE = """\
  --box 120,80,300,260           left,top,right,bottom in pixels of the frame
  --points 210,150+230,180       points of the object
  --points 210,150-300,90        behind a minus: points that are not of it
  --box 120,80,300,260@30        in frame 30
  --box 2:120,80,300,260@30      object 2

Each --box and --points is an object, 1, 2, ... in their order, unless its
number is in front; a box and points of one number in one frame are joined.
GrabCut cuts the mask out, by colours: savos_jax.tools.mask shows it first."""

MISSING = (
  'nothing says what to follow. Expected --mask=FILE, a mask drawn over a '
  'frame; or --box=LEFT,TOP,RIGHT,BOTTOM around the object; or --points=X,Y of '
  'it, in pixels. savos_jax.tools.mask shows where that is in a frame, and '
  'what is found there.'
)


def add_flags(parser: argparse.ArgumentParser) -> None:
  """Adds --box and --points; what is given is in `prompts`, in its order."""
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
  """Makes masks of what was pointed at.

  Args:
    video: whose frames are meant.
    given: boxes and points.
    frame: name of the frame of those that name none; '': the first.

  Returns:
    Index of a frame -> labels uint8 [H, W].

  Raises:
    SavosError: no such frame, not within the frame, or nothing is found.
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
  """Makes masks of what was pointed at, as `mask_files.readers` gives them.

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
      f'frame {video.names(twice[0])}: a mask, and a box or points.\n'
      '  Expected one of both: draw all objects of it into the mask, or give '
      'boxes or points of all.'
    )
  found = prompted(video, given)
  return {index: functools.partial(found.__getitem__, index) for index in found}


def in_frames(
  video: 'sources.Video', given: Sequence[prompts.Given], frame: str = ''
) -> dict[int, dict[int, prompts.Prompt]]:
  """Returns index of a frame -> object id -> its prompt; see `prompted`."""

  def find(name: str) -> int:
    name = name or frame
    return video.find(name) if name else 0

  return prompts.by_frame(given, find)
