"""The exceptions that a user of the programs is meant to read."""

from collections.abc import Iterator
import contextlib
import io
import os
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


_NO_MEMORY = (
  'the memory is not enough.\n'
  '  Expected less at once: --max_size or --chunk of segment; '
  'config.eval.short_side, chunk or videos; config.train.batch_size, or '
  'accumulation.'
)


def explained(error: Exception) -> str | None:
  """Returns what to say of an error that no part of ours has explained."""
  if isinstance(error, SavosError):
    return str(error)
  # By its name: JAX is slow to import.
  exhausted = 'RESOURCE_EXHAUSTED' in str(error)
  if isinstance(error, MemoryError) or (
    exhausted and type(error).__name__ == 'JaxRuntimeError'
  ):
    return _NO_MEMORY
  if isinstance(error, OSError) and error.filename is not None:
    return (
      f'{os.fsdecode(error.filename)}: {error.strerror}.\n'
      '  Expected a path that can be read, or written to.'
    )
  return None


def _say(text: str) -> None:
  with contextlib.suppress(OSError, ValueError):  # Nobody listens.
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def reported() -> Iterator[None]:
  """Ends a program that fails as a shell expects: a message, no traceback.

  Exit status 3 after `Incomplete`, 2 after any other `SavosError`, a path that
  the system refuses or too little memory; 130 after Ctrl-C, and 141 where
  nobody reads what it prints any more, as with `| head`.
  """
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      # Names of files need not be UTF-8.
      stream.reconfigure(errors='backslashreplace')
  try:
    yield
    sys.stdout.flush()
  except KeyboardInterrupt:
    _say('interrupted')
    sys.exit(130)
  except BrokenPipeError:
    # What is left in the buffer would be tried again, and told.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
  except Exception as error:
    text = explained(error)
    if text is None:
      raise
    _say(f'error: {shown(text)}')
    sys.exit(3 if isinstance(error, Incomplete) else 2)
