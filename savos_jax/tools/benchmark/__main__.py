"""Flags and dispatch of the benchmarks."""

import argparse
from collections.abc import Sequence
import importlib
import os

from savos_jax.foundation import allocation
from savos_jax.tools import benchmark
from savos_jax.tools import command
from savos_jax.tools.benchmark.flags import aot
from savos_jax.tools.benchmark.flags import compare
from savos_jax.tools.benchmark.flags import data
from savos_jax.tools.benchmark.flags import evaluation
from savos_jax.tools.benchmark.flags import import_backbone
from savos_jax.tools.benchmark.flags import inference
from savos_jax.tools.benchmark.flags import operations
from savos_jax.tools.benchmark.flags import runtimes
from savos_jax.tools.benchmark.flags import shared
from savos_jax.tools.benchmark.flags import studio
from savos_jax.tools.benchmark.flags import training

_BENCHMARKS = {
  'aot': aot,
  'compare': compare,
  'data': data,
  'evaluation': evaluation,
  'import': import_backbone,
  'inference': inference,
  'operations': operations,
  'runtimes': runtimes,
  'studio': studio,
  'training': training,
}


class _Formatter(
  argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
  """Shows meaningful defaults, and docstrings without reformatting."""

  def _get_help_string(self, action: argparse.Action) -> str | None:
    if action.default in (None, False):
      return action.help
    if isinstance(action.default, list):
      return f'{action.help} (default: {" ".join(map(str, action.default))})'
    return super()._get_help_string(action)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('benchmark', benchmark.__doc__, _Formatter)
  commands = parser.add_subparsers(dest='command', required=True)
  for name, flags in _BENCHMARKS.items():
    text = flags.__doc__ or name
    one = commands.add_parser(
      name,
      help=text.splitlines()[0],
      description=text,
      formatter_class=_Formatter,
    )
    flags.add_arguments(one)
    if flags is not compare:  # It measures nothing.
      shared.add_output_arguments(one)
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Runs the benchmark: the module with the same name as that of its flags.

  Raises:
    SavosError: something that the user can put right.
  """
  if 'json' in arguments:
    command.check_outputs([arguments.json], [], arguments.overwrite)
  allocation.keep()  # As the programs that are measured do.
  # TensorFlow only feeds data: its start-up messages are noise here.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
  name = _BENCHMARKS[arguments.command].__name__.rpartition('.')[2]
  importlib.import_module(f'{benchmark.__name__}.{name}').run(arguments)


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
