"""Reads ResNets that PyTorch trained: `.pth` and `.safetensors`.

Their parameters are named by torchvision (timm does as well) or by Hugging Face
transformers.
"""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import re
import warnings
import zipfile

import numpy as np
import safetensors

from savos_jax.foundation import errors
from savos_jax.weights import bounds
from savos_jax.weights import source as source_lib
from savos_jax.weights import tensor_file

# Names of no use to an encoder: the classifier and BatchNorm's step counter.
_LEFT_OUT = re.compile(r'(^|\.)(fc|classifier)\.|num_batches_tracked$')
# Where a training's checkpoint keeps the network, beside its optimiser.
_NESTED = ('state_dict', 'model_state_dict', 'model')
_FLOATS = ('F16', 'BF16', 'F32', 'F64')  # As safetensors calls them.
_FIRST_BLOCK = 'layer1.0.conv1.weight'
_TRANSFORMERS_STEM = 'embedder.embedder.convolution.weight'
_TRANSFORMERS_BLOCK = re.compile(
  r'encoder\.stages\.(\d)\.layers\.(\d{1,3})\.'
  r'(?:layer\.(\d)|(shortcut))\.(convolution|normalization)\.(.+)'
)


def read_safetensors(path: pathlib.Path) -> source_lib.Source:
  """Reads a safetensors file.

  Args:
    path: the file.

  Returns:
    The ResNet, with names not yet checked.

  Raises:
    SavosError: the file is truncated or damaged.
  """
  try:
    with safetensors.safe_open(path, 'numpy') as file:
      if (file.metadata() or {}).get('format') == tensor_file.FORMAT:
        raise errors.SavosError(
          f'{path}: written by savos_jax already.\n'
          f'  Nothing to import: --config.model.pretrained={path}'
        )
      return from_names(
        list(file.keys()), lambda name: _stored(path, file, name)
      )
  except errors.SavosError:
    raise
  except Exception as error:  # safetensors and NumPy have no common base.
    if errors.is_of_system(error):
      raise
    raise errors.SavosError(
      f'{path}: not a complete safetensors file: {error}.\n'
      '  Expected one as timm or Hugging Face publish them; a download that '
      'was cut short looks like this. Get it again.'
    ) from None


def _stored(path: pathlib.Path, file, name: str) -> np.ndarray:
  """Returns an array of floats; its size is that of its bytes in the file."""
  dtype = file.get_slice(name).get_dtype()
  if dtype not in _FLOATS:
    raise _no_floats(path, name, dtype)
  return file.get_tensor(name)


def _no_floats(path, name: str, found) -> errors.SavosError:
  return errors.SavosError(
    f'{path}: {name} is of type {found}.\n'
    '  Expected unquantised floats: take the model in float32, or in half '
    'precision.'
  )


def read_pth(path: pathlib.Path) -> source_lib.Source:
  """Reads a file of `torch.save` without running code in it.

  Args:
    path: the file.

  Returns:
    The ResNet, with names not yet checked.

  Raises:
    SavosError: torch is not installed, the file is damaged, or it holds
      anything but tensors.
  """
  try:
    import torch
  except ImportError:
    raise errors.SavosError(
      f'{path}: a PyTorch file, and torch is not installed.\n'
      '  Such a file may hold code, and only torch reads it safely: '
      'pip install torch (once, for the import), or take the same weights as '
      '.safetensors (https://huggingface.co/timm/resnet50.tv_in1k).'
    ) from None
  _check_name(path)
  try:
    _check_zip(path)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # The error that follows says it all.
      loaded = torch.load(path, map_location='cpu', weights_only=True)
  except errors.SavosError:
    raise
  except Exception as error:  # torch has no common base of its errors.
    if errors.is_of_system(error):
      raise
    raise _unreadable(path, error) from None
  for name in _NESTED:
    if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
      loaded = loaded[name]
      break
  if not isinstance(loaded, dict) or not loaded:
    raise errors.SavosError(
      f'{path}: holds a {type(loaded).__name__}.\n'
      '  Expected a state dict: names and tensors.'
    )
  budget = bounds.Budget(path)
  floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

  def get(name):
    tensor = loaded[name]
    plain = tensor.layout == torch.strided and tensor.device.type == 'cpu'
    if not plain or tensor.dtype not in floats:
      raise _no_floats(path, name, f'{tensor.dtype}, {tensor.layout}')
    # It may repeat a few bytes of the file.
    budget.take(4 * tensor.numel(), name)
    return tensor.detach().float().numpy()

  tensors = [
    name
    for name, value in loaded.items()
    if isinstance(name, str) and isinstance(value, torch.Tensor)
  ]
  return from_names(tensors, get)


def _check_zip(path: pathlib.Path) -> None:
  """Refuses an archive that becomes larger when it is read."""
  if not zipfile.is_zipfile(path):
    return  # As before version 1.6.
  budget = bounds.Budget(path)
  with zipfile.ZipFile(path) as archive:
    for member in archive.infolist():
      if member.compress_type != zipfile.ZIP_STORED:  # torch's never are.
        raise zipfile.BadZipFile(f'{member.filename} in it is compressed')
      budget.take(member.file_size, member.filename)


def _check_name(path: pathlib.Path) -> None:
  """Checks the hash that PyTorch's hub puts into the names of its files."""
  named = re.search(r'-([0-9a-f]{8})\.pth$', path.name)
  if not named:
    return
  found = source_lib.sha256(path)
  if not found.startswith(named[1]):
    raise errors.SavosError(
      f'{path}: its sha256 begins with {found[:8]}.\n'
      f'  Expected {named[1]}, as its name says: the file is damaged or is '
      'another one. Get it again; a file of your own needs another name.'
    )


def _unreadable(path: pathlib.Path, error: Exception) -> errors.SavosError:
  """Explains why torch refused: code in the file, or damage."""
  text = str(error)
  # torch names what it would have had to call: "GLOBAL os.system was not ...".
  called = re.search(
    r'(?:GLOBAL|Unsupported (?:global|class|operand)[^:]*:?(?: GLOBAL)?)'
    r'\s+([\w.]+)',
    text,
  )
  if called or 'eights only load failed' in text:
    what = f' (it calls {called[1]})' if called else ''
    return errors.SavosError(
      f'{path}: holds more than tensors{what}; it was not run.\n'
      '  Expected a state dict as torch.save(model.state_dict(), ...) writes '
      'it. A whole pickled model is code: save its state dict where you trust '
      'it.'
    )
  first = text.strip().split('\n')[0][:200]
  return errors.SavosError(
    f'{path}: torch cannot read it: {first}.\n'
    '  Expected a complete .pth file; a download that was cut short looks like '
    'this. Get it again.'
  )


def from_names(
  names: Sequence[str], get: Callable[[str], np.ndarray]
) -> source_lib.Source:
  """Converts the names of a library to torchvision's.

  Args:
    names: of all arrays.
    get: name -> array of floats; called only for those an encoder may need.

  Returns:
    The ResNet. Unrecognised names are kept, for `resnet_params.fold` to report.
  """
  prefix = _prefix(names)
  bare = {name.removeprefix(prefix): name for name in names}
  transformers = any(name.endswith(_TRANSFORMERS_STEM) for name in bare)
  named, left_out = {}, []
  for name, original in bare.items():
    if _LEFT_OUT.search(name):
      left_out.append(original)
    else:
      named[_from_transformers(name) if transformers else name] = original
  return source_lib.Source(
    layout='Hugging Face transformers' if transformers else 'torchvision',
    tensors={name: _as_float(get(o)) for name, o in named.items()},
    origins=named,
    left_out=tuple(left_out),
  )


def _as_float(array: np.ndarray) -> np.ndarray:
  """Half and bfloat16 become float32; float64 stays."""
  return array if array.dtype == np.float64 else array.astype(np.float32)


def _prefix(names: Sequence[str]) -> str:
  """Returns what wrappers put before every name, as 'module.'.

  Only when there is one ResNet in the file: which of two is meant, we can't
  know, and `resnet_params.fold` then lists the names that it found.
  """
  prefixes = {
    name[: -len(_FIRST_BLOCK)] for name in names if name.endswith(_FIRST_BLOCK)
  }
  return prefixes.pop() if len(prefixes) == 1 else ''


def _from_transformers(name: str) -> str:
  name = name.removeprefix('resnet.')
  for theirs, ours in (
    ('embedder.embedder.convolution.', 'conv1.'),
    ('embedder.embedder.normalization.', 'bn1.'),
  ):
    if name.startswith(theirs):
      return ours + name[len(theirs) :]
  match = _TRANSFORMERS_BLOCK.fullmatch(name)
  if not match:
    return name
  stage, block, layer, shortcut, kind, rest = match.groups()
  start = f'layer{int(stage) + 1}.{block}.'
  if shortcut:
    return f'{start}downsample.{int(kind == "normalization")}.{rest}'
  kind = 'conv' if kind == 'convolution' else 'bn'
  return f'{start}{kind}{int(layer) + 1}.{rest}'
