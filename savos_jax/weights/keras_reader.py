"""Reads the ResNets of keras.applications from files that Keras writes.

They contain HDF5 in one of two layouts, bare or in a zip archive: the older
.h5, used for the published weights, names every array by its layer; .weights.h5
and .keras number the arrays of a layer and keep its name in an attribute.

Keras itself is not needed, and code in a file is never run.
"""

from collections.abc import Iterator
import contextlib
import io
import math
import pathlib
import re
from typing import Any
import zipfile

import numpy as np

from savos_jax.foundation import errors
from savos_jax.weights import bounds
from savos_jax.weights import preprocessings
from savos_jax.weights import source as source_lib

_EPSILON = 1.001e-5  # Of keras.applications.ResNet50; Keras' default is 1e-3.
_DEEPEST = 16  # Groups in groups.
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
    budget = bounds.Budget(path)
    for layer, parameter, dataset in _arrays(path, _root(path, file)):
      name = _torchvision_name(layer, parameter)
      original = f'{layer}/{parameter}'
      if name is None:
        if _ENCODER.match(layer):
          raise _unknown(path, original)
        left_out.append(original)
      elif name in tensors:
        raise errors.SavosError(
          f'{path}: holds "{original}" twice.\n'
          '  Expected a single ResNet: save it separately.'
        )
      else:
        tensors[name] = _as_torch(_read(path, original, dataset, budget))
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


def _as_torch(array: np.ndarray) -> np.ndarray:
  """Brings kernels from [height, width, in, out] to torchvision's order."""
  return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def _read(path, name: str, dataset, budget: bounds.Budget) -> np.ndarray:
  """Reads an array of floats that is in the file itself."""
  if dataset.is_virtual or dataset.external:
    raise _elsewhere(path, name)
  if dataset.dtype.kind != 'f':  # Keras writes bfloat16 as uint16.
    raise errors.SavosError(
      f'{path}: {name} is of type {dataset.dtype}.\n'
      '  Expected unquantised floats and not bfloat16; save the '
      'model in float32.'
    )
  size = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
  budget.take(size, name)
  # Packed, a few bytes may become any number; and what was never written is
  # made up.
  packed = dataset.id.get_create_plist().get_nfilters()
  if packed or dataset.id.get_storage_size() < size:
    raise errors.SavosError(
      f'{path}: the {size} bytes of {name} are '
      f'{"compressed" if packed else "not all in the file"}.\n  Expected plain '
      'arrays, as Keras writes them: save the model again.'
    )
  return np.asarray(dataset)


def _elsewhere(path, name: str) -> errors.SavosError:
  return errors.SavosError(
    f'{path}: {name} is in another file, which is not read.\n  Expected all '
    'arrays in the file itself, as Keras writes them: save the model again.'
  )


def _root(path, file):
  """Returns the group of the weights; a link could lead out of the file."""
  link = file.get('model_weights', getlink=True)
  if link is None:
    return file
  # Its kinds are h5py's; that of what is in the file has no path.
  if hasattr(link, 'path'):
    raise _elsewhere(path, 'model_weights')
  return file['model_weights']


def _arrays(path, group) -> Iterator[tuple[str, str, Any]]:
  """Yields layer, parameter and array of all weights below a group."""
  found = []

  def visit(place, item):  # Links to elsewhere are not visited.
    place = _text(place)
    if place.count('/') > _DEEPEST:
      raise errors.SavosError(
        f'{path}: groups in groups, {place[:60]}....\n  Expected a model of '
        'Keras: save it again.'
      )
    if hasattr(item, 'shape'):  # An array, no group.
      found.append((place, item))

  if hasattr(group, 'visititems'):
    group.visititems(visit)
  for place, dataset in found:
    *_, layer, parameter = ('', *place.split('/'))
    if layer == 'vars' and parameter.isdecimal():
      yield _numbered(dataset, place, int(parameter))
    else:
      yield layer, parameter.removesuffix(':0'), dataset


def _numbered(dataset, place: str, number: int) -> tuple[str, str, Any]:
  """Names an array of a .weights.h5; without its layer's name, by its place."""
  layer = dataset.parent.attrs.get('name', place.rpartition('/vars/')[0])
  layer = _text(layer) if isinstance(layer, str | bytes) else repr(layer)[:60]
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
    content = _unpacked(path) if zipfile.is_zipfile(path) else path
    with h5py.File(content, 'r') as file:
      yield file
  except errors.SavosError:
    raise
  except Exception as error:  # h5py and zipfile have no common base of theirs.
    if errors.is_of_system(error):
      raise
    raise errors.SavosError(
      f'{path}: not a complete Keras file: {error}.\n'
      '  Expected a .h5, .weights.h5 or .keras as Keras writes it. A download '
      'that was cut short looks like this: get it again.'
    ) from None


def _unpacked(path: pathlib.Path) -> io.BytesIO:
  """Reads the HDF5 out of a zip archive."""
  budget = bounds.Budget(path)
  with zipfile.ZipFile(path) as archive:
    member = archive.getinfo(_ARCHIVED)
    # Of the others a few bytes may become gigabytes before they can be counted.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
      raise zipfile.BadZipFile(f'{_ARCHIVED} is compressed as Keras does not')
    budget.take(member.file_size, _ARCHIVED)
    with archive.open(member) as file:
      return io.BytesIO(file.read(member.file_size))


def _unknown(path: pathlib.Path, found: str) -> errors.SavosError:
  return errors.SavosError(
    f"{path}: holds {found}, which Keras' ResNet50 has not.\n"
    '  Expected layers conv1_conv, conv1_bn, conv2_block1_1_conv ... as '
    'keras.applications.ResNet50 (not V2, not of before 2019) names them. '
    'Where Keras before 3.6 wrote a .keras or .weights.h5, names are missing: '
    'load it and save it as .h5.'
  )
