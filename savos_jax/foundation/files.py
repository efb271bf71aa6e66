"""Regular files, atomic writes, and folders with one owner."""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import re
import secrets
import stat

from savos_jax.foundation import errors
from savos_jax.foundation import manifests

# What a killed program was writing.
_LEFT = re.compile(r'\..*\.[0-9a-f]{12}\.part(\..*)?')


# Bytes of a text; the scores of a large data set take some millions.
_MOST_TEXT = 1 << 28

# What is no file: to open one may wait for ever, or do something.
_OTHERS = {
  stat.S_IFDIR: 'a folder',
  stat.S_IFIFO: 'a pipe',
  stat.S_IFCHR: 'a device',
  stat.S_IFBLK: 'a device',
  stat.S_IFSOCK: 'a socket',
}


def problem(path: str | os.PathLike) -> str:
  """Says why a path cannot be read as a regular file, without opening others.

  Args:
    path: symbolic links are followed.

  Returns:
    'no such file', 'a folder', 'a pipe', 'Permission denied', ...; '' if it is
    a readable file.
  """
  try:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
      return _OTHERS.get(stat.S_IFMT(mode), 'no file')
    # Libraries tell one that can't be opened from a damaged one badly.
    os.close(os.open(path, os.O_RDONLY))
  except (FileNotFoundError, NotADirectoryError, ValueError):  # A null in it.
    return 'no such file'
  except OSError as error:
    return error.strerror or str(error)
  return ''


def read_text(path: str | os.PathLike) -> str:
  """Reads a UTF-8 text file, without a byte order mark.

  Args:
    path: the file.

  Raises:
    SavosError: it is not a file, unreadable, too large or not text.
  """
  found = problem(path)
  if not found:
    try:
      size = os.path.getsize(path)
      if size <= _MOST_TEXT:
        return pathlib.Path(path).read_text('utf-8-sig')
      found = f'{size} bytes, more than {_MOST_TEXT}'
    except UnicodeDecodeError:
      found = 'not a text in UTF-8'
    except OSError as error:
      found = error.strerror or str(error)
  raise errors.SavosError(
    f'{path}: {found}.\n  Expected a text file that can be read.'
  )


def check_plain(folder: str | os.PathLike) -> None:
  """Refuses a folder that contains anything but files and folders.

  For libraries that read everything in it: opening a pipe may block forever.

  Raises:
    SavosError: it contains a pipe, a device, a socket or a link to one.
  """
  for path in pathlib.Path(folder).rglob('*'):
    found = problem(path)
    if found in ('a pipe', 'a device', 'a socket'):
      raise errors.SavosError(
        f'{path}: {found}.\n  Expected only files and folders here: remove it.'
      )


def _sync(path: pathlib.Path) -> None:
  """Has a file or folder written to the disk itself: a power cut may follow."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


@contextlib.contextmanager
def replacing(
  path: str | os.PathLike, even_changed: bool = False
) -> Iterator[pathlib.Path]:
  """Yields a temporary path beside `path` and renames it to `path` on success.

  A reader sees either the old file or the complete new one, even after a power
  cut. In a folder with a manifest, a file of somebody else is not replaced
  (`manifests`). The folder is created if necessary. The temporary file is
  hidden, has the same suffix, and is removed if the block raises. Any number of
  threads and processes may write the same path at once: each uses its own
  temporary file, and the last to finish wins.

  Args:
    path: the file to write.
    even_changed: whether to replace a file of this program that was changed
      since; for files that can be made again.

  Yields:
    The path to write to.

  Raises:
    SavosError: the folder cannot be created, the file cannot be written, or the
      path is taken by a file of somebody else or by something that is not a
      file.
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_file():  # A device would be gone.
    raise errors.SavosError(
      f'{path}: {problem(path)}.\n'
      '  Expected an existing file or an unused path.'
    )
  manifest = manifests.of(path)
  if manifest:
    manifest.check([path], even_changed)
  # Not the process id: threads share it, and so do hosts by chance.
  token = secrets.token_hex(6)
  partial = path.with_name(f'.{path.stem}.{token}.part{path.suffix}')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield partial
    if manifest:
      manifest.record(path, partial)
    _sync(partial)
    os.replace(partial, path)
    with contextlib.suppress(OSError):  # Some file systems can't.
      _sync(path.parent)
  except OSError as error:
    raise errors.SavosError(
      f'{path}: could not be written: {error}.\n'
      '  Expected a writable folder with free space.'
    ) from None
  finally:
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
  """Holds a lock file, which only one process can hold at a time.

  The system releases the lock when the process ends, however it ends. The empty
  file remains.

  Args:
    path: the file; created with its folder if necessary.

  Raises:
    SavosError: another process holds it, or it cannot be created.
  """
  path = pathlib.Path(path)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open('a')
  except OSError as error:
    raise errors.SavosError(
      f'{path}: could not be made: {error}.\n  Expected a writable folder.'
    ) from None
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.SavosError(
        f'{path.parent}: another process is using it.\n'
        '  Expected a separate folder for each run: wait for the other '
        'process, end it, or name another folder.'
      ) from None
    except OSError:
      pass  # A file system without locks: nothing tells.
    yield


@contextlib.contextmanager
def claimed(
  folder: str | os.PathLike, inputs: Iterable[str | os.PathLike] = ()
) -> Iterator[manifests.Manifest]:
  """Locks a results folder and gives it a manifest.

  Args:
    folder: created if necessary.
    inputs: files and folders being read, which are never replaced.

  Yields:
    The manifest. Partial files of a killed program have been removed.

  Raises:
    SavosError: another process holds it, or it cannot be created.
  """
  folder = pathlib.Path(folder)
  with locked(folder / '.savos_jax.lock'):
    try:
      manifest = manifests.begin(folder)
      for path in folder.rglob('.*.part*'):
        if _LEFT.fullmatch(path.name) and path.is_file():
          path.unlink()
    except OSError as error:
      raise errors.SavosError(
        f'{folder}: {error.strerror}.\n'
        '  Expected a readable and writable folder.'
      ) from None
    manifest.protect(inputs)
    manifest.is_claimed = True
    try:
      yield manifest
    finally:
      manifest.is_claimed = False
