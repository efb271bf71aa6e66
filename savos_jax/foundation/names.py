"""Names from lists and files that become parts of paths."""

import unicodedata

from savos_jax.foundation import errors


def is_name(name: str) -> bool:
  """Tells whether a name can be that of a folder, anywhere.

  It can't where it is empty, '.' or '..', or has a separator or a control
  character: such a name would lead out of the folder that it is used in.
  """
  strange = any(
    letter in '/\\' or unicodedata.category(letter) == 'Cc' for letter in name
  )
  return bool(name.strip()) and name not in ('.', '..') and not strange


def check(name: str, where: str) -> str:
  """Returns a name if it is one. Spaces and any script are fine.

  Args:
    name: of a sequence or a part of it, from a list or a file.
    where: what says so, for the message.

  Raises:
    SavosError: it is none, see `is_name`.
  """
  if not is_name(name):
    raise errors.SavosError(
      f'{where}: {name!r} is no name of a sequence.\n  Expected that of a '
      "folder: not '.' or '..', without / and \\ and control characters."
    )
  return name
