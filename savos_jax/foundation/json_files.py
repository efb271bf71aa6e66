"""Reads untrusted JSON files and checks their structure."""

import os
from typing import Any

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed


def read(path: str | os.PathLike, expected: str, form: Any) -> Any:
  """Reads a file.

  Args:
    path: the file.
    expected: added to the message if the file is something else; sentences.
    form: the required structure, see `typed.mismatch`.

  Raises:
    SavosError: it cannot be read, is not JSON, or has another structure.
  """
  try:
    value = typed.parse(files.read_text(path))
  except ValueError as error:
    found = f'no JSON: {error}'
  else:
    found = typed.mismatch(value, form)
    if not found:
      return value
  raise errors.SavosError(f'{path}: {found}.\n  {expected}')
