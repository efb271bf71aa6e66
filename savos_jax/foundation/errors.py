"""The exceptions that a user of the programs is meant to read."""

from collections.abc import Iterator
import contextlib
import sys

_LONGEST = 4000  # Characters of a line; longer than any path.


class SavosError(Exception):
  """Something that the user can put right.

  The message says which file or field, what was found, what was expected and
  what to do. The programs print it without a traceback and exit with status 2.
  """


class Incomplete(SavosError):
  """What was made is right as far as it goes, but it is not whole.

  Raised when all that could be made is made. Exit status 3.
  """


def shown(text: object) -> str:
  """Returns a text as a terminal may be given it.

  Names in messages come out of files: what would steer the terminal is written
  out, and long lines are cut.
  """
  lines = [
    ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    for line in str(text).split('\n')
  ]
  return '\n'.join(
    line if len(line) <= _LONGEST else f'{line[:_LONGEST]}...' for line in lines
  )


@contextlib.contextmanager
def reported() -> Iterator[None]:
  """Ends a program that fails as a shell expects: a message, no traceback.

  Exit status 3 after `Incomplete`, 2 after any other `SavosError`, 130 after
  Ctrl-C.
  """
  try:
    yield
  except SavosError as error:
    print(f'error: {shown(error)}', file=sys.stderr)
    sys.exit(3 if isinstance(error, Incomplete) else 2)
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(130)
