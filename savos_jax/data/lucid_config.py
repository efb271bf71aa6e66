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
  """Ranges of the random choices; +-x stands for the range from -x to x.

  An object's size is the square root of the area of its bounding box.

  Attributes:
    illumination_probability: of changing the background, and each frame.
    illumination_gain: a in x' = a x^b + c, for saturation and value in [0, 1].
    illumination_exponent: b.
    illumination_offset: c is within +-this.
    hole_dilation: radius by which a mask is dilated before filling, pixels.
    mirror_probability: of mirroring the background left to right.
    spline_probability: of warping an object in the reference frame.
    spline_points: control points on the outline.
    spline: they move by +-this share of the object's size along each axis.
    scale: (smallest, largest) scale factor of an object.
    rotation: of an object, +- degrees.
    next_shift: motion of an object between frames, +- share of its size.
    next_spline: motion of its control points between frames, +- share.
    camera_rotation: between frames, +- degrees.
    camera_scale: (smallest, largest) factor between frames.
    camera_shift: between frames, +- share of the frame's height and width.
    turn_probability: of rotating the background in all frames.
    turn: by +- degrees.
    merge: 'poisson' (solves for the colours of a thin band) or 'feather'
      (blends along the outline; several times as fast).
    band: radius of the Poisson band, pixels.
    feather: sigma of the softened mask, pixels.
    mask_spline: motion of the previous mask's control points, +- share.
    mask_dilation: radius by which the previous mask is dilated, pixels.

  Raises:
    ValueError: a field is out of range.
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
    """Checks every field against its range."""
    ranges.check_fields(self)
