"""Files that appear whole or not at all."""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import secrets

from savos_jax.foundation import errors


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Lends a temporary path beside `path` that takes its place on success.

  A reader sees the old file or the whole new one. The folder is made if it is
  not there; the temporary file is hidden, has the same suffix, and is removed
  when the block raises. Any number of threads and processes may write the same
  path at once: each has a temporary file of its own, and the last one to
  finish wins.

  Args:
    path: the file to write.

  Yields:
    The path to write to.

  Raises:
    SavosError: the folder can't be made or the file can't be written.
  """
  path = pathlib.Path(path)
  # Not the process id: threads share it, and so do hosts by chance.
  token = secrets.token_hex(6)
  partial = path.with_name(f'.{path.stem}.{token}.part{path.suffix}')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield partial
    os.replace(partial, path)
  except OSError as error:
    raise errors.SavosError(
      f'{path}: could not be written: {error}.\n'
      '  Expected a folder that can be written to, with space left.'
    ) from None
  finally:
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
  """Holds a file that one process at a time may hold, of all that see it.

  The system lets go of it when the process ends, however it ends. The file
  stays; it is empty.

  Args:
    path: the file; made, with its folder, if it is not there.

  Raises:
    SavosError: another process holds it, or it can't be made.
  """
  path = pathlib.Path(path)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open('a')
  except OSError as error:
    raise errors.SavosError(
      f'{path}: could not be made: {error}.\n'
      '  Expected a folder that can be written to.'
    ) from None
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.SavosError(
        f'{path.parent}: another process works there.\n'
        '  Expected a folder of its own for each run: wait for the other, end '
        'it, or give another --workdir.'
      ) from None
    except OSError:
      pass  # A file system without locks: nothing tells.
    yield
