"""Reads the ResNets of Keras' applications from what Keras writes.

That is HDF5 in two layouts, bare or inside a zip archive: the older .h5, as
the published weights are, names every array by its layer; .weights.h5 and
.keras number the arrays of a layer, and have its name in an attribute.

Neither needs Keras itself, and no code that a file may hold is run.
"""

from collections.abc import Iterator
import contextlib
import io
import pathlib
import re
from typing import Any
import zipfile

import numpy as np

from savos_jax.foundation import errors
from savos_jax.weights import preprocessings
from savos_jax.weights import source as source_lib

_EPSILON = 1.001e-5  # Of keras.applications.ResNet50; Keras' default is 1e-3.
_ARCHIVED = 'model.weights.h5'  # In a .keras.
# Keras' names by their order in a layer, and torchvision's.
_PARAMETERS = {
  'conv': {'kernel': 'weight', 'bias': 'bias'},
  'bn': {
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_variance': 'running_var',
  },
}
_LAYER = re.compile(r'conv(?:1|([2-5])_block(\d+)_([0-3]))_(conv|bn)')
# What a layer of a ResNet's encoder is called, be it one that we know or not.
_ENCODER = re.compile(r'conv\d_|post_bn$|conv1$|bn_conv1$|(res|bn)\d\w+_branch')


def read(path: pathlib.Path) -> source_lib.Source:
  """Reads the weights of Keras' ResNet50, ResNet101 or ResNet152.

  Args:
    path: a .h5 or .weights.h5 (weights, or a whole model), or a .keras.

  Returns:
    The ResNet; `left_out` are the other layers' arrays. Names are not checked
    for completeness.

  Raises:
    SavosError: h5py is not installed, the file is damaged, or it has the
      layers of another network.
  """
  tensors, origins, left_out = {}, {}, []
  with _open(path) as file:
    for layer, parameter, dataset in _arrays(file.get('model_weights', file)):
      name = _torchvision_name(layer, parameter)
      original = f'{layer}/{parameter}'
      if name is None:
        if _ENCODER.match(layer):
          raise _unknown(path, original)
        left_out.append(original)
      elif name in tensors:
        raise errors.SavosError(
          f'{path}: holds "{original}" twice.\n'
          '  Expected one ResNet; save it alone.'
        )
      else:
        tensors[name] = _as_torch(path, original, np.asarray(dataset))
        origins[name] = original
  if not tensors:
    raise _unknown(path, left_out[0] if left_out else 'nothing')
  return source_lib.Source(
    layout='Keras',
    tensors=tensors,
    origins=origins,
    left_out=tuple(left_out),
    batch_norm_epsilon=_EPSILON,
    stride_variant='v1',
    stem_pool_padding=(1, 1),
    preprocessing=preprocessings.PUBLISHED['caffe'],
  )


def _torchvision_name(layer: str, parameter: str) -> str | None:
  """Returns torchvision's name of an array; None for what is no encoder's."""
  match = _LAYER.fullmatch(layer)
  if not match or parameter not in _PARAMETERS[match[4]]:
    return None
  stage, block, number, kind = match.groups()
  parameter = _PARAMETERS[kind][parameter]
  if stage is None:
    return f'{kind}1.{parameter}'
  start = f'layer{int(stage) - 1}.{int(block) - 1}'
  if number == '0':
    return f'{start}.downsample.{int(kind == "bn")}.{parameter}'
  return f'{start}.{kind}{number}.{parameter}'


def _as_torch(path: pathlib.Path, name: str, array: np.ndarray) -> np.ndarray:
  """Brings kernels from [height, width, in, out] to torchvision's order."""
  if array.dtype.kind != 'f':  # Keras writes bfloat16 as uint16.
    raise errors.SavosError(
      f'{path}: {name} is of type {array.dtype}.\n'
      '  Expected float numbers, not quantised and not bfloat16; save the '
      'model in float32.'
    )
  return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def _arrays(group) -> Iterator[tuple[str, str, Any]]:
  """Yields layer, parameter and array of all weights below a group."""
  found = []

  def visit(place, item):
    if hasattr(item, 'shape'):  # An array, no group.
      found.append((_text(place), item))

  group.visititems(visit)
  for place, dataset in found:
    *_, layer, parameter = ('', *place.split('/'))
    if layer == 'vars':
      yield _numbered(dataset, place, int(parameter))
    else:
      yield layer, parameter.removesuffix(':0'), dataset


def _numbered(dataset, place: str, number: int) -> tuple[str, str, Any]:
  """Names an array of a .weights.h5; without its layer's name, by its place."""
  layer = _text(dataset.parent.attrs.get('name', place.rpartition('/vars/')[0]))
  match = _LAYER.fullmatch(layer)
  names = list(_PARAMETERS[match[4]]) if match else []
  parameter = names[number] if number < len(names) else str(number)
  return layer, parameter, dataset


def _text(name: Any) -> str:
  """HDF5 gives bytes where a name isn't UTF-8, or has a fixed length."""
  return name.decode('utf-8', 'replace') if isinstance(name, bytes) else name


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[Any]:
  """Opens a file's HDF5, which a .keras has inside a zip archive."""
  try:
    import h5py
  except ImportError:
    raise errors.SavosError(
      f'{path}: a Keras file, and h5py is not installed.\n'
      '  Expected the package that reads it: pip install h5py (once, for the '
      'import).'
    ) from None
  try:
    if zipfile.is_zipfile(path):
      with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read(_ARCHIVED))
    else:
      content = path
    with h5py.File(content, 'r') as file:
      yield file
  # h5py raises RuntimeError and ValueError, too, for what it can't decode.
  except (
    OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile,
  ) as error:  # fmt: skip
    raise errors.SavosError(
      f'{path}: not a whole Keras file: {error}.\n'
      '  Expected a .h5, .weights.h5 or .keras as Keras writes it. A download '
      'that was cut short looks like this: get it again.'
    ) from None


def _unknown(path: pathlib.Path, found: str) -> errors.SavosError:
  return errors.SavosError(
    f"{path}: holds {found}, which Keras' ResNet50 has not.\n"
    '  Expected layers conv1_conv, conv1_bn, conv2_block1_1_conv ... as '
    'keras.applications.ResNet50 (not V2, not of before 2019) names them. '
    'Where Keras before 3.6 wrote a .keras or .weights.h5, names are missing: '
    'load it and save it as .h5.'
  )
