"""Writes scores as JSON, as the official CSV files, and as plain text."""

from collections.abc import Mapping
import json
import math
import os
import pathlib
from typing import Any

from savos_jax.evaluation import measures
from savos_jax.evaluation import protocol
from savos_jax.evaluation import rules
from savos_jax.foundation import files
from savos_jax.foundation import spreadsheets

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
TABLE_COLUMNS = (
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


def _means_dict(j: measures.Statistics, f: measures.Statistics) -> dict:
  return {
    'J': _statistics_dict(j),
    'F': _statistics_dict(f),
    'J&F': _number((j.mean + f.mean) / 2),
  }


def _object_dict(score: protocol.ObjectScore) -> dict:
  return {
    'J': _statistics_dict(score.j_statistics),
    'F': _statistics_dict(score.f_statistics),
    'frames': {
      'J': [_number(value) for value in score.j],
      'F': [_number(value) for value in score.f],
    },
  }


def _videos_dict(scores: protocol.Scores) -> dict:
  return {
    name: {
      **_means_dict(video.j, video.f),
      'objects': [score.name for score in video.objects],
      'frames': [*max((o.frames for o in video.objects), key=len)],
    }
    for name, video in scores.by_sequence.items()
  }


def _attributes_dict(
  scores: protocol.Scores, attributes: Mapping[str, tuple[str, ...]]
) -> dict:
  """Means over the objects of the sequences that have an attribute."""
  names = sorted(
    {code for video in scores.by_sequence for code in attributes.get(video, ())}
  )
  found = {}
  for code in names:
    parts: tuple[list, list] = ([], [])
    for video, part in scores.by_sequence.items():
      parts[code in attributes.get(video, ())].append((video, part))
    without, having = (
      protocol.Scores(
        tuple(score for _, part in some for score in part.objects)
      )
      for some in parts
    )
    found[code] = {
      **_means_dict(having.j, having.f),
      'sequences': [video for video, _ in parts[True]],
      'without': _means_dict(without.j, without.f),
    }
  return found


def _overall(categories: Mapping[str, protocol.Scores]) -> float:
  """Mean of J and F of all categories."""
  return sum(part.j_and_f for part in categories.values()) / len(categories)


def to_json_dict(
  scores: protocol.Scores,
  attributes: Mapping[str, tuple[str, ...]] | None = None,
  categories: Mapping[str, protocol.Scores] | None = None,
) -> dict:
  """Turns scores into plain dictionaries.

  Args:
    scores: the scores.
    attributes: sequence -> its attributes, if it has any.
    categories: as `categories.divide`.

  Returns:
    {'global': {'J': {'mean', 'recall', 'decay'}, 'F': {...}, 'J&F': x},
    'sequences': {name: {'J': {...}, 'F': {...}, 'frames': {'J': [...], 'F':
    [...]}}}}, where 'sequences' has an entry for each object. Values are
    fractions, None if undefined (a video without scored frames). If known,
    also: 'protocol': its name; 'sequences_mean': as 'global', the mean over
    videos of the means over their objects; not in DAVIS 2016, where these are
    one; 'videos': {name: as 'global', and 'objects': keys of 'sequences',
    'frames': names of the scored frames, of which an object has the last ones};
    'categories': {'seen', 'unseen': as 'global', 'overall': mean of J and F of
    both}; 'notes': what is not in the figures, a phrase each; 'attributes':
    {code: as 'global', and 'sequences': names of the videos that have it,
    'without': as 'global', of all others}.
  """
  content: dict[str, Any] = {
    'global': _means_dict(scores.j, scores.f),
    'sequences': {score.name: _object_dict(score) for score in scores.objects},
  }
  if scores.protocol:
    content['protocol'] = scores.protocol
    if scores.protocol != 'davis2016':
      content['sequences_mean'] = _means_dict(
        scores.sequences_j, scores.sequences_f
      )
    content['videos'] = _videos_dict(scores)
  if categories:
    content['categories'] = {
      **{
        kind: _means_dict(part.j, part.f) for kind, part in categories.items()
      },
      'overall': _number(_overall(categories)),
    }
  if scores.notes:
    content['notes'] = list(scores.notes)
  by_attribute = _attributes_dict(scores, attributes or {})
  if by_attribute:
    content['attributes'] = by_attribute
  return content


def write_json(
  path: str | os.PathLike,
  scores: protocol.Scores,
  attributes: Mapping[str, tuple[str, ...]] | None = None,
  categories: Mapping[str, protocol.Scores] | None = None,
) -> None:
  """Writes `to_json_dict(scores, attributes, categories)`, atomically.

  Raises:
    SavosError: the file cannot be written.
  """
  content = to_json_dict(scores, attributes, categories)
  _write_text(path, json.dumps(content, indent=1, allow_nan=False) + '\n')


def _csv_number(value: float) -> str:
  # As pandas with float_format='%.3f': not a number is an empty field.
  return f'{value:.3f}' if math.isfinite(value) else ''


def csv_paths(
  folder: str | os.PathLike, split: str
) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the files that `write_csv` writes."""
  folder = pathlib.Path(folder)
  return (
    folder / f'global_results-{split}.csv',
    folder / f'per-sequence_results-{split}.csv',
  )


def write_csv(
  folder: str | os.PathLike, scores: protocol.Scores, split: str
) -> tuple[pathlib.Path, pathlib.Path]:
  """Writes the two CSV files of davis2017-evaluation, in its format.

  Fractions have three decimals. A name that a spreadsheet would interpret as a
  formula is prefixed with an apostrophe. In a folder that it scores, the
  official tool takes these files for its own.

  Args:
    folder: created if it does not exist.
    scores: the scores.
    split: name of the image list, 'val'; part of the file names.

  Returns:
    The paths of `global_results-<split>.csv` and
    `per-sequence_results-<split>.csv`.

  Raises:
    SavosError: a file cannot be written.
  """
  global_path, sequence_path = csv_paths(folder, split)
  values = (scores.j_and_f, *scores.j, *scores.f)
  rows = [_GLOBAL_COLUMNS, list(map(_csv_number, values))]
  _write_text(global_path, spreadsheets.to_csv(rows))
  rows = [
    [
      score.name,
      _csv_number(score.j_statistics.mean),
      _csv_number(score.f_statistics.mean),
    ]
    for score in scores.objects
  ]
  _write_text(sequence_path, spreadsheets.to_csv([_SEQUENCE_COLUMNS, *rows]))
  return global_path, sequence_path


def _cell(value: float) -> str:
  # Adding 0 turns the -0.0 of a small negative decay into 0.0.
  return f'{round(100 * value, 1) + 0:.1f}' if math.isfinite(value) else '-'


def _cells(j: measures.Statistics, f: measures.Statistics) -> list[str]:
  return list(map(_cell, ((j.mean + f.mean) / 2, *j, *f)))


def _shows_sequences(scores: protocol.Scores) -> bool:
  found = rules.PROTOCOLS.get(scores.protocol)
  return found is not None and found.sequence_mean


def _mean_title(scores: protocol.Scores) -> str:
  objects = ' objects' if _shows_sequences(scores) else ''
  return f'mean of {len(scores.scored.objects)}{objects}'


def _sequence_mean(scores: protocol.Scores) -> list[list[str]]:
  if not _shows_sequences(scores):
    return []
  title = f'mean of {len(scores.scored.by_sequence)} sequences'
  return [[title, *_cells(scores.sequences_j, scores.sequences_f)]]


def _category_means(
  categories: Mapping[str, protocol.Scores] | None,
) -> list[list[str]]:
  if not categories:
    return []
  rows = [
    [f'mean of {len(part.scored.objects)} {kind}', *_cells(part.j, part.f)]
    for kind, part in categories.items()
  ]
  empty = [''] * (len(TABLE_COLUMNS) - 1)
  return [*rows, ['overall', _cell(_overall(categories)), *empty]]


def format_table(
  scores: protocol.Scores,
  baselines: dict[str, protocol.Scores] | None = None,
  categories: Mapping[str, protocol.Scores] | None = None,
) -> str:
  """Formats scores as a plain text table, in percent.

  Args:
    scores: the scores: a row for each object, then the mean of those scored
      and, for SegTrack, the mean over sequences.
    baselines: title -> scores, whose means follow, a row each.
    categories: from `categories.divide`; adds their means and the overall mean
      of J and F.

  Returns:
    The table, without a newline at the end; '-' for undefined values.
  """
  body = [
    [score.name, *_cells(score.j_statistics, score.f_statistics)]
    for score in scores.objects
  ]
  means = [
    [_mean_title(scores), *_cells(scores.j, scores.f)],
    *_sequence_mean(scores),
    *_category_means(categories),
    *(
      [f'baseline: {title}', *_cells(baseline.j, baseline.f)]
      for title, baseline in (baselines or {}).items()
    ),
  ]
  header = ['percent', *TABLE_COLUMNS]
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
