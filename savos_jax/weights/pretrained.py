"""Starts a network from a file: its encoder or all of it."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from flax import traverse_util
import jax
import numpy as np

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.models import fields as fields_lib
from savos_jax.models import savos_config
from savos_jax.weights import resnet_params
from savos_jax.weights import source as source_lib
from savos_jax.weights import tensor_file

# What a file decides for the encoder: the meaning of its input, and choices
# that no parameter's shape tells. All others must be as the file has them.
DECIDED_BY_FILE = (
  'stride_variant',
  'stem_features',
  'stem_pool_padding',
  'rgb_mean',
  'rgb_std',
)
_OF_MATCHING = ('matching', 'matching_keys', 'matching_values')


def write_backbone(
  path: str | os.PathLike,
  backbone: resnet_params.Backbone,
  params: Mapping[str, Any],
  source: source_lib.Source,
  name: str,
  sha256: str,
) -> str:
  """Writes an imported encoder.

  Args:
    path: the file.
    backbone: what an encoder must be to use it.
    params: from `resnet_params.fold`.
    source: as read.
    name: of the file that it was read from.
    sha256: of that file.

  Returns:
    The checksum of the arrays.

  Raises:
    SavosError: it can't be written.
  """
  description = {
    'architecture': dataclasses.asdict(backbone),
    'source': {'file': name, 'sha256': sha256, 'layout': source.layout},
  }
  return tensor_file.write(path, 'backbone', params, description)


def described(
  path: str | os.PathLike, told: Mapping[str, Any]
) -> savos_config.SavosConfig:
  """Returns the architecture that a file tells of.

  Args:
    path: the file, for the message.
    told: its fields.

  Raises:
    SavosError: a field is unknown or out of its range.
  """
  try:
    return fields_lib.from_fields(told)
  except (TypeError, ValueError) as error:
    raise errors.SavosError(
      f'{path}: its description of the network is not understood: {error}\n'
      '  A later version of savos_jax may have written it.'
    ) from None


def architecture(
  path: str | os.PathLike, wanted: savos_config.SavosConfig
) -> savos_config.SavosConfig:
  """Returns the architecture of a network that starts from a file.

  Args:
    path: a file of an encoder or of a whole network, 'default' for the one that
      is shipped; its header alone is read.
    wanted: the architecture otherwise.

  Returns:
    `wanted`, with what the file decides (`DECIDED_BY_FILE`). A file of a
    network that does not look back serves one that does.

  Raises:
    SavosError: no such file, a damaged one, or one of another architecture.
  """
  path = checkpoints.find(path)
  kind, description = tensor_file.read_description(path)
  # A backbone tells of the encoder alone: the rest is as wanted.
  rest = fields_lib.as_fields(wanted) if kind == 'backbone' else {}
  found = described(path, rest | description.get('architecture', {}))
  decided = {name: getattr(found, name) for name in DECIDED_BY_FILE}
  merged = dataclasses.replace(wanted, **decided)
  if not found.matching:
    matching = {name: getattr(wanted, name) for name in _OF_MATCHING}
    found = dataclasses.replace(found, **matching)
  different = fields_lib.differences(found, merged)
  if different:
    raise errors.SavosError(
      f'{path}: the {kind} of another network:\n    '
      + '\n    '.join(different)
      + '\n  Set these fields of config.model as the file has them, or take '
      'another file for config.model.pretrained.'
    )
  return merged


def load(path: str | os.PathLike, params: Any) -> Any:
  """Replaces parameters with those of a file.

  Args:
    path: of an architecture that `architecture` has accepted.
    params: the whole network's, freshly drawn.

  Returns:
    The network's parameters, float32 NumPy arrays: from a file of a whole
    network all of them, but for the look back where it has none; from a
    backbone the encoder's, except the mask's filter of the first convolution,
    which no photograph has trained.

  Raises:
    SavosError: the file is damaged, or its arrays are not the network's.
  """
  path = checkpoints.find(path)
  kind, _ = tensor_file.read_description(path)
  loaded = tensor_file.read_params(path)
  params = jax.device_get(params)
  if kind == 'backbone':
    mask_filter = params['encoder']['conv1']['kernel'][:, :, 3:]
    loaded['conv1']['kernel'] = np.concatenate(
      [loaded['conv1']['kernel'], mask_filter], axis=2
    )
    loaded = {**params, 'encoder': loaded}
  elif 'matching' in params and 'matching' not in loaded:
    loaded = {**loaded, 'matching': params['matching']}
  return fit(path, loaded, params)


def fit(path: str | os.PathLike, loaded: Any, like: Any) -> Any:
  """Checks names and shapes of parameters and makes them float32.

  Args:
    path: of their file, for the message.
    loaded: nested dictionaries of arrays.
    like: parameters, or their shapes, as they must be.

  Returns:
    The parameters, float32.

  Raises:
    SavosError: a name or a shape differs.
  """
  found = traverse_util.flatten_dict(loaded, sep='/')
  expected = traverse_util.flatten_dict(like, sep='/')
  problems = [
    f'{name}: {_shape(found.get(name))} (expected {_shape(expected.get(name))})'
    for name in sorted(set(found) | set(expected))
    if _shape(found.get(name)) != _shape(expected.get(name))
  ]
  if problems:
    raise errors.SavosError(
      f'{path}: its arrays are not those of the network:\n    '
      + '\n    '.join(problems[:8])
      + (f'\n    and {len(problems) - 8} more' if len(problems) > 8 else '')
      + '\n  Make the file again with this version of savos_jax.'
    )
  return jax.tree.map(lambda array: np.asarray(array, np.float32), loaded)


def _shape(array: Any) -> str:
  return 'missing' if array is None else str(list(array.shape))
