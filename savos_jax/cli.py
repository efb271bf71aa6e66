"""The command savos-jax: what the programs of savos_jax do, by one name.

It imports a program only when it is asked for, so that --help does not wait.
"""

from collections.abc import Sequence
import difflib
import importlib
import sys

import savos_jax

# Name -> module with `main`, and what it does.
_COMMANDS = {
  'segment': ('tools.segment', 'your own video, from the mask of a frame'),
  'mask': ('tools.mask', 'a first mask, from boxes and points'),
  'studio': ('tools.studio', 'a page to mark, propagate, correct and export'),
  'train': ('main', 'trains a network of a configuration'),
  'evaluate': ('main', 'segments and scores a data set'),
  'score': ('tools.score', 'scores masks that any program made'),
  'crf-search': ('tools.crf_search', 'the best parameters of the dense CRF'),
  'report': ('tools.report', 'a page with scores, charts and strips'),
  'paper': ('tools.paper', 'the tables of the paper, measured here'),
  'curves': ('tools.curves', 'the curves of a training, as table and picture'),
  'dream': ('tools.dream', 'lucid dreams of a frame, to look at'),
  'import-backbone': ('tools.import_backbone', 'weights of a ResNet, imported'),
  'export-checkpoint': ('tools.export_checkpoint', 'a training as one file'),
  'export': ('tools.export', 'a network for ONNX Runtime, browsers, ...'),
  'pack': ('tools.pack', 'training data in one file'),
  'rival-clips': ('tools.rival_clips', 'clips of look-alikes, to validate'),
  'benchmark': ('tools.benchmark.__main__', 'speed and memory on this machine'),
}  # fmt: skip
# Of savos_jax.main, whose flags absl parses.
_MODES = ('train', 'evaluate')


def _usage() -> str:
  width = max(map(len, _COMMANDS))
  lines = [f'  {name:{width}}  {does}' for name, (_, does) in _COMMANDS.items()]
  return '\n'.join(
    [
      'usage: savos-jax COMMAND ...',
      '',
      'Video object segmentation in JAX.',
      '',
      *lines,
      '',
      'savos-jax COMMAND --help tells the flags of one; --version the version.',
    ]
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs a command.

  Args:
    argv: its name and what it is given; by default the process' own.

  Raises:
    SystemExit: the command's status; 2 where there is no such command.
  """
  arguments = list(sys.argv[1:] if argv is None else argv)
  if not arguments or arguments[0] in ('-h', '--help', 'help'):
    print(_usage())
    return
  name, *rest = arguments
  if name == '--version':
    print(f'savos-jax {savos_jax.__version__}')
    return
  if name not in _COMMANDS:
    near = difflib.get_close_matches(name, _COMMANDS, 1)
    meant = f' Did you mean {near[0]}?' if near else ''
    print(
      f'savos-jax: no command {name!r}.{meant}\n\n{_usage()}', file=sys.stderr
    )
    sys.exit(2)
  module = importlib.import_module(f'savos_jax.{_COMMANDS[name][0]}')
  if name in _MODES:
    module.run_mode(name, rest)
  else:
    module.main(rest)
