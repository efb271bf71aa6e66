"""Checks that parameters are finite: one that is not empties every mask."""

import os
from typing import Any

from flax import traverse_util
import numpy as np

from savos_jax.foundation import errors

_LISTED = 4  # Names in a message.


def check(where: str | os.PathLike, params: Any) -> None:
  """Refuses parameters that are not finite.

  Args:
    where: the file or folder, for the message.
    params: nested dictionaries of arrays of floats.

  Raises:
    SavosError: some are infinite or not a number.
  """
  broken = [
    name
    for name, array in traverse_util.flatten_dict(params, sep='/').items()
    if not np.isfinite(array).all()
  ]
  if broken:
    more = f' and {len(broken) - _LISTED} more' if len(broken) > _LISTED else ''
    raise errors.SavosError(
      f'{where}: NaN or infinite values in '
      f'{", ".join(broken[:_LISTED])}{more}.\n'
      '  Expected finite parameters: the training diverged, or the file was '
      'changed. Use another file or an earlier checkpoint.'
    )
