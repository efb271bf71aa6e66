r"""Writes the curves of a training run as a table and as a picture.

  python -m savos_jax.tools.curves runs/davis16_cpu \
      --csv=curves.csv --png=curves.png

The table has one row per step and one column per curve: every scalar that
TensorBoard shows. The picture plots the IoU on the training examples and, if
there was validation, J and F. A folder with a copy of the training's `logs`
works too, such as the one that launch/gpu/train.sh returns.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from savos_jax.tools import command


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('curves', __doc__)
  path: dict[str, Any] = {'type': command.path, 'metavar': 'FILE'}
  parser.add_argument(
    'workdir',
    type=command.path,
    help='the --workdir of a training',
  )
  parser.add_argument('--csv', **path, help='the table to write')
  parser.add_argument('--png', **path, help='the picture to write')
  command.add_overwrite(parser)
  arguments = parser.parse_args(argv)
  if not (arguments.csv or arguments.png):
    parser.error('nothing to write: expected --csv, --png or both')
  return arguments


def run(arguments: argparse.Namespace) -> None:
  """Reads the curves and writes the files.

  Raises:
    SavosError: there are no curves, or a file can't be written.
  """
  from savos_jax.report import charts
  from savos_jax.training import curves

  command.check_outputs([arguments.csv, arguments.png], [], arguments.overwrite)
  found = curves.read(arguments.workdir)
  if arguments.csv:
    curves.write_csv(arguments.csv, found)
    print(f'wrote {arguments.csv}')
  if arguments.png:
    charts.write_png(arguments.png, curves.chart(found))
    print(f'wrote {arguments.png}')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
