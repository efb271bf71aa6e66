"""Records which files in a results folder this program wrote.

A results folder has a manifest with a line for each file: its size and hash. A
file that is not listed, or was changed since, belongs to somebody else and is
neither replaced nor removed.
"""

from collections.abc import Iterable
import hashlib
import json
import os
import pathlib
import threading

from savos_jax.foundation import errors
from savos_jax.foundation import typed

FILE = '.savos_jax.jsonl'
_SHOWN = 5  # Names in an error.
_DEPTH = 4  # Folders between a file and the manifest that it is in, at most.

Stamp = tuple[int, str]  # Size, bytes, and SHA-256.


def _real(path: str | os.PathLike) -> pathlib.Path:
  """Follows links; `Path.resolve` raises where they lead in a circle."""
  return pathlib.Path(os.path.realpath(path))


def _stamp(path: pathlib.Path) -> Stamp:
  with path.open('rb') as file:
    return path.stat().st_size, hashlib.file_digest(file, 'sha256').hexdigest()


class Manifest:
  """The manifest of a folder; threads may share it.

  Attributes:
    folder: the folder, resolved.
    is_claimed: whether this process is writing to it and owns all below it.
  """

  def __init__(self, folder: pathlib.Path):
    """Reads the manifest, if there is one."""
    self.folder = _real(folder)
    self.is_claimed = False
    self._path = self.folder / FILE
    self._lock = threading.Lock()
    self._inputs: tuple[pathlib.Path, ...] = ()
    # The last two of a file: a program may be killed before the file is the
    # last one.
    self._stamps: dict[str, list[Stamp]] = {}
    self._end = 0  # What of the file is read, bytes.
    self._read()

  def _read(self) -> None:
    """Reads what was added: by this process, or by others of the same run."""
    if not self._path.is_file() or self._path.stat().st_size == self._end:
      return
    with self._path.open('rb') as file:
      file.seek(self._end)
      added = file.read()
    added = added[: added.rfind(b'\n') + 1]  # Whole lines.
    self._end += len(added)
    for line in added.decode('utf-8', 'replace').splitlines():
      self._read_line(line)

  def _read_line(self, line: str) -> None:
    try:
      told = typed.parse(line)
    except ValueError:
      return
    # A name that leads elsewhere is none of this folder.
    if [*map(type, told if isinstance(told, list) else ())] == [str, int, str]:
      name, size, digest = told
      if '..' not in name.split('/') and not name.startswith('/'):
        self._note(name, (size, digest))

  def _note(self, name: str, stamp: Stamp) -> None:
    self._stamps[name] = [*self._stamps.get(name, [])[-1:], stamp]

  def compact(self) -> None:
    """Rewrites the manifest without obsolete entries."""
    lines = [
      json.dumps([name, *stamp]) + '\n'
      for name, stamps in self._stamps.items()
      for stamp in stamps
    ]
    partial = self._path.with_name(f'{FILE}.part')
    partial.write_text(''.join(lines), 'utf-8')
    os.replace(partial, self._path)
    self._end = self._path.stat().st_size

  def protect(self, paths: Iterable[str | os.PathLike]) -> None:
    """Protects files and folders that a run reads from being written to."""
    real = map(_real, paths)
    # What the whole folder is a part of is none of it.
    self._inputs = tuple(path for path in real if self.folder in path.parents)

  def _name(self, path: pathlib.Path) -> str:
    # Not resolved: a link is a file of this folder, wherever it leads.
    return os.path.relpath(_real(path.parent) / path.name, self.folder)

  def governs(self, path: pathlib.Path) -> bool:
    """Whether this manifest decides about a file below its folder.

    A results folder may hold other things, such as a whole home: subfolders in
    which nothing was written are not governed.
    """
    top, separator, _ = self._name(path).partition('/')
    if self.is_claimed or not separator:
      return True
    with self._lock:
      self._read()
      return any(name.startswith(f'{top}/') for name in self._stamps)

  def owns(self, path: pathlib.Path) -> bool:
    """Whether this program wrote a file that has not changed since."""
    with self._lock:
      self._read()
      stamps = self._stamps.get(self._name(path))
    if not stamps or path.is_symlink() or not path.is_file():
      return False
    sizes = [size for size, _ in stamps]
    return path.stat().st_size in sizes and _stamp(path) in stamps

  def made(self, path: pathlib.Path) -> bool:
    """Whether this program wrote a file of this name, changed or not."""
    with self._lock:
      self._read()
      return self._name(path) in self._stamps and not path.is_symlink()

  def record(self, path: pathlib.Path, partial: pathlib.Path) -> None:
    """Records that a file will have the content of `partial`.

    Recorded beforehand, so that a program killed in between never leaves a file
    it does not know.
    """
    stamp, name = _stamp(partial), self._name(path)
    with self._lock:
      if stamp in self._stamps.get(name, [])[-1:]:
        return
      with self._path.open('a', encoding='utf-8') as file:
        file.write(json.dumps([name, *stamp]) + '\n')
      self._read()

  def check(
    self, paths: Iterable[pathlib.Path], even_changed: bool = False
  ) -> None:
    """Refuses files that belong to somebody else or that the run reads.

    Args:
      paths: the files to be written; they need not exist.
      even_changed: whether changed files still count as this program's.

    Raises:
      SavosError: names such files.
    """
    there = [path for path in paths if os.path.lexists(path)]
    self._check_inputs(there)
    is_ours = self.made if even_changed else self.owns
    foreign = [path for path in there if not is_ours(path)]
    if foreign:
      names = ', '.join(self._name(path) for path in foreign[:_SHOWN])
      more = f' and {len(foreign) - _SHOWN} more' * (len(foreign) > _SHOWN)
      raise errors.SavosError(
        f'{self.folder}: holds files that this program did not write, or that '
        f'were changed since: {names}{more}.\n'
        '  Expected a folder for results only: name another, or move these '
        'files away.'
      )

  def _check_inputs(self, paths: Iterable[pathlib.Path]) -> None:
    for path in paths:
      real = _real(path)
      for used in self._inputs:
        if used == real or used in real.parents:
          raise errors.SavosError(
            f'{path}: is read by this run and would be overwritten.\n'
            '  Expected another folder for the results.'
          )

  def written(self) -> list[pathlib.Path]:
    """Returns the existing, unchanged files of this program."""
    paths = (self.folder / name for name in sorted(self._stamps))
    return [path for path in paths if self.owns(path)]

  def remove(self, paths: Iterable[pathlib.Path]) -> None:
    """Removes files of this program and leaves all others.

    Raises:
      SavosError: a file cannot be removed, or the run reads it.
    """
    self._remove([path for path in paths if self.owns(path)])

  def clear(self) -> None:
    """Removes all files of this program and leaves all others.

    Raises:
      SavosError: as `remove`.
    """
    self._remove(self.written())

  def _remove(self, owned: list[pathlib.Path]) -> None:
    self._check_inputs(owned)
    for path in owned:
      try:
        path.unlink(missing_ok=True)
      except OSError as error:
        raise errors.SavosError(
          f'{path}: from an earlier run, and cannot be removed: '
          f'{error.strerror}.\n  Expected a writable folder.'
        ) from None


_known: dict[pathlib.Path, Manifest] = {}


def begin(folder: pathlib.Path) -> Manifest:
  """Reads the manifest of a folder again, creating it if necessary.

  Raises:
    OSError: it cannot be created or read.
  """
  manifest = Manifest(folder)
  manifest.compact()
  _known[manifest.folder] = manifest
  return manifest


def join(folder: pathlib.Path, inputs: Iterable[str | os.PathLike]) -> None:
  """Takes part in a folder that another process of this run has claimed.

  Args:
    folder: has a manifest.
    inputs: files and folders being read, which are never replaced.
  """
  manifest = Manifest(folder)
  manifest.protect(inputs)
  manifest.is_claimed = True
  _known[manifest.folder] = manifest


def begin_with_all(folder: pathlib.Path) -> None:
  """Creates the manifest of a new folder, with every file in it.

  Raises:
    OSError: it cannot be written.
  """
  manifest = begin(folder)
  for path in sorted(folder.rglob('*')):
    if path.is_file() and path.name != FILE:
      manifest.record(path, path)
  del _known[manifest.folder]  # It is about to have another name.


def share(folder: pathlib.Path) -> None:
  """Gives a folder a manifest that several processes may append to at once.

  It is never rewritten, as by `begin`: entries of other processes would be
  lost.

  Args:
    folder: created if necessary.

  Raises:
    OSError: it cannot be created.
  """
  folder.mkdir(parents=True, exist_ok=True)
  (folder / FILE).touch()


def of(path: pathlib.Path) -> Manifest | None:
  """Returns the manifest of a file, in the nearest folder above.

  Args:
    path: a file, which need not exist.
  """
  folder = _real(path.parent)
  for above in (folder, *folder.parents[: _DEPTH - 1]):
    if above not in _known and (above / FILE).is_file():
      _known[above] = Manifest(above)
    if above in _known and _known[above].governs(path):
      return _known[above]
  return None


def remove_own(paths: Iterable[pathlib.Path]) -> None:
  """Removes files listed in a manifest and leaves all others.

  Raises:
    SavosError: as `Manifest.remove`.
  """
  for path in paths:
    manifest = of(path)
    if manifest:
      manifest.remove([path])
