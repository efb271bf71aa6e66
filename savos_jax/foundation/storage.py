"""Files that have a URL: in s3://, gs://, https://, ... through fsspec.

A store knows files, no folders, and no lock; a file appears whole.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import hashlib
import os
import pathlib
import re
from typing import Any

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import names

_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+://.')
# What stores call the mark of a content, or the time of its last change.
_STAMPS = ('ETag', 'etag', 'generation', 'md5Hash', 'mtime', 'last_modified')
_OF_ONE_PROCESS = ('memory',)


def is_url(path: str | os.PathLike) -> bool:
  """Whether a text is a URL, no path."""
  return bool(_URL.match(os.fspath(path)))


def name(url: str) -> str:
  """Returns what the last part of a URL's path is called."""
  return url.partition('?')[0].rstrip('/').rpartition('/')[2]


def join(url: str, *parts: str) -> str:
  """Returns the URL of something below another."""
  return '/'.join([url.rstrip('/'), *parts])


@contextlib.contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
  """Lends the file system of a URL, and the path in it; explains its errors."""
  protocol = url.partition('://')[0]
  if protocol in _OF_ONE_PROCESS:
    raise errors.SavosError(
      f'{url}: of one process alone.\n  Expected a store that all machines see.'
    )
  fsspec = extras.require('fsspec', 'storage', f'{protocol}://')
  try:
    # Others write there, too: nothing is remembered.
    yield fsspec.core.url_to_fs(url, use_listings_cache=False)
  except errors.SavosError:
    raise
  except FileNotFoundError:
    raise errors.SavosError(
      f'{url}: no such file.\n  Expected a file, or a folder of files.'
    ) from None
  except ImportError as error:
    raise errors.SavosError(
      f'{url}: {error}.\n'
      "  Expected what reads it: pip install 'savos_jax[storage]' for s3:// "
      'and gs://.'
    ) from None
  except Exception as error:  # Each store has its own.
    raise errors.SavosError(
      f'{url}: {type(error).__name__}: {error}.\n'
      '  Expected a URL that can be read, or written to, from here.'
    ) from None


def check(url: str) -> None:
  """Raises SavosError where what reads such URLs is not installed."""
  with _store(url):
    pass


def fetch(url: str, folder: pathlib.Path) -> pathlib.Path:
  """Copies a file, or the files right below a folder.

  Args:
    url: of either.
    folder: gets it, under its name.

  Returns:
    Where it is.

  Raises:
    SavosError: nothing is there, or it can't be read.
  """
  copied = folder / names.check(name(url), url)
  with _store(url) as (store, path):
    if store.isfile(path):
      store.get_file(path, str(copied))
      return copied
    copied.mkdir()
    for found in store.find(path, maxdepth=1):
      inside = names.check(found.rpartition('/')[2], url)
      store.get_file(found, str(copied / inside))
  if not any(copied.iterdir()):
    raise errors.SavosError(
      f'{url}: no such file.\n  Expected a file, or a folder of files.'
    )
  return copied


def stamp(info: Mapping[str, Any]) -> tuple[str, ...]:
  """Returns what changes with a file, of what a store tells of it.

  The rest depends on how it was asked: a file alone, or those of a folder.
  """
  told = next((info[key] for key in _STAMPS if info.get(key)), '')
  return str(info.get('size')), str(told).strip('"')


def version(url: str) -> str:
  """Returns what changes with the content of a file, or of a folder's files.

  Raises:
    SavosError: it can't be read.
  """
  with _store(url) as (store, path):
    if store.isfile(path):
      found = {path: store.info(path)}
    else:
      found = store.find(path, detail=True)
    stamps = sorted((file, stamp(info)) for file, info in found.items())
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def listed(url: str) -> list[str]:
  """Returns the files below a folder, as paths in it; none if it isn't there.

  Raises:
    SavosError: it can't be read.
  """
  with _store(url) as (store, path):
    above = path.rstrip('/') + '/'
    return [file.removeprefix(above) for file in store.find(path)]


def read(url: str) -> str | None:
  """Returns a file's text; None if it isn't there.

  Raises:
    SavosError: it can't be read.
  """
  with _store(url) as (store, path):
    if not store.exists(path):
      return None
    return store.cat_file(path).decode('utf-8', 'replace')


def write(url: str, text: str) -> None:
  """Writes a file.

  Raises:
    SavosError: it can't be written.
  """
  with _store(url) as (store, path):
    store.makedirs(path.rpartition('/')[0], exist_ok=True)
    store.pipe_file(path, text.encode())


def put(folder: pathlib.Path, files: Iterable[str], url: str) -> None:
  """Copies files of a folder into a store.

  Args:
    folder: has them.
    files: paths in it.
    url: of the folder that gets them.

  Raises:
    SavosError: one can't be written.
  """
  with _store(url) as (store, path):
    for file in files:
      copy = f'{path.rstrip("/")}/{file}'
      store.makedirs(copy.rpartition('/')[0], exist_ok=True)
      store.put_file(str(folder / file), copy)


def remove(url: str, files: Iterable[str]) -> None:
  """Removes files of a folder; what isn't there is fine.

  Raises:
    SavosError: one can't be removed.
  """
  with _store(url) as (store, path):
    for file in files:
      with contextlib.suppress(FileNotFoundError):
        store.rm_file(f'{path.rstrip("/")}/{file}')
