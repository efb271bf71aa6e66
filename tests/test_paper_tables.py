"""The paper's tables in their forms, without an evaluation."""

import csv
import io

import pytest

from savos_jax.report import paper_figures
from savos_jax.report import paper_tables

TABLE = paper_figures.Table(
  'x', 'A | b', 'davis2016', (paper_figures.Row('SAVOS', 0.803, 0.795),), 'N.'
)


@pytest.fixture
def grid():
  own = [
    paper_tables.Line('ours', paper_tables.MEASURED, 0.5, 0.25, 0.1234, 'two'),
    paper_tables.Line('more', paper_tables.ABSENT, note='=why'),
  ]
  return paper_tables.fill(TABLE, own, ['First.'])


def test_own_rows_stand_in_front_and_what_is_measured_is_set_apart(grid):
  assert grid.columns == ('method', 'source', 'J', 'F', 's a frame', 'over')
  assert grid.rows == (
    ('ours', 'measured', '50.0', '25.0', '0.123', 'two'),
    ('more', 'not measured', '-', '-', '-', '=why'),
    ('SAVOS', 'paper', '80.3', '79.5', '-', ''),
  )
  assert grid.emphasis == (0,)
  assert grid.notes == ('First.', 'N.')


def test_columns_that_nothing_is_in_are_left_out():
  assert paper_tables.fill(TABLE, []).columns == ('method', 'source', 'J', 'F')


def test_markdown(grid):
  lines = paper_tables.to_markdown(grid).splitlines()
  assert lines[0] == '### A | b, percent'
  assert lines[4].startswith('| **ours** | **measured** | **50.0** |')
  assert lines[6] == '| SAVOS | paper | 80.3 | 79.5 | - |  |'
  assert lines[-1] == 'N.'
  piped = grid._replace(rows=(('a|b',),), columns=('x',), emphasis=())
  assert '| a\\|b |' in paper_tables.to_markdown(piped)


def test_csv_has_empty_fields_and_no_formulas(grid):
  rows = list(csv.reader(io.StringIO(paper_tables.to_csv(grid))))
  assert rows[2] == ['more', 'not measured', '', '', '', "'=why"]


def test_markup_has_the_notes(grid):
  table, notes = paper_tables.to_markup(grid)
  assert '<caption>A | b, percent</caption>' in table
  assert 'First. N.' in notes
  assert len(paper_tables.to_markup(grid._replace(notes=()))) == 1
