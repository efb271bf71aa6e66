"""Names from lists and files that become parts of paths."""

import unicodedata

from savos_jax.foundation import errors


def is_name(name: str) -> bool:
  """Whether a name can be used for a folder on any system.

  It cannot if it is empty, '.' or '..', or has a separator or control
  character: such a name could point outside its folder.
  """
  strange = any(
    letter in '/\\' or unicodedata.category(letter) == 'Cc' for letter in name
  )
  return bool(name.strip()) and name not in ('.', '..') and not strange


def check(name: str, where: str) -> str:
  """Returns a valid name. Spaces and any script are allowed.

  Args:
    name: of a sequence or a part of it, from a list or a file.
    where: its source, for the message.

  Raises:
    SavosError: it is not valid, see `is_name`.
  """
  if not is_name(name):
    raise errors.SavosError(
      f'{where}: {name!r} is not a valid name of a sequence.\n'
      "  Expected a folder name: not '.' or '..', without /, \\ and control "
      'characters.'
    )
  return name
