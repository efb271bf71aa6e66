"""What the programs share: how they are called, and how they end."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import os
import pathlib
import sys
from typing import Protocol

from savos_jax.foundation import errors
from savos_jax.foundation import manifests

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


def path(text: str) -> pathlib.Path:
  """Reads a path of the command line; a shell may have left a ~ in it.

  Raises:
    argparse.ArgumentTypeError: it is empty, which would be this very folder.
  """
  if not text.strip():
    raise argparse.ArgumentTypeError('it is empty: expected a path')
  try:
    return pathlib.Path(text).expanduser()
  except RuntimeError:  # Nobody of this name.
    return pathlib.Path(text)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
  """Adds the flag that `check_outputs` asks for."""
  parser.add_argument(
    '--overwrite',
    action='store_true',
    help='replaces files that are there under the names to be written',
  )


def check_outputs(
  outputs: Iterable[pathlib.Path | None],
  inputs: Iterable[pathlib.Path | None],
  overwrite: bool = False,
) -> None:
  """Refuses to replace a file that somebody else may have made.

  In a folder with a manifest that one tells whose a file is. Elsewhere a file
  that is there is replaced where the user says so.

  Args:
    outputs: files to be written, those of flags that are not given left out.
    inputs: files and folders that are read; nothing in them is ever replaced.
    overwrite: whether the user said so.

  Raises:
    SavosError: a file is there, is read, or is to be written twice; a folder
      can't be written to.
  """
  used = {path.resolve() for path in inputs if path is not None}
  written: set[pathlib.Path] = set()
  for output in outputs:
    if output is None:
      continue
    real = output.resolve()
    if real in written:
      raise errors.SavosError(
        f'{output}: is to be written twice.\n  Expected a name for each.'
      )
    written.add(real)
    if os.path.lexists(output):
      _check_replaced(output, used, overwrite)
    else:
      _check_writable(output)


def _check_replaced(
  output: pathlib.Path, used: set[pathlib.Path], overwrite: bool
) -> None:
  real = output.resolve()
  if output.is_dir():
    raise errors.SavosError(
      f'{output}: a folder.\n  Expected the name of a file to write.'
    )
  same = (path.is_file() and path.samefile(real) for path in used)
  if real.exists() and (used & {real, *real.parents} or any(same)):
    raise errors.SavosError(
      f'{output}: is read by this run, and would be replaced by it.\n'
      '  Expected another name for what is written.'
    )
  manifest = manifests.of(output)
  if manifest:
    manifest.check([output])
  elif not overwrite:
    raise errors.SavosError(
      f'{output}: exists already.\n'
      '  Expected a new name; --overwrite replaces what is there.'
    )


def _check_writable(output: pathlib.Path) -> None:
  above = next(each for each in output.absolute().parents if each.exists())
  if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
    raise errors.SavosError(
      f'{output}: could not be written: {above} is '
      f'{"not writable" if above.is_dir() else "a file"}.\n'
      '  Expected a folder that can be written to.'
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
    with errors.reported():
      run(parse(argv))

  return start
