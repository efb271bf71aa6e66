r"""Regenerates the report of an evaluation, or compares several.

  python -m savos_jax.tools.report runs/davis16/results
  python -m savos_jax.tools.report runs/davis16/results \
      --compare runs/basic/results runs/other/results --out comparison.html

writes report.html to the folder, and the charts as PNG to plots/ beside it. The
page works offline. Its pictures need the data set's frames, at the recorded
path or in --data.
"""

import argparse
from collections.abc import Sequence
import contextlib
import pathlib

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.tools import command


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('report', __doc__)
  parser.add_argument(
    'results',
    type=command.path,
    metavar='RESULTS',
    help='the `results` folder of a --workdir',
  )
  parser.add_argument(
    '--compare',
    type=command.path,
    nargs='+',
    default=[],
    metavar='RESULTS',
    help='other results folders, to compare with the first',
  )
  parser.add_argument(
    '--out',
    type=command.path,
    metavar='FILE',
    help='the page to write; default: RESULTS/report.html',
  )
  parser.add_argument(
    '--data',
    type=command.path,
    metavar='ROOT',
    help="the data set's folder, if it is not at the recorded config.data.root",
  )
  command.add_overwrite(parser)
  return parser.parse_args(argv)


def _videos(results, root: pathlib.Path | None) -> tuple[list, str]:
  """Opens the data set that was evaluated.

  Returns:
    The videos, or none and the reason why they can't be opened.

  Raises:
    SavosError: `root` is given and is not the data set.
  """
  from ml_collections import config_dict

  from savos_jax import opening

  if results.config is None:
    return [], 'no recorded configuration says where the frames are.'
  try:
    config = config_dict.ConfigDict(dict(results.config))
    if root is not None:
      config.data.root = str(root)
    split = config.data.val_split
    return opening.load_split(config, results.workdir, split), ''
  except errors.SavosError as error:
    if root is not None:
      raise
    found = str(error).splitlines()[0]
    return [], f'the frames could not be opened: {found}'
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    return [], f'the recorded configuration is from another version: {error}'


def run(arguments: argparse.Namespace) -> None:
  """Reads results, compares them and writes the page.

  Raises:
    SavosError: there are no results, they have nothing in common, the data set
      is missing, or the page can't be written.
  """
  from savos_jax.evaluation import results_folder
  from savos_jax.report import comparison as comparison_lib
  from savos_jax.report import html_report

  results = results_folder.load(arguments.results)
  path = arguments.out or results.folder / 'report.html'
  if arguments.data is not None and not arguments.data.is_dir():
    raise errors.SavosError(
      f"{arguments.data}: no such folder.\n  Expected the data set's."
    )
  others = [results_folder.load(folder) for folder in arguments.compare]
  comparison = comparison_lib.compare([results, *others]) if others else None
  videos, missing = _videos(results, arguments.data)
  plots = html_report.plots(path, results, videos, comparison)
  with contextlib.ExitStack() as stack:
    if arguments.out is None:
      stack.enter_context(files.claimed(results.folder))
    command.check_outputs([path, *plots], [arguments.data], arguments.overwrite)
    html_report.write(path, results, videos, missing, comparison)
  if missing:
    print(f'no pictures: {missing}')
  for note in comparison.notes if comparison else ():
    print(note)
  print(f'wrote {path}, {path.stat().st_size / 1e6:.1f} MB')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
