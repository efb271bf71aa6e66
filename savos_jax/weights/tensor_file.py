"""Our own parameter files: safetensors with complete metadata.

The metadata record the kind of file, the architecture, the origin of the
parameters, and a checksum of all arrays, because safetensors detects truncation
but not flipped bits.
"""

from collections.abc import Mapping
import contextlib
import json
import os
import pathlib
import reprlib
from typing import Any

from flax import traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed
from savos_jax.weights import fingerprints
from savos_jax.weights import finite

KINDS = ('backbone', 'model')
FORMAT = 'savos_jax'
_DTYPES = ('F32', 'F16')  # What is written; safetensors has others.
_LINE = 120  # Characters of a message.
_ADVICE = (
  'Expected a file that savos_jax.tools.import_backbone or '
  'savos_jax.tools.export_checkpoint wrote, complete. Weights from elsewhere '
  'are imported first: python -m savos_jax.tools.import_backbone SOURCE '
  '--out=FILE'
)


def write(
  path: str | os.PathLike,
  kind: str,
  params: Mapping[str, Any],
  description: Mapping[str, Any],
) -> str:
  """Writes a file atomically.

  Args:
    path: the file.
    kind: one of `KINDS`.
    params: nested dictionaries of arrays.
    description: JSON values, returned by `read_description`.

  Returns:
    The checksum of the arrays.

  Raises:
    SavosError: it cannot be written.
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
  found = files.problem(path)
  if found:
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
    if errors.is_of_system(error):
      raise
    raise errors.SavosError(
      f'{path}: truncated, damaged or no safetensors file: {error}.\n'
      f'  {_ADVICE}'
    ) from None


def read_description(path: str | os.PathLike) -> tuple[str, dict[str, Any]]:
  """Reads the metadata of a file, without its arrays.

  Args:
    path: the file.

  Returns:
    Its kind, one of `KINDS`, and its description.

  Raises:
    SavosError: the file is missing, damaged or of another program.
  """
  path = pathlib.Path(path)
  with _opened(path) as (_, metadata):
    try:
      if metadata['kind'] not in KINDS:
        raise ValueError(f'kind {reprlib.repr(metadata["kind"])}')
      return metadata['kind'], typed.from_json(metadata['description'])
    except (KeyError, ValueError) as error:
      raise errors.SavosError(
        f'{path}: its description is damaged: {error}.\n  {_ADVICE}'
      ) from None


def read_params(path: str | os.PathLike, like: Any | None) -> dict[str, Any]:
  """Checks names and shapes, reads the arrays and verifies the checksum.

  Args:
    path: the file.
    like: nested dictionaries of arrays or shapes that the file must match;
      None: anything is accepted, for trusted files.

  Returns:
    Nested dictionaries of arrays, float32.

  Raises:
    SavosError: the file is missing, damaged or of another program, or its
      arrays do not match or are not finite.
  """
  path = pathlib.Path(path)
  with _opened(path) as (file, metadata):
    if like is not None:
      _check_arrays(path, file, traverse_util.flatten_dict(like, sep='/'))
    flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    params = traverse_util.unflatten_dict(flat, sep='/')
    if fingerprints.fingerprint(params) != metadata.get('checksum'):
      raise errors.SavosError(
        f'{path}: its arrays are not those that were written (the checksum '
        f'differs).\n  The file is damaged. Download or create it again.'
      )
  finite.check(path, params)
  return jax.tree.map(lambda x: x.astype(np.float32, copy=False), params)


def _check_arrays(path: pathlib.Path, file, expected: Mapping) -> None:
  """Refuses other arrays than are expected, before any is read."""
  shapes = {name: list(array.shape) for name, array in expected.items()}
  slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
  found = {
    name: part.get_shape() if part.get_dtype() in _DTYPES else part.get_dtype()
    for name, part in slices.items()
  }
  problems = [
    f'{name}: {found.get(name, "missing")} (expected '
    f'{shapes.get(name, "missing")})'
    for name in sorted(set(found) | set(shapes))
    if found.get(name) != shapes.get(name)
  ]
  if problems:
    raise errors.SavosError(
      f'{path}: its arrays are not those of the network:\n    '
      + '\n    '.join(problem[:_LINE] for problem in problems[:8])
      + (f'\n    and {len(problems) - 8} more' if len(problems) > 8 else '')
      + '\n  Make the file again with this version of savos_jax.'
    )
