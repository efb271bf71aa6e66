"""Several scales and a mirror image, averaged (SAVOS, section 5)."""

import dataclasses

from savos_jax.models import savos_config


@dataclasses.dataclass(frozen=True)
class View:
  """One way in which the network sees a frame.

  Attributes:
    height: of what it sees, pixels.
    width: of what it sees, pixels.
    flip: mirrored left-right.
    plain: neither resized nor mirrored; then the size is not used.
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
    height: of the frame, pixels.
    width: of the frame, pixels.
    scales: factors; 1 leaves a frame as it is, others are rounded to sizes of
      a multiple of 32, at least 32.
    flip: whether each is also seen mirrored.
    plain: whether a view may be plain; False: each has its size, as what shows
      a window and not the frame must.

  Returns:
    The views, the mirrored ones behind the others; each size once. Of a plain
    one height and width are 0: it is the same view at any size.
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
