"""Measured results as rows of the paper's tables."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

from savos_jax.evaluation import results_folder
from savos_jax.report import charts
from savos_jax.report import paper_figures
from savos_jax.report import paper_tables
from savos_jax.tools import paper_runs

OURS = 'savos_jax'
# Rows of Table 3: the prefix of the folders that launch/ablation.sh makes, one
# per seed, and the name of the row.
_ABLATION = {
  'basic': 'basic version',
  'dream': '+ lucid dream',
  'attention': '+ attention',
}


def _line(method: str, outcome: paper_runs.Outcome) -> paper_tables.Line:
  if outcome.results is None:
    note = outcome.reason
    return paper_tables.Line(method, paper_tables.ABSENT, note=note)
  found = paper_tables.identify(outcome.results)
  note = found.extent if found.benchmark else found.title
  return paper_tables.measured(method, outcome.results, note)


def _notes(results: Sequence[results_folder.Results]) -> list[str]:
  """Notes what is missing from the benchmark, and the devices used."""
  notes = []
  found = [paper_tables.identify(one) for one in results]
  missing = {one.missing for one in found if one.missing}
  for names in sorted(missing):
    notes.append(f'Missing, and not scored: {", ".join(names)}.')
  devices = sorted({one.run.get('device', 'unknown') for one in results})
  if devices:
    notes.append(f'Measured on {"; ".join(devices)}.')
  return notes


def benchmark(
  table: paper_figures.Table, outcome: paper_runs.Outcome
) -> paper_tables.Grid:
  """Returns a table of methods with our row first."""
  results = [outcome.results] if outcome.results else []
  return paper_tables.fill(table, [_line(OURS, outcome)], _notes(results))


def add_ons(
  table: paper_figures.Table,
  base: paper_runs.Outcome,
  added: Mapping[str, paper_runs.Outcome],
) -> paper_tables.Grid:
  """Returns the table of add-ons.

  Args:
    table: the paper's.
    base: outcome of the network alone.
    added: add-on -> its outcome.
  """
  lines = [_line(OURS, base)]
  for name, outcome in added.items():
    line = _line(f'{OURS} {name}', outcome)
    if outcome.results and base.results:
      more = outcome.results.seconds_a_frame - base.results.seconds_a_frame
      line = line._replace(method=f'{line.method} ({more:+.2f} s)')
    lines.append(line)
  results = [o.results for o in (base, *added.values()) if o.results]
  return paper_tables.fill(table, lines, _notes(results))


def ablation(
  table: paper_figures.Table, folder: pathlib.Path | None
) -> paper_tables.Grid:
  """Returns the table of the ablation.

  Args:
    table: the paper's.
    folder: of launch/ablation.sh; None if there is none.

  Raises:
    SavosError: a folder of results is damaged.
  """
  found = {stem: _runs(folder, stem) for stem in _ABLATION}
  lines = [
    _mean(f'{OURS}, {name}', found[stem]) for stem, name in _ABLATION.items()
  ]
  notes = _notes([one for runs in found.values() for one in runs])
  return paper_tables.fill(table, lines, notes)


def _runs(
  folder: pathlib.Path | None, stem: str
) -> list[results_folder.Results]:
  """Reads the results of a row, one per seed."""
  if folder is None:
    return []
  paths = sorted(folder.glob(f'{stem}[0-9]*/results/scores.json'))
  return [results_folder.load(path.parent) for path in paths]


def _mean(method: str, runs: list[results_folder.Results]) -> paper_tables.Line:
  if not runs:
    note = 'train it: launch/ablation.sh FOLDER, then --ablation=FOLDER'
    return paper_tables.Line(method, paper_tables.ABSENT, note=note)
  each = [paper_tables.measured(method, one) for one in runs]
  extents = {paper_tables.identify(one).title for one in runs}
  j, f, seconds = (
    sum(getattr(line, name) for line in each) / len(each)
    for name in ('j', 'f', 'seconds')
  )
  several = ' and '.join(charts.percent(line.j) for line in each)
  seeds = f', J {several} by seed' if len(each) > 1 else ''
  note = f'{"; ".join(sorted(extents))}{seeds}'
  return paper_tables.Line(method, paper_tables.MEASURED, j, f, seconds, note)


def figure(
  table: paper_figures.Table, outcome: paper_runs.Outcome
) -> charts.Chart:
  """Plots J against seconds per frame for all methods that report both."""
  points = [
    charts.Point(row.method, row.seconds, row.j, 1) for row in table.rows
  ]
  name = 'measured here'
  if outcome.results:
    line = _line(OURS, outcome)
    points.insert(0, charts.Point(OURS, line.seconds, line.j, 0))
    name += f', {line.note}'
  return charts.scatter(
    'Figure 6: J and time per frame, DAVIS-2016 val',
    [name, 'paper, all 20 sequences'],
    points,
    'seconds per frame, each on its own machine',
  )


def _means(results: results_folder.Results | None) -> dict[str, list[str]]:
  """Returns J and F of each sequence, percent."""
  videos: Mapping[str, Any] = (
    results.scores.get('videos', {}) if results else {}
  )
  return {name: _pair(entry) for name, entry in videos.items()}


def _pair(entry: Mapping[str, Any]) -> list[str]:
  return [
    charts.percent(results_folder.number(entry[measure]['mean']))
    for measure in ('J', 'F')
  ]


def general(
  outcomes: Mapping[str, tuple[paper_runs.Outcome, paper_runs.Outcome | None]],
) -> paper_tables.Grid:
  """Returns a table of one network on all available data.

  Args:
    outcomes: by data set: those of the network, and of another one, if given.
  """
  compared = any(other for _, other in outcomes.values())
  rows: list[tuple[str, ...]] = []
  emphasis, absent = [], []
  for one, other in outcomes.values():
    if one.results is None:
      absent.append(f'{one.title}: not measured ({one.reason}).')
      continue
    before = other.results if other else None
    emphasis.append(len(rows))
    rows.append(_row(_extent(one), one.results, before, compared))
    own, others = _means(one.results), _means(before)
    for name in own:
      cells = others.get(name, ['-', '-']) if compared else []
      rows.append((name, *own[name], *cells, ''))
  columns = ('sequence', 'J', 'F', *(['J before', 'F before'] * compared))
  return paper_tables.Grid(
    'generalisation',
    'One network on all data, percent',
    (*columns, 'first mask copied: J'),
    tuple(rows),
    tuple(emphasis),
    tuple(absent),
  )


def _row(title, results, before, compared: bool) -> tuple[str, ...]:
  copied = results.run.get('baselines', {}).get('first mask copied')
  other = _pair(before.scores['global']) if before else ['-', '-']
  first = _pair(copied)[0] if copied else '-'
  own = _pair(results.scores['global'])
  return (title, *own, *(other if compared else []), first)


def _extent(outcome: paper_runs.Outcome) -> str:
  assert outcome.results is not None
  found = paper_tables.identify(outcome.results)
  count = len(outcome.results.objects)
  return f'{outcome.title}, {found.extent}' + (
    '' if 'objects' in found.extent else f', {count} object{"s" * (count > 1)}'
  )
