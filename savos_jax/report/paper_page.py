"""The page with all tables that `tools.paper` made."""

import base64
from collections.abc import Sequence
import pathlib

from savos_jax.report import charts
from savos_jax.report import html_page
from savos_jax.report import markup
from savos_jax.report import paper_tables

_e = markup.element
_SOURCES = (
  'Rows marked “measured” are of this machine and these data; those marked '
  '“paper” are printed from Symmetry 2019, 11(8), 1006, were not measured '
  'here, and are over all sequences of their benchmark.'
)


def _failures(picture: pathlib.Path, told: str) -> markup.Markup:
  data = base64.b64encode(picture.read_bytes()).decode('ascii')
  return _e(
    'figure',
    _e('img', src=f'data:image/jpeg;base64,{data}', alt=told, width='100%'),
    _e('figcaption', told),
  )


def build(
  grids: Sequence[paper_tables.Grid],
  chart: charts.Chart | None,
  failures: tuple[pathlib.Path, str] | None,
  facts: str,
  reports: Sequence[tuple[str, str]],
) -> str:
  """Returns the page.

  Args:
    grids: the tables.
    chart: Figure 6; None: not requested.
    failures: a JPEG of the worst frames, and its description.
    facts: network and machine, in a line.
    reports: title and address of the report of each evaluation.
  """
  sections = [
    (f'table-{grid.key}', _heading(grid), _table(grid)) for grid in grids
  ]
  if chart is not None:
    figure = _e('figure', charts.to_svg(chart), class_='plain')
    part = _e('section', _e('h2', chart.title), figure, id='figure-6')
    sections.append(('figure-6', 'Figure 6', part))
  if failures is not None:
    part = _e('section', _e('h2', 'Failures'), _failures(*failures), id='worst')
    sections.append(('worst', 'Failures', part))
  if reports:
    items = [_e('li', _e('a', name, href=link)) for name, link in reports]
    part = _e('section', _e('h2', 'Evaluations'), _e('ul', *items), id='runs')
    sections.append(('runs', 'Evaluations', part))
  top = [_e('p', _SOURCES)]
  return html_page.build('The tables of SAVOS', facts, sections, top)


def _heading(grid: paper_tables.Grid) -> str:
  return grid.title.removesuffix(', percent')


def _table(grid: paper_tables.Grid) -> markup.Markup:
  return _e(
    'section',
    _e('h2', _heading(grid)),
    *paper_tables.to_markup(grid),
    id=f'table-{grid.key}',
  )
