"""Views at several scales and mirrored, averaged (SAVOS, section 5)."""

import dataclasses

from savos_jax.models import savos_config


@dataclasses.dataclass(frozen=True)
class View:
  """One way in which the network sees a frame.

  Attributes:
    height: the network's input height, pixels.
    width: the network's input width, pixels.
    flip: whether the frame is mirrored left-right.
    plain: whether the frame is neither resized nor mirrored; height and width
      are then unused.
  """

  height: int
  width: int
  flip: bool
  plain: bool


def views(
  height: int,
  width: int,
  scales: tuple[float, ...],
  flip: bool,
  plain: bool = True,
) -> tuple[View, ...]:
  """Lists the views of a frame.

  Args:
    height: the frame's, pixels.
    width: the frame's, pixels.
    scales: scale factors; 1 keeps the frame's size, others are rounded to
      multiples of 32, at least 32.
    flip: whether to add a mirrored view for each scale.
    plain: whether views may be plain; False gives every view an explicit size,
      as views of a window need.

  Returns:
    The views without duplicate sizes, mirrored ones last. A plain view has
    height and width 0, so that it is equal for frames of any size.
  """
  multiple = savos_config.SIZE_MULTIPLE

  def rounded(side: int, scale: float) -> int:
    if scale == 1.0:
      return side
    return max(multiple, round(side * scale / multiple) * multiple)

  sizes = dict.fromkeys((rounded(height, s), rounded(width, s)) for s in scales)
  mirrored = (False, True) if flip else (False,)
  return tuple(
    View(0, 0, flip=False, plain=True)
    if plain and size == (height, width) and not side
    else View(*size, flip=side, plain=False)
    for side in mirrored
    for size in sizes
  )
