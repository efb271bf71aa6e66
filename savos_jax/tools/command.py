"""What the programs share: how they are called, and how they end."""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import sys
from typing import Protocol

from savos_jax.foundation import errors

_SCRIPT = 'savos-jax'  # Of pyproject.toml; it starts savos_jax.cli.


class Main(Protocol):
  """What starts a program."""

  def __call__(self, argv: Sequence[str] | None = None) -> None:
    """Runs it; None: with the arguments of the process."""


def _module(name: str) -> str:
  return f'python -m savos_jax.tools.{name}'


def call(name: str) -> str:
  """Returns how to call a program: as this one was, by its module or savos-jax.

  Args:
    name: of the program's module in savos_jax.tools.
  """
  if pathlib.Path(sys.argv[0]).stem == _SCRIPT:
    return f'{_SCRIPT} {name.replace("_", "-")}'
  return _module(name)


def parser(
  name: str,
  description: str,
  formatter: type[
    argparse.HelpFormatter
  ] = argparse.RawDescriptionHelpFormatter,
) -> argparse.ArgumentParser:
  """Makes a program's parser, without flags.

  Args:
    name: of the program's module in savos_jax.tools.
    description: the module's docstring, with examples of `python -m`; they are
      shown with savos-jax where that was called.
    formatter: of the help.
  """
  written, used = _module(name), call(name)
  return argparse.ArgumentParser(
    prog=used,
    description=description.replace(written, used),
    formatter_class=formatter,
  )


def main(
  parse: Callable[[Sequence[str] | None], argparse.Namespace],
  run: Callable[[argparse.Namespace], object],
) -> Main:
  """Makes a program's `main`, which reports errors without a traceback.

  Args:
    parse: the arguments; those of the process for None.
    run: does what they ask for; may raise `SavosError`.
  """

  def start(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    with errors.reported():
      run(arguments)

  return start
