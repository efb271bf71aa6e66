"""The ranges of lucid dreaming."""

import dataclasses

from savos_jax.foundation import ranges

MERGES = ('poisson', 'feather')


_DEGREES = ranges.number(0, 180, of='degrees')
# Of an object, or of the frame.
_SHARE_OF_SIZE = ranges.number(0, 10)
_FACTORS = ranges.ascending(0, 100, above=True)
_PIXELS = ranges.whole(0, 1000, of='pixels')


@dataclasses.dataclass(frozen=True)
class LucidConfig:
  """Ranges of the random choices; +-x stands for a range from -x to x.

  An object's size is the square root of its bounding box's area.

  Attributes:
    illumination_probability: of a change to the background, and to each frame.
    illumination_gain: a of x' = a x^b + c, for saturation and value in [0, 1].
    illumination_exponent: b.
    illumination_offset: c is +-this.
    hole_dilation: radius by which a mask grows before it is filled, pixels.
    mirror_probability: of a background seen left-right.
    spline_probability: of a bent object in the reference frame.
    spline_points: points of the outline that the bending moves.
    spline: they move by +-this share of the object's size, along each axis.
    scale: (smallest, largest) factor of an object's size.
    rotation: of an object, +- degrees.
    next_shift: from frame to frame an object moves by +-this share of its size.
    next_spline: from frame to frame the outline's points move by +-this share.
    camera_rotation: between frames, +- degrees.
    camera_scale: (smallest, largest) factor between frames.
    camera_shift: between frames, +- share of the frame's height and width.
    turn_probability: of a background that is turned in all frames.
    turn: by +- degrees.
    merge: 'poisson' (colours of a thin band solved for) or 'feather' (mixed
      along the outline; several times as fast).
    band: radius of the Poisson band, pixels.
    feather: sigma of the softened mask, pixels.
    mask_spline: the previous mask's outline points move by +-this share.
    mask_dilation: radius by which the previous mask grows, pixels.

  Raises:
    ValueError: a field is out of its range.
  """

  illumination_probability: float = ranges.field(0.5, ranges.SHARE)
  illumination_gain: tuple[float, float] = ranges.field((0.97, 1.03), _FACTORS)
  illumination_exponent: tuple[float, float] = ranges.field(
    (0.8, 1.2), _FACTORS
  )
  illumination_offset: float = ranges.field(0.05, ranges.SHARE)
  hole_dilation: int = ranges.field(7, _PIXELS)
  mirror_probability: float = ranges.field(0.5, ranges.SHARE)
  spline_probability: float = ranges.field(0.5, ranges.SHARE)
  spline_points: int = ranges.field(5, ranges.whole(3, 1000))
  spline: float = ranges.field(0.05, _SHARE_OF_SIZE)
  scale: tuple[float, float] = ranges.field((0.85, 1.15), _FACTORS)
  rotation: float = ranges.field(30.0, _DEGREES)
  next_shift: float = ranges.field(0.05, _SHARE_OF_SIZE)
  next_spline: float = ranges.field(0.05, _SHARE_OF_SIZE)
  camera_rotation: float = ranges.field(3.0, _DEGREES)
  camera_scale: tuple[float, float] = ranges.field((0.95, 1.05), _FACTORS)
  camera_shift: float = ranges.field(0.05, _SHARE_OF_SIZE)
  turn_probability: float = ranges.field(0.5, ranges.SHARE)
  turn: float = ranges.field(30.0, _DEGREES)
  merge: str = ranges.field('poisson', ranges.choice(*MERGES))
  band: int = ranges.field(2, ranges.whole(1, 1000, of='pixels'))
  feather: float = ranges.field(1.0, ranges.number(0, 1000, of='pixels'))
  mask_spline: float = ranges.field(0.05, _SHARE_OF_SIZE)
  mask_dilation: int = ranges.field(5, _PIXELS)

  def __post_init__(self):
    """Refuses what no dream can be made from."""
    ranges.check_fields(self)
