"""Files of npm's packages that a page needs, taken when it is exported.

They are large, and others' (MIT and MPL-2.0): this package ships none of them.
A package is of one version, and its archive is the one whose SHA-512 stands
here, wherever it comes from. An archive is kept in the user's cache folder.
"""

import base64
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import io
import os
import pathlib
import tarfile
import urllib.error
import urllib.request

import tqdm

from savos_jax.foundation import errors
from savos_jax.foundation import files

_REGISTRY = 'https://registry.npmjs.org'
_SETTING = 'npm_config_registry'  # In the environment, of npm's own.
_FOLDER = 'savos_jax/npm'  # In the cache.
_CHUNK = 1 << 18  # Bytes.
_MOST = 1 << 27  # Bytes of an archive, and of each file in it.
_WAIT = 30  # Seconds that nothing comes.


@dataclasses.dataclass(frozen=True)
class Package:
  """A package.

  Attributes:
    name: at npm.
    version: of it.
    sha512: of its archive, in base64, as npm has it.
    files: the files of it that are needed, by their paths in it.
  """

  name: str
  version: str
  sha512: str
  files: tuple[str, ...]

  @property
  def archive(self) -> str:
    """The name of the archive."""
    return f'{self.name}-{self.version}.tgz'

  @property
  def names(self) -> tuple[str, ...]:
    """Of the files, in a folder of the package's name."""
    return tuple(f'{self.name}/{pathlib.Path(p).name}' for p in self.files)


_ORT = 'ort-wasm-simd-threaded'
PACKAGES = (
  Package(
    'onnxruntime-web',
    '1.30.0',
    'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1S'
    'igqR4CXAfKYQ==',
    (
      'dist/ort.wasm.min.mjs',
      f'dist/{_ORT}.mjs',
      f'dist/{_ORT}.wasm',
      'dist/ort.webgpu.min.mjs',
      f'dist/{_ORT}.asyncify.mjs',
      f'dist/{_ORT}.asyncify.wasm',
    ),
  ),
  Package(
    'mediabunny',
    '1.61.0',
    'WciPOYwKZwgYkoBKcEK6JzzIf+w5whypPzFdOihOylZ/5Qv19FmNfRnTcaprH+jD136YpEASU3'
    '0Eb6VNCJiz3A==',
    ('dist/bundles/mediabunny.min.mjs', 'LICENSE'),
  ),
)


def _advice() -> str:
  wanted = ' '.join(f'{each.name}@{each.version}' for each in PACKAGES)
  return (
    f'Expected the net; or --npm=DIR, a folder in which "npm pack {wanted}" '
    'was called.'
  )


def _is_right(package: Package, data: bytes) -> bool:
  digest = hashlib.sha512(data).digest()
  return base64.b64encode(digest).decode() == package.sha512


def _download(package: Package, url: str) -> bytes:
  taken = bytearray()
  try:
    with urllib.request.urlopen(url, timeout=_WAIT) as answer:
      total = int(answer.headers.get('content-length') or 0)
      # `disable=None`: no bar where nobody watches.
      with tqdm.tqdm(
        total=total, desc=url, unit='B', unit_scale=True, disable=None
      ) as bar:
        while part := answer.read(_CHUNK):
          taken += part
          bar.update(len(part))
          if len(taken) > _MOST:
            raise OSError(f'more than {_MOST} bytes')
  except (OSError, ValueError) as error:  # ValueError: no address.
    reason = getattr(error, 'reason', None) or error
    raise errors.SavosError(
      f'{url}: cannot be fetched: {reason}.\n  {_advice()}'
    ) from None
  data = bytes(taken)
  if not _is_right(package, data):
    raise errors.SavosError(
      f'{url}: is not what npm has under this name: its SHA-512 is another.\n'
      f'  Expected {package.sha512}. {_advice()}'
    )
  return data


def _kept() -> pathlib.Path:
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / _FOLDER


def archive(package: Package) -> bytes:
  """Returns an archive from the cache, or from the net.

  Raises:
    SavosError: it can't be fetched, or is another one.
  """
  path = _kept() / package.archive
  if path.is_file():
    data = path.read_bytes()
    if _is_right(package, data):
      return data
  registry = os.environ.get(_SETTING) or _REGISTRY
  if not registry.startswith(('https://', 'http://')):
    raise errors.SavosError(
      f'{_SETTING} is {registry!r}.\n  Expected an address that begins with '
      'https:// or http://.'
    )
  url = f'{registry.rstrip("/")}/{package.name}/-/{package.archive}'
  print(f'fetching {url}', flush=True)
  data = _download(package, url)
  with files.replacing(path) as partial:
    partial.write_bytes(data)
  return data


def _given(package: Package, folder: pathlib.Path) -> bytes:
  """Returns an archive that the user has."""
  path = folder / package.archive
  found = files.problem(path)
  if found:
    raise errors.SavosError(f'{path}: {found}.\n  {_advice()}')
  data = path.read_bytes()
  if not _is_right(package, data):
    raise errors.SavosError(
      f'{path}: is not {package.name} {package.version} of npm: its SHA-512 is '
      f'another.\n  Expected {package.sha512}. {_advice()}'
    )
  return data


@functools.lru_cache(maxsize=1)
def load(folder: pathlib.Path | None = None) -> Mapping[str, bytes]:
  """Returns all files of all packages, by `Package.names`.

  Args:
    folder: of the archives; None: they are fetched, or are in the cache.

  Raises:
    SavosError: an archive is not there, or is another one.
  """
  found = {}
  for package in PACKAGES:
    data = _given(package, folder) if folder else archive(package)
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:gz') as tar:
      for path, name in zip(package.files, package.names, strict=True):
        file = tar.extractfile(f'package/{path}')
        assert file is not None  # What has this SHA-512 has it.
        found[name] = file.read()
  return found
