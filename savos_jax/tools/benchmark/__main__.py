"""Flags and dispatch of the benchmarks."""

import argparse
from collections.abc import Sequence
import os

# TensorFlow only feeds data: its start-up messages are of no use here.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

from savos_jax.foundation import errors
from savos_jax.tools import benchmark
from savos_jax.tools.benchmark import aot
from savos_jax.tools.benchmark import data
from savos_jax.tools.benchmark import evaluation
from savos_jax.tools.benchmark import import_backbone
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import training

_BENCHMARKS = {
  'aot': aot,
  'data': data,
  'evaluation': evaluation,
  'import': import_backbone,
  'inference': inference,
  'training': training,
}


class _Formatter(
  argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
  """Shows the defaults that say something, and docstrings as they are."""

  def _get_help_string(self, action: argparse.Action) -> str | None:
    if action.default in (None, False):
      return action.help
    if isinstance(action.default, list):
      return f'{action.help} (default: {" ".join(map(str, action.default))})'
    return super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m savos_jax.tools.benchmark',
    description=benchmark.__doc__,
    formatter_class=_Formatter,
  )
  commands = parser.add_subparsers(dest='command', required=True)
  for name, module in _BENCHMARKS.items():
    command = commands.add_parser(
      name,
      help=module.__doc__.splitlines()[0],
      description=module.__doc__,
      formatter_class=_Formatter,
    )
    module.add_arguments(command)
    output.add_arguments(command)
    command.set_defaults(run=module.run)
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs a benchmark; errors are reported without a traceback.

  Args:
    argv: the arguments, default those of the command line.
  """
  arguments = _parser().parse_args(argv)
  with errors.reported():
    arguments.run(arguments)


if __name__ == '__main__':
  main()
