"""Names out of files are text in a spreadsheet, whatever they begin with."""

import csv
import io

import pytest

from savos_jax.foundation import spreadsheets


@pytest.mark.parametrize(
  'name',
  [
    '=cmd|"/C calc"!A0',
    '+1+1',
    '-dog',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    '＝1',
    '--1',
    '-1.',
  ],
)
def test_what_begins_as_a_formula_is_text(name):
  text = spreadsheets.to_csv([[name, 1.5]])
  (row,) = csv.reader(io.StringIO(text, newline=''))
  assert row == [f"'{name}", '1.5']


def test_all_else_is_as_it_was():
  rows = [
    ['dog', 'mbike-trick_1', "it's", 'a,b', 'x=1'],
    [-0.287, '+1', '-1e-05', '-inf', ''],
  ]
  assert spreadsheets.to_csv(rows) == (
    'dog,mbike-trick_1,it\'s,"a,b",x=1\n-0.287,+1,-1e-05,-inf,\n'
  )


@pytest.mark.parametrize(
  'name', ['a;=cmd', 'a\t=cmd', 'a",=cmd', 'a\n=cmd', 'a\r=cmd']
)
def test_no_separator_begins_another_cell(name):
  text = spreadsheets.to_csv([[name, 1]])
  for delimiter in ',;\t':
    rows = list(csv.reader(io.StringIO(text, newline=''), delimiter=delimiter))
    assert not any(cell.startswith('=') for row in rows for cell in row)
