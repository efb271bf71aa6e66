"""The ranges of lucid dreaming."""

import dataclasses

MERGES = ('poisson', 'feather')


def _require(condition, field, found, expected):
  if not condition:
    raise ValueError(f'{field} is {found!r}; expected {expected}')


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

  illumination_probability: float = 0.5
  illumination_gain: tuple[float, float] = (0.97, 1.03)
  illumination_exponent: tuple[float, float] = (0.8, 1.2)
  illumination_offset: float = 0.05
  hole_dilation: int = 7
  mirror_probability: float = 0.5
  spline_probability: float = 0.5
  spline_points: int = 5
  spline: float = 0.05
  scale: tuple[float, float] = (0.85, 1.15)
  rotation: float = 30.0
  next_shift: float = 0.05
  next_spline: float = 0.05
  camera_rotation: float = 3.0
  camera_scale: tuple[float, float] = (0.95, 1.05)
  camera_shift: float = 0.05
  turn_probability: float = 0.5
  turn: float = 30.0
  merge: str = 'poisson'
  band: int = 2
  feather: float = 1.0
  mask_spline: float = 0.05
  mask_dilation: int = 5

  def __post_init__(self):
    """Refuses what no dream can be made from."""
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if field.name.endswith('probability'):
        _require(0 <= value <= 1, field.name, value, 'a number from 0 to 1')
      elif isinstance(field.default, tuple):
        _require(
          len(value) == 2 and 0 < value[0] <= value[1],
          field.name,
          value,
          'two ascending numbers above 0',
        )
      elif isinstance(field.default, (int, float)):
        _require(value >= 0, field.name, value, 'a number of at least 0')
    _require(self.spline_points >= 3, 'spline_points', self.spline_points, '3+')
    _require(self.band >= 1, 'band', self.band, 'at least 1 pixel')
    _require(self.merge in MERGES, 'merge', self.merge, f'one of {MERGES}')
