"""Files at URLs such as s3://, gs:// and https://, through fsspec.

Object stores have files but no folders and no locks; writes are atomic.
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
  """Whether a text is a URL rather than a path."""
  return bool(_URL.match(os.fspath(path)))


def name(url: str) -> str:
  """Returns the last component of a URL's path."""
  return url.partition('?')[0].rstrip('/').rpartition('/')[2]


def join(url: str, *parts: str) -> str:
  """Joins a URL and a relative path."""
  return '/'.join([url.rstrip('/'), *parts])


@contextlib.contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
  """Lends the file system of a URL, and the path in it; explains its errors."""
  protocol = url.partition('://')[0]
  if protocol in _OF_ONE_PROCESS:
    raise errors.SavosError(
      f'{url}: of a single process.\n'
      '  Expected storage that all machines can reach.'
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
      '  Expected the library that reads it: pip install '
      "'savos_jax[storage]' for s3:// and gs://."
    ) from None
  except Exception as error:  # Each store has its own.
    raise errors.SavosError(
      f'{url}: {type(error).__name__}: {error}.\n'
      '  Expected a URL that is readable or writable from here.'
    ) from None


def check(url: str) -> None:
  """Raises SavosError if the library for a URL is not installed."""
  with _store(url):
    pass


def fetch(url: str, folder: pathlib.Path) -> pathlib.Path:
  """Downloads a file, or the files directly in a folder.

  Args:
    url: of the file or folder.
    folder: receives it under its name.

  Returns:
    The local path.

  Raises:
    SavosError: it does not exist or cannot be read.
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
  """Returns the metadata that changes with a file.

  Other metadata depend on whether a file or a folder was listed.
  """
  told = next((info[key] for key in _STAMPS if info.get(key)), '')
  return str(info.get('size')), str(told).strip('"')


def version(url: str) -> str:
  """Returns a value that changes with the content of a file or folder.

  Raises:
    SavosError: it cannot be read.
  """
  with _store(url) as (store, path):
    if store.isfile(path):
      found = {path: store.info(path)}
    else:
      found = store.find(path, detail=True)
    stamps = sorted((file, stamp(info)) for file, info in found.items())
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def listed(url: str) -> list[str]:
  """Returns the files in a folder as relative paths; empty if it is missing.

  Raises:
    SavosError: it cannot be read.
  """
  with _store(url) as (store, path):
    above = path.rstrip('/') + '/'
    return [file.removeprefix(above) for file in store.find(path)]


def read(url: str) -> str | None:
  """Returns the text of a file; None if it does not exist.

  Raises:
    SavosError: it cannot be read.
  """
  with _store(url) as (store, path):
    if not store.exists(path):
      return None
    return store.cat_file(path).decode('utf-8', 'replace')


def write(url: str, text: str) -> None:
  """Writes a file.

  Raises:
    SavosError: it cannot be written.
  """
  with _store(url) as (store, path):
    store.makedirs(path.rpartition('/')[0], exist_ok=True)
    store.pipe_file(path, text.encode())


def put(folder: pathlib.Path, files: Iterable[str], url: str) -> None:
  """Uploads files of a folder.

  Args:
    folder: contains the files.
    files: paths relative to it.
    url: of the target folder.

  Raises:
    SavosError: a file cannot be written.
  """
  with _store(url) as (store, path):
    for file in files:
      copy = f'{path.rstrip("/")}/{file}'
      store.makedirs(copy.rpartition('/')[0], exist_ok=True)
      store.put_file(str(folder / file), copy)


def remove(url: str, files: Iterable[str]) -> None:
  """Removes files of a folder; missing ones are ignored.

  Raises:
    SavosError: a file cannot be removed.
  """
  with _store(url) as (store, path):
    for file in files:
      with contextlib.suppress(FileNotFoundError):
        store.rm_file(f'{path.rstrip("/")}/{file}')
