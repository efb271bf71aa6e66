r"""Exports a trained network to one safetensors file.

  python -m savos_jax.tools.export_checkpoint runs/davis16 \
      --out=savos.safetensors

It takes the newest checkpoint, or with --best the one that scored highest in
validation, and the averaged weights if the training kept them. The file also
has the architecture, the training's settings and a checksum. To evaluate it, or
to continue training from it:

  python -m savos_jax.main --mode=evaluate --config=configs/davis16.py \
      --config.data.root=/path/to/DAVIS --workdir=runs/evaluation \
      --config.eval.checkpoint=savos.safetensors
  python -m savos_jax.main --config=configs/davis16.py --workdir=runs/tuned \
      --config.data.root=/path/to/DAVIS \
      --config.model.pretrained=savos.safetensors
"""

import argparse
from collections.abc import Sequence
import dataclasses

from savos_jax.models import savos_config
from savos_jax.tools import command
from savos_jax.tools import flags


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('export_checkpoint', __doc__)
  parser.add_argument(
    'checkpoint',
    type=command.path,
    metavar='WORKDIR',
    help='the --workdir of a training, or an exported file to change its dtype',
  )
  parser.add_argument(
    '--out',
    type=command.path,
    required=True,
    metavar='FILE',
    help='the file to write, .safetensors',
  )
  parser.add_argument(
    '--step',
    type=int,
    help='step of the checkpoint; default: the newest intact one',
  )
  parser.add_argument(
    '--best',
    action='store_true',
    help='take the best checkpoint; needs config.eval.every_steps in training',
  )
  parser.add_argument(
    '--ema',
    action=argparse.BooleanOptionalAction,
    default=True,
    help='take the averaged weights, if there are any',
  )
  parser.add_argument(
    '--dtype',
    choices=('float32', 'float16'),
    default='float32',
    help='dtype of the arrays in the file; float16 halves its size',
  )
  flags.add_field(
    parser,
    savos_config.SavosConfig,
    'compute_dtype',
    default=None,
    help='default dtype for running the network; default: as it was trained. '
    'float32 is faster and more accurate on CPUs',
  )
  command.add_overwrite(parser)
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Loads the network and writes the file.

  Raises:
    SavosError: there is no such checkpoint, or the file can't be written.
  """
  import jax

  from savos_jax import network
  from savos_jax.models import savos

  command.check_outputs(
    [arguments.out], [arguments.checkpoint], arguments.overwrite
  )
  trained = network.load(
    arguments.checkpoint, arguments.step, arguments.ema, arguments.best
  )
  if arguments.compute_dtype:
    model = savos.SAVOS(
      dataclasses.replace(
        trained.model.config, compute_dtype=arguments.compute_dtype
      )
    )
    trained = dataclasses.replace(trained, model=model)
  checksum = network.write(arguments.out, trained, arguments.dtype)
  count = sum(leaf.size for leaf in jax.tree.leaves(trained.params))
  size = arguments.out.stat().st_size / 1e6
  print(
    f'{arguments.checkpoint}, step {trained.step}, '
    f'{"averaged weights" if trained.averaged else "weights as trained"}, '
    f'{count:,} parameters\n'
    f'wrote {arguments.out}, {arguments.dtype}, {size:.1f} MB, '
    f'checksum {checksum}'
  )


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
