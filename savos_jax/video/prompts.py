"""Prompts: boxes and points in a frame, instead of a mask.

`grab_cut` turns them into masks. This module is cheap to import.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
import re

from savos_jax.foundation import errors

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_NUMBER = r'\d+(?:\.\d+)?'
_OBJECT = r'(?:(?P<id>\d+):)?'
_FRAME = r'(?:@(?P<frame>.+))?'
_BOX = re.compile(rf'{_OBJECT}(?P<box>{_NUMBER}(?:,{_NUMBER}){{3}}){_FRAME}')
_POINT = rf'{_NUMBER},{_NUMBER}'
_POINTS = re.compile(
  rf'{_OBJECT}(?P<points>[+-]?{_POINT}(?:[+-]{_POINT})*){_FRAME}'
)
_MAX_ID = 254


@dataclasses.dataclass(frozen=True)
class Prompt:
  """Where one object is in a frame; x to the right, y down, from 0.

  Attributes:
    box: (left, top, right, bottom), pixels; the last column is right - 1. It
      contains the whole object. None: points only.
    inside: points (x, y) of the object.
    outside: points outside the object.

  Raises:
    SavosError: the box has no area, or a number is not finite.
  """

  box: Box | None = None
  inside: tuple[Point, ...] = ()
  outside: tuple[Point, ...] = ()

  def __post_init__(self):
    numbers = [*(self.box or ())]
    numbers += [value for point in self.points for value in point]
    if not all(map(math.isfinite, numbers)):
      raise errors.SavosError(
        f'{self}: not a number.\n  Expected pixels, from 0.'
      )
    if self.box:
      left, top, right, bottom = self.box
      if left >= right or top >= bottom:
        raise errors.SavosError(
          f'the box {shown(self.box)} has no area.\n  Expected left,top,right,'
          'bottom with left < right and top < bottom.'
        )

  @property
  def points(self) -> tuple[Point, ...]:
    """All points."""
    return (*self.inside, *self.outside)

  def check(self, size: tuple[int, int]) -> None:
    """Raises SavosError if the prompt does not define an object in the frame.

    Args:
      size: (height, width) of the frame.
    """
    if not (self.box or self.inside):
      raise errors.SavosError(
        'no box and no point on the object.\n'
        '  Expected at least one point inside it.'
      )
    height, width = size
    expected = f'Expected all of it in the frame of {width}x{height} pixels.'
    if self.box:
      left, top, right, bottom = self.box
      if left < 0 or top < 0 or right > width or bottom > height:
        raise errors.SavosError(
          f'the box {shown(self.box)} extends beyond the frame.\n  {expected}'
        )
    for x, y in self.points:
      if not (0 <= x < width and 0 <= y < height):
        raise errors.SavosError(
          f'the point {shown((x, y))} is outside of the frame.\n  {expected}'
        )

  def joined(self, other: 'Prompt') -> 'Prompt':
    """Merges two prompts for one object.

    Raises:
      SavosError: both have a box.
    """
    if self.box and other.box:
      raise errors.SavosError(
        f'two boxes of one object in one frame: {shown(self.box)} and '
        f'{shown(other.box)}.\n  Expected one.'
      )
    return Prompt(
      self.box or other.box,
      self.inside + other.inside,
      self.outside + other.outside,
    )


@dataclasses.dataclass(frozen=True)
class Given:
  """A prompt as written on the command line: see `of_box` and `of_points`.

  Attributes:
    prompt: the box or the points.
    object_id: 1..254; None: the next one, in order.
    frame: its name or number; '': not given.
  """

  prompt: Prompt
  object_id: int | None = None
  frame: str = ''


def shown(numbers: Sequence[float]) -> str:
  """Formats numbers as in a prompt."""
  return ','.join(f'{number:g}' for number in numbers)


def _given(prompt: Prompt, found: re.Match) -> Given:
  object_id = found['id'] and int(found['id'])
  if object_id is not None and not 1 <= object_id <= _MAX_ID:
    raise errors.SavosError(
      f'object {object_id}.\n  Expected a number from 1 to {_MAX_ID}.'
    )
  return Given(prompt, object_id, found['frame'] or '')


def of_box(text: str) -> Given:
  """Reads 'x0,y0,x1,y1', as '120,80,300,260', '2:120,80,300,260@30'.

  The number of the object may precede it, and that of the frame follow it.

  Raises:
    SavosError: it is malformed, or has no area.
  """
  found = _BOX.fullmatch(text)
  if not found:
    raise errors.SavosError(
      f'{text}: not a box.\n  Expected left,top,right,bottom in pixels, as '
      '120,80,300,260 or 120,80,300,260@30 for frame 30.'
    )
  left, top, right, bottom = map(float, found['box'].split(','))
  return _given(Prompt((left, top, right, bottom)), found)


def of_points(text: str) -> Given:
  """Reads 'x,y+x,y-x,y', as '210,150+230,180-300,90', '2:210,150@30'.

  Points after - are outside the object, the first one and those after + inside.
  The number of the object may precede them, and that of the frame follow them.

  Raises:
    SavosError: it is malformed.
  """
  found = _POINTS.fullmatch(text)
  if not found:
    raise errors.SavosError(
      f'{text}: not points.\n'
      '  Expected x,y in pixels, more points after + (on the object) or - '
      '(not on it), as 210,150+230,180-300,90, and @30 for frame 30.'
    )
  points: dict[str, list[Point]] = {'+': [], '-': []}
  for sign, x, y in re.findall(
    rf'([+-]?)({_NUMBER}),({_NUMBER})', found['points']
  ):
    points[sign or '+'].append((float(x), float(y)))
  return _given(
    Prompt(inside=tuple(points['+']), outside=tuple(points['-'])), found
  )


def by_frame(
  given: Sequence[Given], find: Callable[[str], int]
) -> dict[int, dict[int, Prompt]]:
  """Groups prompts by frame and object.

  Prompts without a number are objects 1, 2, 3, ... in their order; those of one
  object in one frame are joined.

  Args:
    given: the prompts as written.
    find: frame name, '' if not given -> frame index, from 0.

  Returns:
    Frame index -> object id -> prompt; both ascending.

  Raises:
    SavosError: an object has two boxes in one frame, or there are too many
      objects.
  """
  frames: dict[int, dict[int, Prompt]] = {}
  unnumbered = 0
  for each in given:
    unnumbered += each.object_id is None
    object_id = each.object_id or unnumbered
    if object_id > _MAX_ID:
      raise errors.SavosError(
        f'object {object_id}.\n  Expected at most {_MAX_ID} objects.'
      )
    objects = frames.setdefault(find(each.frame), {})
    before = objects.get(object_id)
    objects[object_id] = before.joined(each.prompt) if before else each.prompt
  return {i: dict(sorted(frames[i].items())) for i in sorted(frames)}
