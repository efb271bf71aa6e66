"""Names from lists and files that become parts of paths."""

import unicodedata

from savos_jax.foundation import errors


def check(name: str, where: str) -> str:
  """Returns a name that can be that of a folder, anywhere.

  Spaces and any script are fine.

  Args:
    name: of a sequence or a part of it, from a list or a file.
    where: what says so, for the message.

  Raises:
    SavosError: it is empty, '.' or '..', or has a separator or a control
      character: such a name would lead out of the folder of the results.
  """
  strange = [
    letter
    for letter in name
    if letter in '/\\' or unicodedata.category(letter) == 'Cc'
  ]
  if not name.strip() or name in ('.', '..') or strange:
    raise errors.SavosError(
      f'{where}: {name!r} is no name of a sequence.\n  Expected that of a '
      "folder: not '.' or '..', without / and \\ and control characters."
    )
  return name
