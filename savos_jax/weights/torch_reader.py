"""Reads ResNets that PyTorch trained: `.pth` and `.safetensors`.

Their parameters are named by torchvision (timm does as well) or by Hugging Face
transformers.
"""

import pathlib
import re
import warnings

import numpy as np
import safetensors

from savos_jax.foundation import errors
from savos_jax.weights import source as source_lib
from savos_jax.weights import tensor_file

# Names of no use to an encoder: the classifier and BatchNorm's step counter.
_LEFT_OUT = re.compile(r'(^|\.)(fc|classifier)\.|num_batches_tracked$')
# Where a training's checkpoint keeps the network, beside its optimiser.
_NESTED = ('state_dict', 'model_state_dict', 'model')
_FIRST_BLOCK = 'layer1.0.conv1.weight'
_TRANSFORMERS_STEM = 'embedder.embedder.convolution.weight'
_TRANSFORMERS_BLOCK = re.compile(
  r'encoder\.stages\.(\d+)\.layers\.(\d+)\.'
  r'(?:layer\.(\d+)|(shortcut))\.(convolution|normalization)\.(.+)'
)


def read_safetensors(path: pathlib.Path) -> source_lib.Source:
  """Reads a safetensors file.

  Args:
    path: the file.

  Returns:
    The ResNet; names are not checked yet.

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
      tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
  except (safetensors.SafetensorError, OSError, TypeError) as error:
    raise errors.SavosError(
      f'{path}: not a whole safetensors file: {error}.\n'
      '  Expected one as timm or Hugging Face publish them; a download that '
      'was cut short looks like this. Get it again.'
    ) from None
  return from_names(tensors)


def read_pth(path: pathlib.Path) -> source_lib.Source:
  """Reads what `torch.save` wrote, without running code that it may hold.

  Args:
    path: the file.

  Returns:
    The ResNet; names are not checked yet.

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
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # The error that follows says it all.
      loaded = torch.load(path, map_location='cpu', weights_only=True)
  except Exception as error:  # torch has no common base of its errors.
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
  tensors = {
    str(name): value.detach().float().numpy()
    for name, value in loaded.items()
    if isinstance(value, torch.Tensor)
  }
  return from_names(tensors)


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
    '  Expected a whole .pth file; a download that was cut short looks like '
    'this. Get it again.'
  )


def from_names(tensors: dict[str, np.ndarray]) -> source_lib.Source:
  """Brings the names of one of the libraries to torchvision's.

  Args:
    tensors: arrays by name.

  Returns:
    The ResNet. Names that are not recognised are kept as they are, for
    `resnet_params.fold` to complain about.
  """
  prefix = _prefix(tensors)
  bare = {name.removeprefix(prefix): name for name in tensors}
  transformers = any(name.endswith(_TRANSFORMERS_STEM) for name in bare)
  named, left_out = {}, []
  for name, original in bare.items():
    if _LEFT_OUT.search(name):
      left_out.append(original)
    else:
      named[_from_transformers(name) if transformers else name] = original
  return source_lib.Source(
    layout='Hugging Face transformers' if transformers else 'torchvision',
    tensors={name: _as_float(tensors[o]) for name, o in named.items()},
    origins=named,
    left_out=tuple(left_out),
  )


def _as_float(array: np.ndarray) -> np.ndarray:
  """Half and bfloat16 become float32; float64 stays."""
  return array if array.dtype == np.float64 else array.astype(np.float32)


def _prefix(tensors) -> str:
  """Returns what wrappers put before every name, as 'module.'.

  Only when there is one ResNet in the file: which of two is meant, we can't
  know, and `resnet_params.fold` then lists the names that it found.
  """
  prefixes = {
    name[: -len(_FIRST_BLOCK)]
    for name in tensors
    if name.endswith(_FIRST_BLOCK)
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
