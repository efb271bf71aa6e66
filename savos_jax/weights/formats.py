"""Recognises the format of a file by its first bytes and reads it."""

import pathlib
import zipfile

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.weights import keras_reader
from savos_jax.weights import onnx_reader
from savos_jax.weights import source as source_lib
from savos_jax.weights import torch_reader

# Pickle's second protocol and on: torch.save before version 1.6.
_PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_ACCEPTED = (
  'Expected a ResNet-50: a PyTorch .pth, a .safetensors (timm, Hugging Face), '
  'an .onnx, or a Keras .h5 or .keras.'
)


def recognise(path: pathlib.Path) -> str:
  """Detects the format of a file, regardless of its name.

  Args:
    path: the file.

  Returns:
    'pth', 'safetensors', 'keras' or 'onnx'.

  Raises:
    SavosError: the file is missing, empty or of another kind.
  """
  found = files.problem(path)
  if found:
    raise errors.SavosError(f'{path}: {found}.\n  {_ACCEPTED}')
  with path.open('rb') as file:
    start = file.read(9)
  if start.startswith(b'\x89HDF'):
    return 'keras'
  if start.startswith(b'PK\x03\x04'):
    return _recognise_zip(path)
  if start.startswith(_PICKLE):
    return 'pth'
  if start[8:9] == b'{':  # Behind the length of its JSON header.
    return 'safetensors'
  # A protobuf has no signature; ONNX' first field is its version, a varint.
  if start.startswith(b'\x08') and path.suffix == '.onnx':
    return 'onnx'
  if path.suffix in ('.pth', '.pt', '.safetensors', '.onnx', '.h5', '.keras'):
    raise errors.SavosError(
      f'{path}: its content is not what its name says (first bytes: '
      f'{start.hex(" ") or "none, it is empty"}).\n  {_ACCEPTED} A web page '
      'saved in its place, or a Git LFS pointer, looks like this.'
    )
  raise errors.SavosError(f'{path}: an unknown format.\n  {_ACCEPTED}')


def _recognise_zip(path: pathlib.Path) -> str:
  try:
    with zipfile.ZipFile(path) as archive:
      names = archive.namelist()
  except Exception as error:  # Those of the module zipfile have no base.
    raise errors.SavosError(
      f'{path}: truncated or damaged: {error}.\n'
      '  Expected a complete .pth or .keras file; a download that was cut '
      'short looks like this. Get it again.'
    ) from None
  if any(name.endswith('data.pkl') for name in names):
    return 'pth'
  if any(name.endswith('.weights.h5') for name in names):
    return 'keras'
  raise errors.SavosError(
    f'{path}: a zip archive with neither a PyTorch nor a Keras model '
    f'({", ".join(names[:4])} ...).\n  {_ACCEPTED} Unpack it first.'
  )


def read(path: pathlib.Path) -> source_lib.Source:
  """Reads a ResNet in any supported format.

  Args:
    path: the file.

  Returns:
    The ResNet under torchvision's names, not yet checked.

  Raises:
    SavosError: no such file, another format, or a damaged one.
  """
  readers = {
    'pth': torch_reader.read_pth,
    'safetensors': torch_reader.read_safetensors,
    'keras': keras_reader.read,
    'onnx': onnx_reader.read,
  }
  return readers[recognise(path)](path)
