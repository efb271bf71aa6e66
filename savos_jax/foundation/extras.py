"""Optional libraries, imported where they are used."""

import importlib
from types import ModuleType

from savos_jax.foundation import errors


def require(module: str, extra: str, purpose: str) -> ModuleType:
  """Imports a library that belongs to an extra of this package.

  Args:
    module: its name, such as 'tensorflow'.
    extra: the extra of pyproject.toml that installs it.
    purpose: what it is needed for, for the message.

  Returns:
    The module.

  Raises:
    SavosError: it is not installed.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    # What is there and cannot be imported must not be called missing.
    if error.name != module.partition('.')[0]:
      raise
    raise errors.SavosError(
      f'{purpose} needs {error.name}, which is not installed.\n'
      f"  Expected it: pip install 'savos_jax[{extra}]', or in a checkout "
      'pip install -r requirements.txt.'
    ) from None
