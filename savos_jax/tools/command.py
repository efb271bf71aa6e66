"""Shared by all programs: parsers, checks of paths, and how they exit."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import os
import pathlib
import sys
from typing import Protocol

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import manifests

_SCRIPT = 'savos-jax'  # Of pyproject.toml; it starts savos_jax.cli.


class Main(Protocol):
  """The entry point of a program."""

  def __call__(self, argv: Sequence[str] | None = None) -> None:
    """Runs the program; None: with the arguments of the process."""


def _module(name: str) -> str:
  return f'python -m savos_jax.tools.{name}'


def call(name: str) -> str:
  """Returns the command that starts a program, in the style of this process.

  Args:
    name: of the program's module in savos_jax.tools.

  Returns:
    'savos-jax NAME' if this process was started as savos-jax, else 'python -m
    savos_jax.tools.NAME'.
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
    description: the module's docstring, with examples of `python -m`, which are
      shown as savos-jax commands if that is how the program was started.
    formatter: of the help.
  """
  written, used = _module(name), call(name)
  return argparse.ArgumentParser(
    prog=used,
    description=description.replace(written, used),
    formatter_class=formatter,
  )


def path(text: str) -> pathlib.Path:
  """Parses a path on the command line; expands a ~ that the shell left.

  Raises:
    argparse.ArgumentTypeError: it is empty, which would mean this folder.
  """
  if not text.strip():
    raise argparse.ArgumentTypeError('it is empty: expected a path')
  try:
    return pathlib.Path(text).expanduser()
  except RuntimeError:  # There is no such user.
    return pathlib.Path(text)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
  """Adds the flag that `check_outputs` asks for."""
  parser.add_argument(
    '--overwrite',
    action='store_true',
    help='replace existing output files',
  )


def check_outputs(
  outputs: Iterable[pathlib.Path | None],
  inputs: Iterable[pathlib.Path | None],
  overwrite: bool = False,
) -> None:
  """Refuses to replace files that this program may not have written.

  In a folder with a manifest, the manifest decides. Elsewhere, an existing file
  is replaced only with --overwrite.

  Args:
    outputs: files to be written; None for flags that were not given.
    inputs: files and folders that are read; nothing in them is ever replaced.
    overwrite: whether --overwrite was given.

  Raises:
    SavosError: a file exists, is an input, or would be written twice; or a
      folder is not writable.
  """
  used = {path.resolve() for path in inputs if path is not None}
  written: set[pathlib.Path] = set()
  for output in outputs:
    if output is None:
      continue
    real = output.resolve()
    if real in written:
      raise errors.SavosError(
        f'{output}: would be written twice.\n  Expected different names.'
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
      f'{output}: is a folder.\n  Expected the name of a file to write.'
    )
  same = (path.is_file() and path.samefile(real) for path in used)
  if real.exists() and (used & {real, *real.parents} or any(same)):
    raise errors.SavosError(
      f'{output}: is read by this run, and would be replaced by it.\n'
      '  Expected another name for the output.'
    )
  manifest = manifests.of(output)
  if manifest:
    manifest.check([output])
  elif not overwrite:
    raise errors.SavosError(
      f'{output}: exists already.\n'
      '  Expected a new name; --overwrite replaces the file.'
    )


def _check_writable(output: pathlib.Path) -> None:
  above = next(each for each in output.absolute().parents if each.exists())
  if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
    raise errors.SavosError(
      f'{output}: could not be written: {above} is '
      f'{"not writable" if above.is_dir() else "a file"}.\n'
      '  Expected a writable folder.'
    )


def main(
  parse: Callable[[Sequence[str] | None], argparse.Namespace],
  run: Callable[[argparse.Namespace], object],
) -> Main:
  """Makes a program's `main`, which reports errors without a traceback.

  Args:
    parse: parses the arguments; None: those of the process.
    run: runs the program with them; may raise `SavosError`.
  """

  def start(argv: Sequence[str] | None = None) -> None:
    with errors.reported(), extras.jax_required('this'):
      run(parse(argv))

  return start
