"""What may be chosen of an export, whatever its format."""

import dataclasses
import pathlib

from savos_jax.foundation import errors
from savos_jax.models import savos_config


@dataclasses.dataclass(frozen=True)
class Choices:
  """How a network is exported.

  Attributes:
    dtype: of the weights in their file: 'float32', 'float16' or 'int8'.
    objects: how many are segmented at once; None: any number.
    size: height and width in pixels; None: any.
    calibration: the folder of DAVIS, of which frames tell what enters each
      convolution; for 'int8'.
    npm: folder of npm's archives for a page; None: they are fetched.
  """

  dtype: str = 'float32'
  objects: int | None = None
  size: tuple[int, int] | None = None
  npm: pathlib.Path | None = None
  calibration: pathlib.Path | None = None


def check_multiples(size: tuple[int, int] | None) -> None:
  """Refuses a size that the network itself can not see.

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
