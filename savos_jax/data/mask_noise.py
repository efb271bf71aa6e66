"""The ranges by which a mask is perturbed."""

import dataclasses

from savos_jax.foundation import ranges


@dataclasses.dataclass(frozen=True)
class MaskNoise:
  """Ranges of the perturbation.

  Attributes:
    shift: largest displacement, as a share of the object's size.
    scale: (smallest, largest) scale factor about the object's centre.
    spline: largest displacement of 5 outline points, as a share of the size.
    dilation: largest erosion or dilation, pixels.
    blur: largest sigma of the soft edge, pixels.
    drop_probability: of an empty mask, as if the object had been lost.

  Raises:
    ValueError: a field is out of range.
  """

  shift: float = ranges.field(0.05, ranges.number(0, 10))
  scale: tuple[float, float] = ranges.field(
    (0.95, 1.05), ranges.ascending(0, 100, above=True)
  )
  spline: float = ranges.field(0.05, ranges.number(0, 10))
  dilation: int = ranges.field(5, ranges.whole(0, 1000, of='pixels'))
  blur: float = ranges.field(3.0, ranges.number(0, 1000, of='pixels'))
  drop_probability: float = ranges.field(0.02, ranges.SHARE)

  def __post_init__(self):
    """Checks every field against its range."""
    ranges.check_fields(self)
