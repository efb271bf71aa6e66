r"""Makes the paper's tables, with measured figures beside the paper's.

  python -m savos_jax.tools.paper --davis=/path/to/DAVIS \
      --segtrack=/path/to/SegTrackv2 --out=runs/paper
  python -m savos_jax.tools.paper --davis=/path/to/DAVIS --table 1 4 \
      --out=runs/paper

--table: 1 is DAVIS 2016, 2 is DAVIS 2017, segtrack is SegTrack v2, 3 is the
ablation (of the networks that launch/ablation.sh trains), 4 is the add-ons;
generalisation, which is not in the paper, is one network on all available data.
--figure=6 is J against seconds per frame. By default, all of them.

--out receives tables/*.csv, tables/*.md, figure6.png and tables.html, and the
output of each evaluation in evaluations/. Finished evaluations are reused:
after an interruption the same command continues, and makes the tables again.
Missing sequences, data sets and libraries are named; no figure is made up.
"""

import argparse
from collections.abc import Sequence
import os
from typing import Any

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import command
from savos_jax.tools import flags

_TABLES = ('1', '2', 'segtrack', '3', '4', 'generalisation')
_AS_ASKED = ('scales', 'flip', 'aggregation', 'background')


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('paper', __doc__)
  add = parser.add_argument
  add('--table', nargs='+', choices=_TABLES, default=[], help='see above')
  add('--figure', choices=('6',), help='see above')
  add('--davis', type=command.path, metavar='ROOT',
      help='DAVIS, 480p, with the lists of 2016, 2017 or both')  # fmt: skip
  add('--segtrack', type=command.path, metavar='ROOT', help='of SegTrack v2')
  add('--more', type=command.path, metavar='ROOT',
      help="other videos in DAVIS's layout, with the list val of 2017, for the "
      'table of generalisation')  # fmt: skip
  add('--ablation', type=command.path, metavar='FOLDER',
      help='output of launch/ablation.sh, for Table 3')  # fmt: skip
  add('--checkpoint', type=command.path, default=checkpoints.DEFAULT,
      metavar='PATH', help='the network: a file of export_checkpoint or the '
      '--workdir of a training; default: the shipped network')  # fmt: skip
  add('--before', type=command.path, metavar='PATH',
      help='another network to compare in the table of '
      'generalisation')  # fmt: skip
  flags.add_flag(
    parser, 'online', ranges.whole(1, 1_000_000, of='steps'), default=None,
    metavar='STEPS', help='of online learning in Table 4; default: as with '
    'tools.segment --online',
  )  # fmt: skip
  flags.add_seeing(parser, add="; 0 is the paper's way")
  for name in _AS_ASKED:
    flags.add_field(parser, options.InferenceConfig, name)
  add('--out', type=command.path, required=True, metavar='FOLDER',
      help='for the tables and the evaluations')  # fmt: skip
  return parser.parse_args(argv)


def _check(arguments: argparse.Namespace) -> None:
  """Refuses missing folders before anything else."""
  for name in ('davis', 'segtrack', 'more', 'ablation'):
    folder = getattr(arguments, name)
    if folder is not None and not folder.is_dir():
      raise errors.SavosError(
        f'--{name}: {folder} is not a folder.\n  Expected a folder. Without '
        f'--{name}, the tables say what was not measured.'
      )


def _grids(arguments: argparse.Namespace, runs: Any, asked: Sequence[str]):
  """Returns the requested tables, running the evaluations they need."""
  from savos_jax.report import paper_figures
  from savos_jax.tools import paper_rows
  from savos_jax.tools import paper_runs

  published = {table.key: table for table in paper_figures.TABLES}
  grids = []
  for key in asked:
    if key == 'generalisation':
      pairs = {}
      for data in paper_runs.GENERAL:
        other = f'{data}{paper_runs.OTHER}'
        before = runs.outcome(other) if arguments.before else None
        pairs[data] = runs.outcome(data), before
      grids.append(paper_rows.general(pairs))
      continue
    table = published[key]
    if key == '3':
      grids.append(paper_rows.ablation(table, arguments.ablation))
    elif key == '4':
      added = {
        name: runs.outcome(added) for added, name in paper_runs.ADD_ONS.items()
      }
      grids.append(paper_rows.add_ons(table, runs.outcome('davis2016'), added))
    else:
      outcome = runs.outcome(table.benchmark)
      grids.append(paper_rows.benchmark(table, outcome))
  return grids


def run(arguments: argparse.Namespace) -> None:
  """Runs missing evaluations, and writes the tables.

  Raises:
    SavosError: something that the user can put right.
  """
  _check(arguments)
  # TensorFlow only writes curves: its messages are noise to the user.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
  from savos_jax.foundation import compilation_cache
  from savos_jax.foundation import files
  from savos_jax.report import paper_figures
  from savos_jax.tools import paper_rows
  from savos_jax.tools import paper_runs
  from savos_jax.tools import paper_writing

  everything = not (arguments.table or arguments.figure)
  asked = [t for t in _TABLES if everything or t in arguments.table]
  compilation_cache.enable()
  inputs = [
    arguments.davis, arguments.segtrack, arguments.more, arguments.ablation,
  ]  # fmt: skip
  runs = paper_runs.Runs(arguments)
  runs.check()
  with files.claimed(arguments.out, filter(None, inputs)):
    grids = _grids(arguments, runs, asked)
    chart = None
    if everything or arguments.figure:
      outcome = runs.outcome('davis2016')
      chart = paper_rows.figure(paper_figures.TABLES[0], outcome)
    general = 'generalisation' in asked
    paper_writing.write(arguments.out, grids, chart, runs.outcomes, general)


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
