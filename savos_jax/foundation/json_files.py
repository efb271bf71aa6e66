"""JSON files of others, which have a form or are refused."""

import os
from typing import Any

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed


def read(path: str | os.PathLike, expected: str, form: Any) -> Any:
  """Reads a file.

  Args:
    path: the file.
    expected: what to say where it is something else, a sentence or more.
    form: that it must have, see `typed.mismatch`.

  Raises:
    SavosError: it can't be read, is no JSON, or of another form.
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
