"""Starts a network from a file: its encoder or all of it."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

import jax
import numpy as np

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.models import fields as fields_lib
from savos_jax.models import savos_config
from savos_jax.weights import finite
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
    SavosError: it can't be written, or a parameter is no finite number.
  """
  finite.check(name, params)
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
    SavosError: a field is unknown, of another type or out of its range.
  """
  try:
    return fields_lib.from_fields(told)
  except ValueError as error:
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
  told = description.get('architecture', {})
  found = described(path, rest | told if isinstance(told, dict) else told)
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
    SavosError: the file is damaged, its arrays are not the network's, or no
      finite numbers.
  """
  path = checkpoints.find(path)
  kind, description = tensor_file.read_description(path)
  params = jax.device_get(params)
  if kind == 'backbone':
    kernel = params['encoder']['conv1']['kernel']
    like = {**params['encoder'], 'conv1': {'kernel': kernel[:, :, :3]}}
    loaded = tensor_file.read_params(path, like)
    loaded['conv1']['kernel'] = np.concatenate(
      [loaded['conv1']['kernel'], kernel[:, :, 3:]], axis=2
    )
    return {**params, 'encoder': loaded}
  found = described(path, description.get('architecture', {}))
  if found.matching or 'matching' not in params:
    return tensor_file.read_params(path, params)
  own = {'matching': params['matching']}
  like = {name: part for name, part in params.items() if name not in own}
  return {**tensor_file.read_params(path, like), **own}
