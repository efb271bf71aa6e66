"""Our own files of parameters: safetensors with everything about them inside.

The metadata tell the kind of file, the architecture, where the parameters come
from, and a checksum of all arrays: safetensors notices a truncated file, but
not a flipped bit.
"""

from collections.abc import Mapping
import contextlib
import json
import os
import pathlib
from typing import Any

from flax import traverse_util
import numpy as np
import safetensors
import safetensors.numpy

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.weights import fingerprints

KINDS = ('backbone', 'model')
FORMAT = 'savos_jax'
_ADVICE = (
  'Expected a file that savos_jax.tools.import_backbone or '
  'savos_jax.tools.export_checkpoint wrote, whole. Weights from elsewhere are '
  'imported first: python -m savos_jax.tools.import_backbone SOURCE --out=FILE'
)


def write(
  path: str | os.PathLike,
  kind: str,
  params: Mapping[str, Any],
  description: Mapping[str, Any],
) -> str:
  """Writes a file, whole or not at all.

  Args:
    path: the file.
    kind: one of `KINDS`.
    params: nested dictionaries of arrays.
    description: what JSON can hold; `read_description` gives it back.

  Returns:
    The checksum of the arrays.

  Raises:
    SavosError: it can't be written.
  """
  flat = {
    name: np.ascontiguousarray(array)
    for name, array in traverse_util.flatten_dict(params, sep='/').items()
  }
  digest = fingerprints.fingerprint(params)
  metadata = {
    'format': FORMAT,
    'kind': kind,
    'description': json.dumps(description),
    'checksum': digest,
  }
  with files.replacing(path) as partial:
    try:
      safetensors.numpy.save_file(flat, partial, metadata)
    except safetensors.SafetensorError as error:
      raise OSError(str(error)) from None  # Such as a full disk.
    partial.chmod(0o666 & ~_umask())  # The library makes it private.
  return digest


def _umask() -> int:
  mask = os.umask(0)
  os.umask(mask)
  return mask


@contextlib.contextmanager
def _opened(path: pathlib.Path):
  """Opens a file of ours and yields it with its metadata."""
  if not path.is_file():
    found = 'a folder' if path.is_dir() else 'no such file'
    raise errors.SavosError(f'{path}: {found}.\n  {_ADVICE}')
  try:
    with safetensors.safe_open(path, 'numpy') as file:
      metadata = file.metadata() or {}
      if metadata.get('format') != FORMAT:
        raise errors.SavosError(
          f'{path}: a safetensors file of another program.\n  {_ADVICE}'
        )
      yield file, metadata
  except (safetensors.SafetensorError, OSError) as error:
    raise errors.SavosError(
      f'{path}: truncated, damaged or no safetensors file: {error}.\n'
      f'  {_ADVICE}'
    ) from None


def read_description(path: str | os.PathLike) -> tuple[str, dict[str, Any]]:
  """Reads what a file tells of itself, without its arrays.

  Args:
    path: the file.

  Returns:
    Its kind, one of `KINDS`, and its description.

  Raises:
    SavosError: no such file, damaged, or another program's.
  """
  path = pathlib.Path(path)
  with _opened(path) as (_, metadata):
    try:
      return metadata['kind'], json.loads(metadata['description'])
    except (KeyError, ValueError):
      raise errors.SavosError(
        f'{path}: its description is damaged.\n  {_ADVICE}'
      ) from None


def read_params(path: str | os.PathLike) -> dict[str, Any]:
  """Reads the arrays and compares them with their checksum.

  Args:
    path: the file.

  Returns:
    Nested dictionaries of arrays, in the dtype of the file.

  Raises:
    SavosError: no such file, damaged, or another program's.
  """
  path = pathlib.Path(path)
  with _opened(path) as (file, metadata):
    flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    params = traverse_util.unflatten_dict(flat, sep='/')
    if fingerprints.fingerprint(params) != metadata.get('checksum'):
      raise errors.SavosError(
        f'{path}: its arrays are not those that were written (the checksum '
        f'differs).\n  The file is damaged. Get it or make it again.'
      )
  return params
