"""The options of an export, common to all formats."""

import dataclasses
import pathlib

from savos_jax.foundation import errors
from savos_jax.models import savos_config


@dataclasses.dataclass(frozen=True)
class Choices:
  """Options of an export.

  Attributes:
    dtype: of the stored weights: 'float32', 'float16' or 'int8'.
    objects: number of objects segmented at once; None: any number.
    size: height and width in pixels; None: any.
    calibration: folder of DAVIS whose frames calibrate 'int8'.
    npm: folder with the npm archives that the web page needs; None: they are
      downloaded.
  """

  dtype: str = 'float32'
  objects: int | None = None
  size: tuple[int, int] | None = None
  npm: pathlib.Path | None = None
  calibration: pathlib.Path | None = None


def check_multiples(size: tuple[int, int] | None) -> None:
  """Refuses a size that the network does not support.

  Raises:
    SavosError: a side is no multiple of 32.
  """
  multiple = savos_config.SIZE_MULTIPLE
  if size and any(side % multiple for side in size):
    near = 'x'.join(
      str(max(multiple, round(side / multiple) * multiple)) for side in size
    )
    raise errors.SavosError(
      f'--size is {size[0]}x{size[1]}.\n  Expected multiples of {multiple}, '
      f'such as {near}: it is what the network sees, a window or a padded '
      'frame.'
    )
