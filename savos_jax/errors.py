"""The one exception that a user of the programs is meant to read."""


class SavosError(Exception):
  """Something that the user can put right.

  The message says which file or field, what was found, what was expected and
  what to do. The programs print it without a traceback and exit with status 2.
  """
