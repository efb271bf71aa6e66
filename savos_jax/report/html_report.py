"""results/report.html: one self-contained page."""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

from savos_jax.datasets import sequences
from savos_jax.evaluation import attributes as attributes_lib
from savos_jax.evaluation import results_folder
from savos_jax.evaluation import tables
from savos_jax.foundation import files
from savos_jax.report import charts
from savos_jax.report import comparison as comparison_lib
from savos_jax.report import html_page
from savos_jax.report import html_sequences
from savos_jax.report import markup
from savos_jax.report import paper_figures
from savos_jax.report import paper_tables

_NO_FRAMES = 'the frames of the data set were not given.'

_e = markup.element


def _cells(entry: Mapping[str, Any]) -> list[str]:
  """Writes an entry of scores.json as the cells of `tables.TABLE_COLUMNS`."""
  values = [
    results_folder.number(entry[measure][key])
    for measure in ('J', 'F')
    for key in ('mean', 'recall', 'decay')
  ]
  return [charts.percent(v) for v in ((values[0] + values[3]) / 2, *values)]


def _means(entry: Mapping[str, Any]) -> list[str]:
  """Writes the means of an entry: J&F, J, F."""
  values = entry['J&F'], entry['J']['mean'], entry['F']['mean']
  return [charts.percent(results_folder.number(value)) for value in values]


def _cards(results: results_folder.Results) -> markup.Markup:
  speed, names = results.speed, ('J&F', 'J mean', 'F mean')
  means = _means(results.scores['global'])
  figures = [(n, f'{m} %') for n, m in zip(names, means, strict=True)]
  overall = results.scores.get('categories', {}).get('overall')
  if overall is not None:
    figures.insert(0, ('seen, unseen', f'{charts.percent(overall)} %'))
  if speed:
    figures.append(('a frame', f'{speed["seconds_a_frame"]:.3f} s'))
  return _e(
    'dl',
    *(_e('div', _e('dt', name), _e('dd', text)) for name, text in figures),
    class_='cards',
  )


def _scores(results: results_folder.Results) -> markup.Markup:
  rows = [
    [name, *_cells(entry)]
    for name, entry in results.scores['sequences'].items()
  ]
  count = len(rows)
  scored = sum(results.frames(name, 'J').size > 0 for name in results.objects)
  rows.append([f'mean of {scored}', *_cells(results.scores['global'])])
  by_sequence = results.scores.get('sequences_mean')
  if by_sequence:
    rows.append(['mean over sequences', *_cells(by_sequence)])
  rows += [
    [kind, *_cells(entry)]
    for kind, entry in results.scores.get('categories', {}).items()
    if kind != 'overall'
  ]
  emphasis = range(count, len(rows))
  rows += [
    [f'baseline: {title}', *_cells(entry)]
    for title, entry in results.run.get('baselines', {}).items()
  ]
  return _e(
    'section',
    _e('h2', 'Scores'),
    _e(
      'p',
      'Measured. J is region similarity, F boundary accuracy; recall is the '
      'share of frames above 50 %, decay the loss from the first quarter to '
      'the last.',
    ),
    *(_e('p', f'Note: {note}.') for note in results.scores.get('notes', ())),
    _e(
      'div',
      markup.table(
        'Scores by sequence, percent, measured',
        ('sequence', *tables.TABLE_COLUMNS),
        rows,
        emphasis,
      ),
      _e(
        'figure',
        charts.to_svg(html_sequences.bars(results)),
        class_='plain',
      ),
      class_='columns',
    ),
    id='scores',
  )


def _attributes(found: Mapping[str, Any]) -> markup.Markup:
  rows = []
  for code, entry in found.items():
    name = attributes_lib.NAMES.get(code)
    rows.append(
      [
        f'{code}, {name}' if name else code,
        len(entry['sequences']),
        *_means(entry),
        *_means(entry['without'])[:1],
      ]
    )
  return _e(
    'section',
    _e('h2', 'Attributes'),
    _e(
      'p',
      'Means over the objects of the sequences that the data set gives an '
      'attribute, and J&F of all others.',
    ),
    markup.table(
      'Scores by attribute, percent, measured',
      ('attribute', 'sequences', 'J&F', 'J', 'F', 'J&F of others'),
      rows,
    ),
    id='attributes',
  )


def _paper_table(
  table: paper_figures.Table,
  measured: paper_figures.Measured,
  results: results_folder.Results,
) -> list[markup.Markup]:
  own, notes = [], []
  if measured.benchmark == table.benchmark:
    name = f'this run, {measured.extent}'
    own = [paper_tables.measured(name, results)]
    if results.speed:
      notes.append(
        'The seconds of this run are those of the network and of what refines '
        'or teaches it, without files and the first frames, on '
        f'{results.run.get("device", "an unknown device")}.'
      )
  return paper_tables.to_markup(paper_tables.fill(table, own, notes))


def _paper(results: results_folder.Results) -> markup.Markup:
  measured = paper_tables.identify(results)
  if not measured.benchmark:
    note = (
      f'This run used other data ({measured.title}): none of these figures is '
      'comparable.'
    )
  elif measured.complete:
    note = f'This run is over {measured.title}.'
  else:
    whole = len(paper_figures.BENCHMARKS[measured.benchmark].names)
    note = (
      f'This run is over {measured.title}; the paper’s figures are over all '
      f'{whole}, so they are not directly comparable.'
    )
    if measured.missing:
      note += f' Not here: {", ".join(measured.missing)}.'
  return _e(
    'section',
    _e('h2', 'Beside the paper'),
    _e(
      'p',
      'Rows marked “paper” are printed from Symmetry 2019, 11(8), 1006, and '
      f'were not measured here. {note}',
    ),
    _e(
      'div',
      *(
        _e('div', *_paper_table(table, measured, results))
        for table in paper_figures.TABLES
      ),
      class_='pair',
    ),
    id='paper',
  )


def _facts(facts: Sequence[tuple[str, object]]) -> markup.Markup:
  pairs = [
    _e(tag, text)
    for fact in facts
    for tag, text in zip(('dt', 'dd'), fact, strict=True)
  ]
  return _e('dl', *pairs, class_='facts')


def _speed(results: results_folder.Results) -> markup.Markup:
  speed = results.speed
  if speed:
    jobs = speed.get('jobs', 1)
    body = _facts(
      [
        ('network', f'{speed["seconds_a_frame"]:.3f} s a frame, compiled'),
        ('in the network', f'{100 * speed["network_share"]:.0f} % of the time'),
        ('first frames', f'{speed["first_seconds"]:.1f} s with compilation'),
        (
          'in all',
          f'{speed["total_seconds"]:.1f} s for {speed["frames"]} frames of '
          f'{speed["sequences"]} sequences'
          + f', {jobs:.0f} processes side by side'
          * (jobs > 1),
        ),
        ('peak memory', f'{speed["peak_gib"]:.2f} GiB'),
        ('device', results.run.get('device', 'unknown')),
      ]
    )
  else:
    body = _e('p', 'Not recorded with these results (no speed.json).')
  return _e('section', _e('h2', 'Speed'), body, id='speed')


def _setting(results: results_folder.Results) -> markup.Markup:
  run = results.run
  facts = [
    ('date', results.date),
    ('revision', run.get('revision', 'unknown')),
    ('device', run.get('device', 'unknown')),
    ('weights', run.get('checkpoint', 'unknown')),
  ]
  if 'step' in run:
    averaged = ', averaged weights' if run.get('averaged') else ''
    facts.append(('training', f'step {run["step"]}{averaged}'))
  if results.config is None:
    config = _e('p', 'The configuration is not recorded with these results.')
  else:
    text = json.dumps(results.config, indent=2, ensure_ascii=False)
    config = _e(
      'details',
      _e('summary', 'Configuration'),
      _e('pre', text, tabindex=0),
    )
  return _e('section', _e('h2', 'Setting'), _facts(facts), config, id='setting')


def build(
  results: results_folder.Results,
  videos: Sequence[sequences.Sequence] = (),
  missing: str = _NO_FRAMES,
  comparison: comparison_lib.Comparison | None = None,
) -> str:
  """Returns the page.

  Args:
    results: of an evaluation.
    videos: the data set's videos with frames, for the pictures.
    missing: a sentence that says why there are none.
    comparison: with other results, of which `results` is the first; adds a
      section.

  Returns:
    Self-contained HTML: style, charts as SVG, pictures as JPEG.
  """
  title = f'SAVOS on {paper_tables.identify(results).title}'
  sections = [('scores', 'Scores', _scores(results))]
  if comparison is not None:
    part = comparison_lib.section(comparison)
    sections.insert(0, ('comparison', 'Comparison', part))
  sections.append(('paper', 'Beside the paper', _paper(results)))
  attributes = results.scores.get('attributes')
  if attributes:
    sections.append(('attributes', 'Attributes', _attributes(attributes)))
  part = html_sequences.section(results, videos, missing)
  sections += [
    ('sequences', 'Sequences', part),
    ('speed', 'Speed', _speed(results)),
    ('setting', 'Setting', _setting(results)),
  ]
  subtitle = f'{results.workdir.name}, {results.date}'
  return html_page.build(title, subtitle, sections, [_cards(results)])


def plots(
  path: str | os.PathLike,
  results: results_folder.Results,
  videos: Sequence[sequences.Sequence] = (),
  comparison: comparison_lib.Comparison | None = None,
) -> dict[pathlib.Path, charts.Chart]:
  """Returns the charts that `write` saves beside a page, by file."""
  drawn = dict(html_sequences.plots(results, videos))
  if comparison is not None:
    drawn['comparison'] = comparison_lib.chart(comparison)
  folder = pathlib.Path(path).parent / 'plots'
  return {folder / f'{stem}.png': chart for stem, chart in drawn.items()}


def write(
  path: str | os.PathLike,
  results: results_folder.Results,
  videos: Sequence[sequences.Sequence] = (),
  missing: str = _NO_FRAMES,
  comparison: comparison_lib.Comparison | None = None,
) -> None:
  """Writes the page, and its charts as PNG files in `plots` beside it.

  Args:
    path: of the page, .html.
    results: as `build`.
    videos: as `build`.
    missing: as `build`.
    comparison: as `build`.

  Raises:
    SavosError: a file cannot be written.
  """
  page = build(results, videos, missing, comparison)
  with files.replacing(path) as partial:
    partial.write_text(page, 'utf-8', 'backslashreplace')
  for plot, chart in plots(path, results, videos, comparison).items():
    charts.write_png(plot, chart)
