"""The command savos-jax, a single entry point for all programs.

A program is imported only when it runs, so that --help is fast.
"""

from collections.abc import Sequence
import difflib
import importlib
import sys

import savos_jax
from savos_jax.foundation import errors
from savos_jax.foundation import extras

# Name -> module with `main`, and what it does.
_COMMANDS = {
  'segment': ('tools.segment', 'segment a video from the mask of one frame'),
  'mask': ('tools.mask', 'make a first mask from boxes and points'),
  'studio': ('tools.studio', 'mark, propagate and correct in the browser'),
  'train': ('main', 'train the network of a configuration'),
  'evaluate': ('main', 'segment and score a data set'),
  'score': ('tools.score', 'score masks from any program'),
  'crf-search': ('tools.crf_search', 'search for parameters of the dense CRF'),
  'report': ('tools.report', 'make a page with scores, charts and strips'),
  'paper': ('tools.paper', 'measure the tables of the paper'),
  'curves': ('tools.curves', 'plot the curves of a training run'),
  'dream': ('tools.dream', 'draw lucid dreams of a frame'),
  'import-backbone': ('tools.import_backbone', 'import weights of a ResNet'),
  'export-checkpoint': ('tools.export_checkpoint', 'save it as one file'),
  'export': ('tools.export', 'convert it for ONNX Runtime, browsers, ...'),
  'pack': ('tools.pack', 'pack training data into one file'),
  'rival-clips': ('tools.rival_clips', 'make clips with look-alikes'),
  'benchmark': ('tools.benchmark.__main__', 'measure speed and memory'),
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
      'savos-jax COMMAND --help lists the flags of a command; savos-jax '
      '--version prints the version.',
    ]
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs a command.

  Args:
    argv: its name and arguments; by default the process's own.

  Raises:
    SystemExit: with the command's status; 2 if there is no such command.
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
  # The programs tell by themselves; of savos_jax.main it is the import.
  with errors.reported(), extras.jax_required(name):
    module = importlib.import_module(f'savos_jax.{_COMMANDS[name][0]}')
  if name in _MODES:
    module.run_mode(name, rest)
  else:
    module.main(rest)
