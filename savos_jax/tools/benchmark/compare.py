"""Compares two results of a benchmark."""

import argparse
from collections.abc import Iterator
import pathlib
from typing import Any

from savos_jax.foundation import errors
from savos_jax.foundation import json_files
from savos_jax.tools.benchmark import output

_EXPECTED = 'Expected a file written by benchmark inference or training --json.'
_FORM = {'benchmark': str, 'device': dict, 'rows': [{'compile_s?': (float,)}]}
_TIMES = ('median_s', 'fastest_s', 'slowest_s')

Key = tuple[tuple[str, Any], ...]


def _key(row: dict[str, Any]) -> Key:
  """Returns the columns that identify a row."""
  names = list(row)
  return tuple((name, row[name]) for name in names[: names.index('compile_s')])


def _read(path: pathlib.Path) -> tuple[dict[str, Any], dict[Key, Any]]:
  """Returns the file's contents, and its measured rows by key."""
  told = json_files.read(path, _EXPECTED, _FORM)
  rows = {}
  for row in told['rows']:
    times = [row.get(name) for name in _TIMES]
    if 'compile_s' not in row or not all(
      isinstance(t, int | float) and t > 0 for t in times if t is not None
    ):
      raise errors.SavosError(
        f'{path}: its rows have no {", ".join(_TIMES)}.\n  {_EXPECTED}'
      )
    if None not in times:
      rows[_key(row)] = row
  if not rows:
    raise errors.SavosError(f'{path}: holds no times.\n  {_EXPECTED}')
  return told, rows


def _compared(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
  before, share = old.get('share_of_limit'), new.get('share_of_limit')
  return {
    'old_s': float(old['median_s']),
    'new_s': float(new['median_s']),
    'ratio': old['median_s'] / new['median_s'],
    'least': old['fastest_s'] / new['slowest_s'],
    'most': old['slowest_s'] / new['fastest_s'],
    'to_limit': float(share) / before if share and before else None,
  }


def compare(old: pathlib.Path, new: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Yields a comparison for each row that both files have.

  Args:
    old: a file of a benchmark's --json.
    new: another.

  Raises:
    SavosError: a file can't be read, is something else, or they have no row in
      common.
  """
  (old_file, old_rows), (new_file, new_rows) = _read(old), _read(new)
  if old_file['benchmark'] != new_file['benchmark']:
    raise errors.SavosError(
      f'{new}: from benchmark {new_file["benchmark"]}.\n'
      f'  Expected {old_file["benchmark"]}, as in {old}.'
    )
  shared = [key for key in new_rows if key in old_rows]
  if not shared:
    raise errors.SavosError(
      f'{new}: has no row in common with {old}.\n'
      '  Expected results for the same sizes and objects: the same flags.'
    )
  for key in shared:
    yield dict(key) | _compared(old_rows[key], new_rows[key])


def run(arguments: argparse.Namespace) -> None:
  """Prints the rows.

  Raises:
    SavosError: as `compare`; or a row is slower than --least allows.
  """
  table = output.Table()
  slow = []
  for row in compare(arguments.old, arguments.new):
    table.add(row)
    if arguments.least and row['ratio'] < arguments.least:
      slow.append(row['ratio'])
  if slow:
    raise errors.SavosError(
      f'{arguments.new}: {len(slow)} of its rows are slower than in '
      f'{arguments.old}, at worst {min(slow):.3g}.\n'
      f'  Expected at least --least {arguments.least:g}.'
    )
