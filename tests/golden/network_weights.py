"""Weights for the network's parity: drawn, and carried over to Flax.

Drawn under torch's names by NumPy, each tensor from a hash of its name: no
torch is needed, and a layer more or less leaves the other tensors alone.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
from typing import Any
import zlib

from flax import traverse_util
import numpy as np

from savos_jax.models import savos_config
from savos_jax.weights import resnet_params
from savos_jax.weights import source

_DAMPED = {'refine.conv2.weight': 0.3, 'predict.weight': 0.1}


def _convolution(name: str, *shape: int) -> Iterator[tuple[str, tuple]]:
  yield f'{name}.weight', shape
  yield f'{name}.bias', shape[:1]


def _batch_norm(name: str, channels: int) -> Iterator[tuple[str, tuple]]:
  for part in ('weight', 'bias', 'running_mean', 'running_var'):
    yield f'{name}.{part}', (channels,)


def _encoder_shapes(
  config: savos_config.SavosConfig,
) -> Iterator[tuple[str, tuple]]:
  width = round(64 * config.width_multiplier)
  inputs = config.stem_features or width
  yield 'conv1.weight', (inputs, 4, 7, 7)
  yield from _batch_norm('bn1', inputs)
  for stage, blocks in enumerate(config.block_counts):
    inner = width * 2**stage
    outer = 4 * inner
    for block in range(blocks):
      name = f'layer{stage + 1}.{block}'
      yield f'{name}.conv1.weight', (inner, inputs, 1, 1)
      yield f'{name}.conv2.weight', (inner, inner, 3, 3)
      yield f'{name}.conv3.weight', (outer, inner, 1, 1)
      for number, channels in enumerate((inner, inner, outer), start=1):
        yield from _batch_norm(f'{name}.bn{number}', channels)
      if block == 0:
        yield f'{name}.downsample.0.weight', (outer, inputs, 1, 1)
        yield from _batch_norm(f'{name}.downsample.1', outer)
      inputs = outer


def _pair(name: str, features: int) -> Iterator[tuple[str, tuple]]:
  yield from _convolution(f'{name}.conv1', features, features, 3, 3)
  yield from _convolution(f'{name}.conv2', features, features, 3, 3)


def _head_shapes(
  config: savos_config.SavosConfig,
) -> Iterator[tuple[str, tuple]]:
  width = 4 * round(64 * config.width_multiplier)
  features, k = config.decoder_features, config.gcb_kernel_size
  name = 'global_convolution'
  yield from _convolution(f'{name}.left_1xk', features, 16 * width, 1, k)
  yield from _convolution(f'{name}.left_kx1', features, features, k, 1)
  yield from _convolution(f'{name}.right_kx1', features, 16 * width, k, 1)
  yield from _convolution(f'{name}.right_1xk', features, features, 1, k)
  yield from _pair(f'{name}.refine', features)
  for stage, skip in (('res4', 4), ('res3', 2), ('res2', 1)):
    name = f'decoder.attention_{stage}'
    yield from _convolution(f'{name}.conv1', features, skip * width, 3, 3)
    if config.attention:
      hidden = max(1, features // config.attention_reduction)
      size = config.spatial_kernel_size
      yield from _convolution(f'{name}.conv2', features, features, 3, 3)
      gate = f'{name}.channel_gate'
      yield from _convolution(f'{gate}.hidden', hidden, features)
      yield from _convolution(f'{gate}.out', features, hidden)
      yield from _convolution(f'{name}.spatial_gate.conv', 1, 2, size, size)
    else:
      yield from _pair(f'{name}.skip_refine', features)
    yield from _pair(f'{name}.refine', features)
  yield from _convolution('decoder.predict', 2, features, 3, 3)


def parameter_shapes(
  config: savos_config.SavosConfig,
) -> dict[str, tuple[int, ...]]:
  """Returns torch's names and shapes of everything that is filled."""
  encoder = {f'encoder.{k}': v for k, v in _encoder_shapes(config)}
  return encoder | dict(_head_shapes(config))


def _fill(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
  """Draws a tensor; uniform, so that its bits are the same everywhere."""
  rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
  uniform = rng.random(shape, np.float32)
  if len(shape) > 1:
    # He et al. 2015; a uniform variable on ±b has the variance b²/3.
    bound = np.sqrt(6.0 / np.prod(shape[1:]))
    low, high = -bound, bound
    # So that logits are about 1 in size, and ten steps do not blow up.
    for ending, factor in _DAMPED.items():
      if name.endswith(ending):
        low, high = factor * low, factor * high
  elif name.endswith('running_var'):
    low, high = 0.5, 2.0
  # The last BatchNorm of a block: else each block doubles the variance.
  elif name.endswith('bn3.weight'):
    low, high = 0.2, 0.4
  elif name.endswith(('bn1.weight', 'bn2.weight', 'downsample.1.weight')):
    low, high = 0.5, 1.5
  else:
    low, high = -0.1, 0.1
  return np.float32(low) + np.float32(high - low) * uniform


def torch_state(
  config: savos_config.SavosConfig, seed: int
) -> dict[str, np.ndarray]:
  """Draws all weights of a network, float32, under torch's names."""
  shapes = parameter_shapes(config)
  return {name: _fill(name, shape, seed) for name, shape in shapes.items()}


def fingerprint(state: Mapping[str, np.ndarray]) -> int:
  """Returns a number that another bit in the weights would change."""
  return functools.reduce(
    lambda crc, name: zlib.crc32(state[name].tobytes(), crc), sorted(state), 0
  )


def flax_path(name: str) -> tuple[str, ...]:
  """Translates a kernel's or bias's name from torch to the Flax tree.

  BatchNorm has no counterpart: `flax_params` folds it.
  """
  *path, last = name.split('.')
  if path[1].startswith('layer'):
    stage, block, *rest = path[1:]
    path = ['encoder', f'res{int(stage[-1]) + 1}_{block}', *rest]
    if rest[0] == 'downsample':
      path[2:] = ['downsample_conv']
  return (*path, 'kernel' if last == 'weight' else last)


def flax_layout(array: np.ndarray) -> np.ndarray:
  """Transposes OIHW to HWIO, [out, in] to [in, out]; biases stay."""
  return np.transpose(array, {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim])


def torch_layout(array: np.ndarray) -> np.ndarray:
  """Undoes `flax_layout`."""
  axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
  return np.transpose(array, axes)


def flax_params(
  config: savos_config.SavosConfig,
  state: Mapping[str, np.ndarray],
  batch_norm_epsilon: float = 1e-5,
) -> dict[str, Any]:
  """Carries weights over, the encoder's through the project's own importer.

  Args:
    config: the architecture, that the importer must find in the weights.
    state: from `torch_state`.
    batch_norm_epsilon: torch's.

  Returns:
    The parameters of `savos.SAVOS`.

  Raises:
    ValueError: the importer found another architecture.
  """
  encoder = {
    name.removeprefix('encoder.'): array
    for name, array in state.items()
    if name.startswith('encoder.')
  }
  first = encoder['conv1.weight']
  backbone, params = resnet_params.fold(
    source.Source(
      layout='torchvision',
      # A published file has three input channels: the mask's is not in it.
      tensors=encoder | {'conv1.weight': first[:, :3]},
      origins={name: name for name in encoder},
      batch_norm_epsilon=batch_norm_epsilon,
      stride_variant=config.stride_variant,
      stem_pool_padding=config.stem_pool_padding,
    )
  )
  stem = config.stem_features or round(64 * config.width_multiplier)
  wanted = dataclasses.replace(config, stem_features=stem)
  if dataclasses.replace(wanted, **dataclasses.asdict(backbone)) != wanted:
    raise ValueError(f'found {backbone}; expected that of {wanted}')
  params['conv1']['kernel'] = np.concatenate(
    [params['conv1']['kernel'], flax_layout(first[:, 3:])], axis=2
  )
  head = {
    flax_path(name): flax_layout(array)
    for name, array in state.items()
    if not name.startswith('encoder.')
  }
  return {'encoder': params} | traverse_util.unflatten_dict(head)
