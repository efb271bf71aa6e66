"""The paper's tables, preceded by measured rows, in several formats."""

from collections.abc import Sequence
import math
from typing import NamedTuple

from savos_jax.evaluation import results_folder
from savos_jax.foundation import spreadsheets
from savos_jax.report import charts
from savos_jax.report import markup
from savos_jax.report import paper_figures

PAPER, MEASURED, ABSENT = 'paper', 'measured', 'not measured'
_NAN = float('nan')


class Line(NamedTuple):
  """A row of a table.

  Attributes:
    method: its heading.
    source: `PAPER`, `MEASURED` or `ABSENT`.
    j: mean of J, a fraction; nan if there is none.
    f: mean of F, as j.
    seconds: per frame; nan if there are none.
    note: its data, or why there is no result; may be empty.
  """

  method: str
  source: str
  j: float = _NAN
  f: float = _NAN
  seconds: float = _NAN
  note: str = ''


class Grid(NamedTuple):
  """A table as text.

  Attributes:
    key: names its files.
    title: what it shows, with the unit.
    columns: the column headings; the first is above the row headings.
    rows: of cells.
    emphasis: indices of rows to highlight.
    notes: sentences below it.
  """

  key: str
  title: str
  columns: tuple[str, ...]
  rows: tuple[tuple[str, ...], ...]
  emphasis: tuple[int, ...] = ()
  notes: tuple[str, ...] = ()


def identify(results: results_folder.Results) -> paper_figures.Measured:
  """Identifies the data of results."""
  data = (results.config or {}).get('data')
  rules = results.scores.get('protocol', '')
  return paper_figures.identify(data, rules, results.objects)


def measured(
  method: str, results: results_folder.Results, note: str = ''
) -> Line:
  """Returns the row of an evaluation."""
  total = results.scores['global']
  j, f = (results_folder.number(total[m]['mean']) for m in ('J', 'F'))
  return Line(method, MEASURED, j, f, results.seconds_a_frame, note)


def _seconds(value: float) -> str:
  return f'{value:.3g}' if math.isfinite(value) else '-'


def fill(
  table: paper_figures.Table, own: Sequence[Line], notes: Sequence[str] = ()
) -> Grid:
  """Puts our rows in front of the paper's.

  Args:
    table: the paper's.
    own: our rows; measured ones are highlighted.
    notes: sentences, before the table's own note.
  """
  lines = [*own, *(Line(row[0], PAPER, *row[1:]) for row in table.rows)]
  timed = any(math.isfinite(line.seconds) for line in lines)
  noted = any(line.note for line in lines)
  columns = ['method', 'source', 'J', 'F']
  columns += ['s a frame'] * timed + ['over'] * noted

  def cells(line: Line) -> tuple[str, ...]:
    more = [_seconds(line.seconds)] * timed + [line.note] * noted
    figures = charts.percent(line.j), charts.percent(line.f)
    return line.method, line.source, *figures, *more

  emphasis = [i for i, line in enumerate(lines) if line.source == MEASURED]
  return Grid(
    table.key,
    f'{table.title}, percent',
    tuple(columns),
    tuple(map(cells, lines)),
    tuple(emphasis),
    tuple(filter(None, [*notes, table.note])),
  )


def to_markup(grid: Grid) -> list[markup.Markup]:
  """Returns a table and its notes as HTML."""
  parts = [markup.table(grid.title, grid.columns, grid.rows, grid.emphasis)]
  if grid.notes:
    parts.append(markup.element('p', ' '.join(grid.notes), class_='faint'))
  return parts


def _markdown_row(cells: Sequence[str]) -> str:
  return f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |'


def to_markdown(grid: Grid) -> str:
  """Returns a table and its notes as Markdown; highlighted rows are bold."""
  rows = [
    [f'**{cell}**' if i in grid.emphasis and cell else cell for cell in row]
    for i, row in enumerate(grid.rows)
  ]
  lines = [
    f'### {grid.title}',
    '',
    _markdown_row(grid.columns),
    _markdown_row(['---'] * len(grid.columns)),
    *map(_markdown_row, rows),
  ]
  for note in grid.notes:
    lines += ['', note]
  return '\n'.join([*lines, ''])


def to_csv(grid: Grid) -> str:
  """Returns a table as CSV; missing values are empty."""
  rows = [[cell if cell != '-' else '' for cell in row] for row in grid.rows]
  return spreadsheets.to_csv([grid.columns, *rows])
