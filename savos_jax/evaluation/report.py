"""Scores as JSON, as the official CSV files, and as a table to read."""

import csv
import io
import json
import math
import os
import pathlib

from savos_jax import files
from savos_jax.evaluation import measures
from savos_jax.evaluation import protocol

_GLOBAL_COLUMNS = (
  'J&F-Mean',
  'J-Mean',
  'J-Recall',
  'J-Decay',
  'F-Mean',
  'F-Recall',
  'F-Decay',
)
_SEQUENCE_COLUMNS = ('Sequence', 'J-Mean', 'F-Mean')
_TABLE_COLUMNS = (
  'J&F',
  'J mean',
  'J recall',
  'J decay',
  'F mean',
  'F recall',
  'F decay',
)


def _write_text(path: str | os.PathLike, text: str) -> None:
  with files.replacing(path) as partial:
    partial.write_text(text, 'utf-8', newline='\n')


def _number(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None


def _statistics_dict(statistics: measures.Statistics) -> dict:
  return {key: _number(v) for key, v in statistics._asdict().items()}


def to_json_dict(scores: protocol.Scores) -> dict:
  """Turns scores into plain dictionaries.

  Args:
    scores: the scores.

  Returns:
    {'global': {'J': {'mean', 'recall', 'decay'}, 'F': {...}, 'J&F': x},
    'sequences': {name: {'J': {...}, 'F': {...}, 'frames': {'J': [...],
    'F': [...]}}}}; fractions, None where a value is not defined (a video
    without scored frames).
  """
  return {
    'global': {
      'J': _statistics_dict(scores.j),
      'F': _statistics_dict(scores.f),
      'J&F': _number(scores.j_and_f),
    },
    'sequences': {
      score.name: {
        'J': _statistics_dict(score.j_statistics),
        'F': _statistics_dict(score.f_statistics),
        'frames': {
          'J': [_number(value) for value in score.j],
          'F': [_number(value) for value in score.f],
        },
      }
      for score in scores.objects
    },
  }


def write_json(path: str | os.PathLike, scores: protocol.Scores) -> None:
  """Writes `to_json_dict(scores)`, atomically.

  Raises:
    SavosError: the file can't be written.
  """
  text = json.dumps(to_json_dict(scores), indent=1, allow_nan=False)
  _write_text(path, text + '\n')


def _csv_number(value: float) -> str:
  # As pandas with float_format='%.3f': not a number is an empty field.
  return f'{value:.3f}' if math.isfinite(value) else ''


def _csv_text(columns: tuple[str, ...], rows: list[list[str]]) -> str:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(columns)
  writer.writerows(rows)
  return text.getvalue()


def write_csv(
  folder: str | os.PathLike, scores: protocol.Scores, split: str
) -> tuple[pathlib.Path, pathlib.Path]:
  """Writes the two files of davis2017-evaluation, names and columns alike.

  Fractions with three decimals. The official tool takes these files for its own
  when they lie in the folder that it is to score.

  Args:
    folder: where to; made if it is not there.
    scores: the scores.
    split: name of the image list, 'val'; part of the file names.

  Returns:
    The paths of `global_results-<split>.csv` and
    `per-sequence_results-<split>.csv`.

  Raises:
    SavosError: a file can't be written.
  """
  folder = pathlib.Path(folder)
  global_path = folder / f'global_results-{split}.csv'
  sequence_path = folder / f'per-sequence_results-{split}.csv'
  values = (scores.j_and_f, *scores.j, *scores.f)
  _write_text(
    global_path, _csv_text(_GLOBAL_COLUMNS, [list(map(_csv_number, values))])
  )
  rows = [
    [
      score.name,
      _csv_number(score.j_statistics.mean),
      _csv_number(score.f_statistics.mean),
    ]
    for score in scores.objects
  ]
  _write_text(sequence_path, _csv_text(_SEQUENCE_COLUMNS, rows))
  return global_path, sequence_path


def _cells(j: measures.Statistics, f: measures.Statistics) -> list[str]:
  values = ((j.mean + f.mean) / 2, *j, *f)
  # Adding 0 turns the -0.0 of a small negative decay into 0.0.
  return [
    f'{round(100 * v, 1) + 0:.1f}' if math.isfinite(v) else '-' for v in values
  ]


def format_table(
  scores: protocol.Scores,
  baselines: dict[str, protocol.Scores] | None = None,
) -> str:
  """Lays scores out as a plain text table, in percent.

  Args:
    scores: the scores; one row an object, then their mean.
    baselines: title -> scores; their means, one row each below the mean.

  Returns:
    The table, lines without a newline at the end; '-' where a value is not
    defined.
  """
  body = [
    [score.name, *_cells(score.j_statistics, score.f_statistics)]
    for score in scores.objects
  ]
  count = len(scores.objects)
  means = [
    [f'mean of {count}', *_cells(scores.j, scores.f)],
    *(
      [f'baseline: {title}', *_cells(baseline.j, baseline.f)]
      for title, baseline in (baselines or {}).items()
    ),
  ]
  header = ['percent', *_TABLE_COLUMNS]
  rows = [header, *body, *means]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    '  '.join(
      [
        row[0].ljust(widths[0]),
        *(
          cell.rjust(width)
          for cell, width in zip(row[1:], widths[1:], strict=True)
        ),
      ]
    )
    for row in rows
  ]
  rule = '-' * len(lines[0])
  lines[1:1] = [rule]
  lines[-len(means) : -len(means)] = [rule]
  return '\n'.join(lines)
