r"""Imports a ResNet-50 as the initial encoder.

  python -m savos_jax.tools.import_backbone resnet50-0676ba61.pth \
      --out=resnet50.safetensors
  python -m savos_jax.main --config=configs/davis17.py --workdir=runs/davis17 \
      --config.data.root=/path/to/DAVIS \
      --config.model.pretrained=resnet50.safetensors

The format of SOURCE is recognised: PyTorch .pth (torchvision; needs torch),
.safetensors (timm, Hugging Face transformers, torchvision's names), .onnx
(needs onnx) and Keras applications' .h5 or .keras. Other depths (ResNet-101)
and widths with the same blocks work too. Nothing is written unless every
parameter in the file is accounted for.
"""

import argparse
from collections.abc import Sequence
import dataclasses

from savos_jax.foundation import errors
from savos_jax.models import savos_config
from savos_jax.tools import command
from savos_jax.tools import flags
from savos_jax.weights import preprocessings


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('import_backbone', __doc__)
  parser.add_argument(
    'source', type=command.path, metavar='SOURCE', help='the file to import'
  )
  parser.add_argument(
    '--out',
    type=command.path,
    required=True,
    metavar='FILE',
    help='the file to write, .safetensors',
  )
  parser.add_argument(
    '--preprocessing',
    choices=sorted(preprocessings.PUBLISHED),
    help='input normalisation, if the file does not specify it: torch: RGB, '
    "ImageNet's mean and std (default); caffe: BGR in 0..255 minus a mean; "
    'tf: RGB in -1..1',
  )
  flags.add_field(
    parser,
    savos_config.SavosConfig,
    'stride_variant',
    default=None,
    help='which convolution of a downsampling block has the stride, if the '
    "file does not specify it: v1.5: the 3x3 (torchvision's, default); v1: the "
    'first 1x1',
  )
  parser.add_argument(
    '--list', action='store_true', help='print where every parameter comes from'
  )
  command.add_overwrite(parser)
  return parser.parse_args(argv)


def _overridden(source, arguments: argparse.Namespace):
  """Applies the flags where the file does not specify something.

  Raises:
    SavosError: a flag contradicts the file.
  """
  if arguments.preprocessing:
    wanted = preprocessings.PUBLISHED[arguments.preprocessing]
    if source.preprocessing not in (None, wanted):
      raise errors.SavosError(
        f'{arguments.source}: was trained on {source.preprocessing}.\n'
        '  --preprocessing contradicts this: leave it out.'
      )
    source = dataclasses.replace(source, preprocessing=wanted)
  if arguments.stride_variant:
    if source.layout in ('ONNX', 'Keras') and (
      source.stride_variant != arguments.stride_variant
    ):
      raise errors.SavosError(
        f'{arguments.source}: its strides are {source.stride_variant}.\n'
        '  --stride_variant contradicts this: leave it out.'
      )
    source = dataclasses.replace(
      source, stride_variant=arguments.stride_variant
    )
  return source


def run(arguments: argparse.Namespace) -> None:
  """Reads, checks, folds and writes the backbone.

  Raises:
    SavosError: the source can't be used, or the file can't be written.
  """
  from savos_jax.weights import formats
  from savos_jax.weights import import_summary
  from savos_jax.weights import pretrained
  from savos_jax.weights import resnet_params
  from savos_jax.weights import source as source_lib

  path = arguments.source
  command.check_outputs([arguments.out], [path], arguments.overwrite)
  source = _overridden(formats.read(path), arguments)
  try:
    backbone, params = resnet_params.fold(source)
  except errors.SavosError as error:
    raise errors.SavosError(f'{path}: {error}') from None
  digest = source_lib.sha256(path)
  if arguments.list:
    print(import_summary.listing(source))
  print(import_summary.summary(path, digest, source, backbone, params))
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


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
