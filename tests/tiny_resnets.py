"""Small ResNets under torchvision's names, with weights drawn at random."""

import dataclasses
import functools

import jax
import numpy as np

from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.training import state as state_lib
from savos_jax.weights import resnet_params
from savos_jax.weights import source as source_lib

MODEL = savos.SAVOS(
  savos_config.SavosConfig(
    block_counts=(1, 1, 1, 1), width_multiplier=1 / 16, decoder_features=8
  )
)
LOOKING_BACK = savos.SAVOS(
  dataclasses.replace(
    MODEL.config, matching=True, matching_keys=4, matching_values=6
  )
)
COUNTS = (1, 2, 1, 1)
INNER = 4
STEM = 6


def tensors(counts=COUNTS, inner=INNER, stem=STEM, folded=False, seed=0):
  """Draws the tensors, float32, by torchvision's names."""
  rng = np.random.default_rng(seed)
  drawn = {}
  for conv in resnet_params.convolutions(counts, inner, stem):
    fan_in = np.prod(conv.shape[1:])
    weight = rng.normal(0.0, np.sqrt(2.0 / fan_in), conv.shape)
    drawn[f'{conv.name}.weight'] = weight
    channels = conv.shape[0]
    if folded:
      drawn[f'{conv.name}.bias'] = rng.normal(0.0, 0.1, channels)
      continue
    drawn |= {
      f'{conv.batch_norm}.weight': rng.uniform(0.5, 1.5, channels),
      f'{conv.batch_norm}.bias': rng.normal(0.0, 0.1, channels),
      f'{conv.batch_norm}.running_mean': rng.normal(0.0, 0.1, channels),
      f'{conv.batch_norm}.running_var': rng.uniform(0.5, 2.0, channels),
    }
  return {name: array.astype(np.float32) for name, array in drawn.items()}


def source(drawn=None, **fields) -> source_lib.Source:
  """Wraps tensors as a reader does."""
  drawn = tensors() if drawn is None else drawn
  return source_lib.Source(
    'torchvision', drawn, {name: name for name in drawn}, **fields
  )


def as_transformers(name: str) -> str:
  """Returns Hugging Face transformers' name for one of torchvision's."""
  parts = name.split('.')
  kinds = {'conv': 'convolution', 'bn': 'normalization'}
  if parts[0] in ('conv1', 'bn1'):
    kind = kinds[parts[0][:-1]]
    return f'resnet.embedder.embedder.{kind}.{parts[1]}'
  stage, block, module = int(parts[0][5:]) - 1, parts[1], parts[2]
  start = f'resnet.encoder.stages.{stage}.layers.{block}.'
  if module == 'downsample':
    kind = ('convolution', 'normalization')[int(parts[3])]
    return f'{start}shortcut.{kind}.{parts[4]}'
  kind = kinds[module[:-1]]
  return f'{start}layer.{int(module[-1]) - 1}.{kind}.{parts[3]}'


def network_params(model, seed=0):
  """Draws parameters without compiling anything; the scales do not matter."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda leaf: rng.normal(0.0, 0.05, leaf.shape).astype(np.float32),
    state_lib.param_shapes(model),
  )


def decided_params():
  """Parameters of `MODEL` with masks that depend on what guides them.

  The last layer of `network_params` is made larger, and centred so that about
  half of a frame of noise is an object.
  """
  params = network_params(MODEL)
  last = params['decoder']['predict']
  last['kernel'] *= 100
  last['bias'][:] = 0.0, -3.25
  return params


@functools.cache
def drawn_params():
  """Parameters of `MODEL` as a training draws them: they see the picture."""
  init = jax.jit(lambda key: state_lib.init_params(MODEL, key))
  return init(jax.random.key(0))


def looking_back_params():
  """Parameters of `LOOKING_BACK`: what is remembered shows in what is found."""
  added = network_params(LOOKING_BACK)['matching']
  return drawn_params() | {'matching': jax.tree.map(lambda x: 4 * x, added)}
