"""The trained network that comes with the package; README.md is its card."""

import os
import pathlib

from savos_jax.foundation import errors

DEFAULT = 'default'  # Its name, wherever a file of a network is asked for.
_SHIPPED = pathlib.Path(__file__).with_name('savos.safetensors')


def find(path: str | os.PathLike) -> pathlib.Path:
  """Returns the path of a network: what was given, or the one that is shipped.

  Args:
    path: a file or folder; `DEFAULT` is the shipped file.

  Raises:
    SavosError: the shipped file is not there.
  """
  if str(path) != DEFAULT:
    return pathlib.Path(path).expanduser()
  if not _SHIPPED.is_file():
    raise errors.SavosError(
      f'{_SHIPPED}: the network that comes with savos_jax is not there.\n'
      '  Expected a file of 27 MB: check the repository out whole, or install '
      'the package again.'
    )
  return _SHIPPED


def is_shipped(path: pathlib.Path) -> bool:
  """Whether a path is that of the network that is shipped."""
  return path == _SHIPPED
