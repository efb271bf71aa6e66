"""Initialises a network from a file: its encoder or all of it."""

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
    backbone: the requirements on an encoder that uses it.
    params: from `resnet_params.fold`.
    source: the ResNet as read.
    name: of the source file.
    sha256: of the source file.

  Returns:
    The checksum of the arrays.

  Raises:
    SavosError: it cannot be written, or a parameter is not finite.
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
  """Returns the architecture recorded in a file.

  Args:
    path: the file, for the message.
    told: the recorded fields.

  Raises:
    SavosError: a field is unknown, of another type or out of range.
  """
  try:
    return fields_lib.from_fields(told)
  except ValueError as error:
    raise errors.SavosError(
      f'{path}: its description of the network is invalid: {error}\n'
      '  It may be from a later version of savos_jax.'
    ) from None


def architecture(
  path: str | os.PathLike, wanted: savos_config.SavosConfig
) -> savos_config.SavosConfig:
  """Returns the architecture of a network initialised from a file.

  Args:
    path: a file of an encoder or of a whole network; 'default': the shipped
      network. Only its header is read.
    wanted: the configured architecture.

  Returns:
    `wanted`, with the fields that the file decides (`DECIDED_BY_FILE`). The
    file of a network without a look back can initialise one with it.

  Raises:
    SavosError: the file is missing, damaged or of another architecture.
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
  """Replaces parameters by those of a file.

  Args:
    path: of an architecture that `architecture` has accepted.
    params: of the whole network, newly initialised.

  Returns:
    The parameters, float32 NumPy arrays. The file of a whole network replaces
    all of them, except a look back that it lacks; a backbone replaces the
    encoder's, except the mask filter of the first convolution.

  Raises:
    SavosError: the file is damaged, or its arrays do not fit the network or are
      not finite.
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
