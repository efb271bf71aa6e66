"""Prints and writes benchmark results: the device, the flags, the rows."""

import argparse
from collections.abc import Mapping
import datetime
import importlib.metadata
import json
import os
import platform
from typing import Any

import jax

from savos_jax.foundation import files
from savos_jax.foundation import provenance

_PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy')
# Flags that do not affect the results.
_UNTOLD = ('command', 'json', 'trace', 'overwrite')


def device() -> dict[str, Any]:
  """Returns the device and the versions of libraries."""
  versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
  return {
    'device': provenance.device(),
    'devices': jax.device_count(),
    'cores': os.cpu_count(),
    'python': platform.python_version(),
    **versions,
    'revision': provenance.revision(),
    'date': datetime.date.today().isoformat(),
  }


def flags(arguments: argparse.Namespace) -> dict[str, Any]:
  """Returns the flags that affect the results."""
  given = vars(arguments)
  return {name: given[name] for name in given if name not in _UNTOLD}


class Table:
  """Prints rows as a Markdown table as they arrive."""

  def __init__(self) -> None:
    """Prints nothing yet."""
    self._columns: list[str] = []

  def add(self, row: Mapping[str, Any]) -> None:
    """Prints a row, with a new heading if its columns differ.

    Args:
      row: column -> text, number, bool, or None if unknown. Numbers in columns
        with `share` in their name are printed as percentages.
    """
    columns = list(row)
    if columns != self._columns:
      self._columns = columns
      print()
      _print_line(columns)
      _print_line(['-' * max(3, len(name)) for name in columns])
    _print_line([_cell(name, row[name]).rjust(len(name)) for name in columns])


class Output:
  """Prints rows as they arrive, and writes them as JSON."""

  def __init__(self, arguments: argparse.Namespace, **about: Mapping[str, Any]):
    """Prints the device, the versions and the flags.

    Args:
      arguments: the flags, with `json`, the file to write or None.
      **about: further blocks to print and write, by name.
    """
    self._path = arguments.json
    self._result = {
      'benchmark': arguments.command,
      'flags': flags(arguments),
      'device': device(),
      **about,
      'rows': [],
    }
    blocks = {'measured with': self._result['device']} | about
    for name, block in blocks.items():
      told = (f'{key} {_cell(key, value)}' for key, value in block.items())
      print(f'{name}: {", ".join(told)}', flush=True)
    self._table = Table()

  def add(self, row: Mapping[str, Any]) -> None:
    """Prints a row, and adds it to the file.

    The file keeps this row whatever happens to the next one.

    Args:
      row: as for `Table.add`.

    Raises:
      SavosError: the JSON can't be written.
    """
    self._table.add(row)
    self._result['rows'].append({n: _rounded(v) for n, v in row.items()})
    self._write()

  def fail(self, what: str, why: str) -> None:
    """Records a row that could not be measured.

    Args:
      what: describes the row.
      why: the reason.

    Raises:
      SavosError: the JSON can't be written.
    """
    self._result.setdefault('failed', {})[what] = why
    self._write()

  def _write(self) -> None:
    if self._path:
      text = json.dumps(self._result, indent=2, default=str)
      with files.replacing(self._path) as partial:
        partial.write_text(text + '\n', 'utf-8')


def _print_line(cells: list[str]) -> None:
  print(f'| {" | ".join(cells)} |', flush=True)


def _rounded(value: Any) -> Any:
  return float(f'{value:.6g}') if isinstance(value, float) else value


def _cell(name: str, value: Any) -> str:
  if value is None:
    return '-'
  if isinstance(value, bool):
    return 'on' if value else 'off'
  if not isinstance(value, float):
    return str(value)
  if 'share' in name:
    return f'{100 * value:.3g} %'
  # Three digits, without an exponent for larger numbers.
  return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'
