"""The exceptions that a user of the programs is meant to read."""

from collections.abc import Iterator
import contextlib
import sys


class SavosError(Exception):
  """Something that the user can put right.

  The message says which file or field, what was found, what was expected and
  what to do. The programs print it without a traceback and exit with status 2.
  """


class Incomplete(SavosError):
  """What was made is right as far as it goes, but it is not whole.

  Raised when all that could be made is made. Exit status 3.
  """


@contextlib.contextmanager
def reported() -> Iterator[None]:
  """Ends a program that fails as a shell expects: a message, no traceback.

  Exit status 3 after `Incomplete`, 2 after any other `SavosError`, 130 after
  Ctrl-C.
  """
  try:
    yield
  except SavosError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(3 if isinstance(error, Incomplete) else 2)
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)
