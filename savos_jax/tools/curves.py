r"""Writes the curves of a training as a table and as a picture.

  python -m savos_jax.tools.curves runs/davis16_cpu \
      --csv=curves.csv --png=curves.png

The table has a row a step and a column a curve: all numbers that TensorBoard
shows of the training. The picture has the IoU on the training examples and,
where the training validated, J and F. A folder with a copy of the training's
`logs`, as launch/gpu/train.sh sends one back, does as well.
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
    parser.error('expected --csv, --png or both: what to write')
  return arguments


def run(arguments: argparse.Namespace) -> None:
  """Reads and writes.

  Raises:
    SavosError: no curves there, or a file can't be written.
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
