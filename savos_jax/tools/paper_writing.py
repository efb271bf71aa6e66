"""Writes the paper's tables, its figure and the worst frames as files."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib

import numpy as np
from PIL import Image

from savos_jax.evaluation import protocol
from savos_jax.foundation import files
from savos_jax.foundation import provenance
from savos_jax.pictures import failures
from savos_jax.report import charts
from savos_jax.report import html_sequences
from savos_jax.report import paper_page
from savos_jax.report import paper_tables
from savos_jax.tools import paper_runs

_FAILED = 0.8  # Sequences with a lower mean J are shown.
_MOST = 8  # Sequences in the picture, at most.
_QUALITY = 70


def write(
  out: pathlib.Path,
  grids: Sequence[paper_tables.Grid],
  chart: charts.Chart | None,
  outcomes: Mapping[str, paper_runs.Outcome],
  with_failures: bool,
) -> None:
  """Writes all files besides the evaluations, and prints the tables.

  Args:
    out: the folder.
    grids: the tables.
    chart: Figure 6, if requested.
    outcomes: of the evaluations, by key.
    with_failures: whether to draw the worst frames of the worst sequences.

  Raises:
    SavosError: a file can't be written, or a frame or mask can't be read.
  """
  for grid in grids:
    stem = f'table_{grid.key}' if grid.key[0].isdigit() else grid.key
    _write(out / 'tables' / f'{stem}.csv', paper_tables.to_csv(grid))
    text = paper_tables.to_markdown(grid)
    _write(out / 'tables' / f'{stem}.md', text)
    print(f'\n{text}')
  if chart is not None:
    charts.write_png(out / 'figure6.png', chart)
  drawn = _draw(out / 'failures.jpg', outcomes) if with_failures else None
  reports = [
    (f'{outcome.title}: {key}', f'evaluations/{key}/results/report.html')
    for key, outcome in outcomes.items()
    if outcome.results
  ]
  facts = f'{provenance.device()}, revision {provenance.revision()}'
  page = paper_page.build(grids, chart, drawn, facts, reports)
  _write(out / 'tables.html', page)
  print(f'wrote {out / "tables.html"}')


def _write(path: pathlib.Path, text: str) -> None:
  with files.replacing(path) as partial:
    partial.write_text(text, 'utf-8', newline='\n')


def _draw(
  path: pathlib.Path, outcomes: Mapping[str, paper_runs.Outcome]
) -> tuple[pathlib.Path, str] | None:
  """Draws the worst frames of the sequences with the lowest J.

  Returns:
    The file and a description; None if no sequence failed.
  """
  found = []
  for key in paper_runs.GENERAL:
    outcome = outcomes[key]
    if outcome.results is None:
      continue
    for one in html_sequences.group(outcome.results, outcome.videos):
      values = [outcome.results.mean(name, 'J') for name in one.objects]
      mean = float(np.mean(values))
      if mean < _FAILED:
        found.append((mean, outcome, one))
  found = sorted(found, key=lambda entry: entry[0])[:_MOST]
  if not found:
    return None
  rows = [
    failures.row(one.name, _frames(outcome, one)) for _, outcome, one in found
  ]
  with files.replacing(path) as partial:
    picture = Image.fromarray(failures.sheet(rows))
    picture.save(partial, 'JPEG', quality=_QUALITY, optimize=True)
  told = 'Coloured: prediction; white line: ground truth. ' + '; '.join(
    f'{one.name}: J {charts.percent(mean)}' for mean, _, one in found
  )
  return path, told


def _frames(
  outcome: paper_runs.Outcome, one: html_sequences.Group
) -> list[failures.Frame]:
  """Returns the annotated first frame and the worst frames, in time order."""
  assert outcome.results is not None
  video = one.video
  assert video is not None
  worst = html_sequences.worst_frames(outcome.results, one)
  read = protocol.read_predictions(outcome.results.folder / 'masks', video)
  first = video.labels(0)
  shown = [failures.Frame('given', video.frame(0), first, first)]
  for index, values in sorted(worst):
    tag = f'{index}: J {charts.percent(values["J"])}'
    labels = read(index)
    if video.merge_objects:
      labels = (labels > 0).astype(np.uint8)
    frame = failures.Frame(tag, video.frame(index), labels, video.labels(index))
    shown.append(frame)
  return shown
