"""The exceptions whose messages are meant for users."""

from collections.abc import Iterator
import contextlib
import errno
import io
import os
import sys

from savos_jax.foundation import interrupts

_LONGEST = 4000  # Characters of a line; longer than any path.
_AROUND = 60  # Characters shown before and behind what is wrong in a text.


class SavosError(Exception):
  """An error that the user can correct.

  The message names the file or field and says what was found, what was expected
  and what to do. Programs print it without a traceback and exit with status 2.
  """


class Incomplete(SavosError):
  """The result is correct as far as it goes, but incomplete.

  Raised at the end, when everything possible has been done. Exit status 3.
  """


def shown(text: object) -> str:
  """Makes a text safe to print on a terminal.

  Names in messages come from files: control characters are escaped, and long
  lines truncated.
  """
  lines = [
    ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    for line in str(text).split('\n')
  ]
  return '\n'.join(
    line if len(line) <= _LONGEST else f'{line[:_LONGEST]}...' for line in lines
  )


_NO_MEMORY = (
  'there is not enough memory.\n'
  '  Expected less at once: --max_size or --chunk of segment; '
  'config.eval.short_side, chunk or videos; config.train.batch_size, or '
  'accumulation.'
)
# What the system may refuse whatever the file holds.
_OF_SYSTEM = {
  errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
  errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
  errno.EROFS,
}  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
  """Whether an error of any library means that memory ran out."""
  # By their names: JAX and OpenCV are slow to import.
  kind = type(error).__name__
  return (
    isinstance(error, MemoryError)
    or (kind == 'JaxRuntimeError' and 'RESOURCE_EXHAUSTED' in str(error))
    or (kind == 'error' and 'Insufficient memory' in str(error))
    or (kind == 'RuntimeError' and "can't start new thread" in str(error))
  )


def is_of_system(error: BaseException) -> bool:
  """Whether an error comes from the system and does not mean a damaged file.

  For readers whose libraries raise arbitrary exceptions.
  """
  refused = isinstance(error, OSError) and error.errno in _OF_SYSTEM
  return refused or is_out_of_memory(error)


def explained(error: Exception) -> str | None:
  """Returns a message for an error that no other code has explained."""
  if isinstance(error, SavosError):
    return str(error)
  if is_out_of_memory(error):
    return _NO_MEMORY
  if isinstance(error, OSError) and error.filename is not None:
    return (
      f'{os.fsdecode(error.filename)}: {error.strerror}.\n'
      '  Expected a path with read or write permission.'
    )
  if isinstance(error, OSError) and error.errno in _OF_SYSTEM:
    return (
      f'{error.strerror or error}.\n'
      '  Expected a system that allows it: free space where it writes, '
      'including standard output, and a sufficient limit of open files '
      '(ulimit -n).'
    )
  if isinstance(error, RuntimeError) and 'Symlink loop' in str(error):
    return f'{error}.\n  Expected a link to an existing file.'
  if isinstance(error, UnicodeEncodeError) and 'surrogates' in error.reason:
    start, end = max(0, error.start - _AROUND), error.end + _AROUND
    return (
      f'{error.object[start:end]!r}: a name that is not UTF-8.\n'
      '  Expected UTF-8 in the names of files and folders: rename it.'
    )
  return None


def _say(text: str) -> None:
  with contextlib.suppress(OSError, ValueError):  # Nobody listens.
    print(text, file=sys.stderr, flush=True)


def _open_streams() -> None:
  """Gives a program its three streams, where whoever started it closed some.

  Else a file that it opens becomes one of them, and gets what is printed.
  """
  for number, name in enumerate(('stdin', 'stdout', 'stderr')):
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.
    if getattr(sys, name) is None:
      mode = 'w' if number else 'r'
      setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      # Names of files need not be UTF-8.
      stream.reconfigure(errors='backslashreplace')


def _drop_unwritten() -> None:
  """Leaves nothing in the buffers: Python would try it again, and tell."""
  for stream in (sys.stdout, sys.stderr):
    try:
      stream.flush()
    except OSError:
      os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def reported() -> Iterator[None]:
  """Makes a failing program end as a shell expects: a message, no traceback.

  Exit status 3 after `Incomplete`; 2 after any other `SavosError`, an error of
  the file system or a lack of memory; 130 after Ctrl-C; 141 if the output is no
  longer read, as with `| head`.
  """
  _open_streams()
  try:
    try:
      with interrupts.kept():
        yield
    finally:
      sys.stdout.flush()
  except KeyboardInterrupt:
    _say('interrupted')
    sys.exit(130)
  except BrokenPipeError:
    sys.exit(141)
  except Exception as error:
    text = explained(error)
    if text is None:
      raise
    _say(f'error: {shown(text)}')
    sys.exit(3 if isinstance(error, Incomplete) else 2)
  finally:
    _drop_unwritten()
