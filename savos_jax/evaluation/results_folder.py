"""The results folder of an evaluation: written, read back and checked."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import json
import os
import pathlib
from typing import Any

import numpy as np

from savos_jax.datasets import sequences
from savos_jax.evaluation import protocol
from savos_jax.evaluation import tables
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import json_files
from savos_jax.foundation import manifests

_SCORES = 'scores.json'
_RUN = 'run.json'
_SPEED = 'speed.json'
_EXPECTED = (
  'Expected the file as the evaluation wrote it. Evaluate again, or score the '
  'masks with savos_jax.tools.score --json.'
)
# What the files hold, as `typed.mismatch` has it.
_MEASURED = {'mean': (float, None), 'recall': (float, None),
             'decay': (float, None)}  # fmt: skip
_MEANS = {'J': _MEASURED, 'F': _MEASURED, 'J&F': (float, None)}
_FRAMES = {'J': [(float, None)], 'F': [(float, None)]}
_SCORES_FORM = {
  'global': _MEANS,
  'sequences': {str: {'J': _MEASURED, 'F': _MEASURED, 'frames': _FRAMES}},
  'protocol?': str,
  'sequences_mean?': _MEANS,
  'videos?': {str: {**_MEANS, 'objects': [str], 'frames': [str]}},
  'categories?': {'seen': _MEANS, 'unseen': _MEANS, 'overall': (float, None)},
  'notes?': [str],
  'attributes?': {str: {**_MEANS, 'sequences': [str], 'without': _MEANS}},
}
_CONFIG_FORM = {
  'data?': dict.fromkeys(
    ('source?', 'val_split?', 'year?', 'resolution?'), str
  ),
  'model?': {},
  'eval?': {},
  'online?': {},
}
_RUN_FORM = {
  **dict.fromkeys(
    ('date?', 'revision?', 'device?', 'checkpoint?', 'weights?'), str
  ),
  'step?': int,
  'averaged?': bool,
  'config?': (_CONFIG_FORM, None),
  'baselines?': {str: _MEANS},
}
_SPEED_FORM = dict.fromkeys(
  ('sequences', 'frames', 'total_seconds', 'network_share', 'seconds_a_frame',
   'first_seconds', 'peak_gib', 'refining_seconds?', 'learning_seconds?',
   'jobs?'),
  float,
)  # fmt: skip
# What an evaluation writes of its masks, as patterns.
_WRITTEN = (
  _SCORES,
  _RUN,
  _SPEED,
  'report.html',
  '*_results-*.csv',
  'plots/*.png',
  'strips/*.png',
  'videos/*.mp4',
)


@dataclasses.dataclass(frozen=True)
class Results:
  """The record of one evaluation.

  Attributes:
    folder: the results folder.
    scores: as `tables.to_json_dict`.
    config: the configuration; None if it was not recorded.
    run: date, revision, device, checkpoint, a hash of its weights and
      baselines, where recorded.
    speed: as in `write_speed`; empty if it was not recorded.
    date: of the evaluation, ISO, to the minute.
  """

  folder: pathlib.Path
  scores: Mapping[str, Any]
  config: Mapping[str, Any] | None
  run: Mapping[str, Any]
  speed: Mapping[str, Any]
  date: str

  @property
  def objects(self) -> list[str]:
    """Names of the scored objects, in order."""
    return list(self.scores['sequences'])

  @property
  def workdir(self) -> pathlib.Path:
    """The working directory of the evaluation."""
    folder = self.folder.resolve()
    return folder.parent if folder.name == 'results' else folder

  @property
  def seconds_a_frame(self) -> float:
    """Seconds a frame of the network and all extras; nan if not recorded.

    The time of label refinement and online learning is averaged over all
    frames.
    """
    if not self.speed:
      return float('nan')
    besides = sum(
      self.speed.get(name, 0.0)
      for name in ('refining_seconds', 'learning_seconds')
    )
    return self.speed['seconds_a_frame'] + besides / max(
      1, self.speed['frames']
    )

  def mean(self, name: str, measure: str) -> float:
    """Mean of 'J' or 'F' of an object, a fraction; nan if undefined."""
    return number(self.scores['sequences'][name][measure]['mean'])

  def frames(self, name: str, measure: str) -> np.ndarray:
    """Values of 'J' or 'F' of an object, float64 [n], for each scored frame."""
    values = self.scores['sequences'][name]['frames'][measure]
    return np.array([number(v) for v in values], np.float64)


def number(value: float | None) -> float:
  """Converts JSON's null back to nan."""
  return float('nan') if value is None else float(value)


def _read(path: pathlib.Path, form: Any) -> dict[str, Any]:
  """Returns a file's content, {} where there is no file.

  Raises:
    SavosError: it can't be read, is no JSON or of another form.
  """
  if not os.path.lexists(path):
    return {}
  return json_files.read(path, _EXPECTED, form)


def _check_scores(path: pathlib.Path, scores: Mapping[str, Any]) -> None:
  """Refuses scores that are at odds with themselves."""
  objects = scores['sequences']
  problem = '' if objects else 'no sequences'
  for name, entry in objects.items():
    if len(entry['frames']['J']) != len(entry['frames']['F']):
      problem = f'{name} with more frames of J than of F, or fewer'
  for name, video in scores.get('videos', {}).items():
    if not set(video['objects']) <= set(objects):
      problem = f'{name} with objects without scores'
  if problem:
    raise errors.SavosError(f'{path}: {problem}.\n  {_EXPECTED}')


def load(folder: str | os.PathLike) -> Results:
  """Reads the results of an evaluation.

  Args:
    folder: `results` of a working directory, or the working directory.

  Raises:
    SavosError: there are no scores, or a file was not written by an evaluation.
  """
  given = pathlib.Path(folder).expanduser()
  places = [given, given / 'results']
  folder = next((p for p in places if (p / _SCORES).is_file()), None)
  if folder is None:
    what = 'no scores.json' if given.is_dir() else 'no such folder'
    raise errors.SavosError(
      f'{given}: {what}.\n  Expected the folder `results` of a --workdir, with '
      'scores.json and masks/. Evaluate first: python -m savos_jax.main '
      '--mode=evaluate; of a test set without annotations there are no scores.'
    )
  path = folder / _SCORES
  scores = json_files.read(path, _EXPECTED, _SCORES_FORM)
  _check_scores(path, scores)
  run = _read(folder / _RUN, _RUN_FORM)
  # A training writes its configuration beside the results.
  config = run.get('config') or _read(
    folder.parent / 'config.json', _CONFIG_FORM
  )
  written = datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
  date = run.get('date') or written.isoformat(' ', 'minutes')
  speed = _read(folder / _SPEED, _SPEED_FORM)
  return Results(folder, scores, config or None, run, speed, date)


def begin(
  manifest: manifests.Manifest, videos: Iterable[sequences.Sequence]
) -> None:
  """Removes the files of an earlier evaluation.

  So an interrupted evaluation never leaves its masks beside the scores or
  pictures of another.

  Args:
    manifest: of the results folder.
    videos: the videos to segment.

  Raises:
    SavosError: files that the program did not write have names it would write,
      or a file cannot be removed. Then nothing was removed.
  """
  folders = [manifest.folder / 'masks' / video.name for video in videos]
  manifest.check(p for folder in folders for p in folder.glob('*'))
  manifest.check(p for name in _WRITTEN for p in manifest.folder.glob(name))
  manifest.clear()


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
  with files.replacing(path) as partial:
    partial.write_text(json.dumps(content, indent=1) + '\n', 'utf-8')


def write_speed(folder: str | os.PathLike, speed: Mapping[str, float]) -> None:
  """Records the time and memory that an evaluation needed.

  Args:
    folder: the results.
    speed: 'sequences', 'frames', 'jobs' (processes side by side),
      'total_seconds' (from the first frame's decoding to the last mask on
      disk), 'network_share' (of the time that the processes were at work),
      'seconds_a_frame' (of the network, compiled), 'first_seconds' (first
      frames and compilation), 'refining_seconds' (dense CRF, all frames),
      'learning_seconds' (online learning, all videos), 'peak_gib' (memory of
      all processes).

  Raises:
    SavosError: the file cannot be written.
  """
  _write(pathlib.Path(folder) / _SPEED, dict(speed))


def write_run(
  folder: str | os.PathLike,
  config: Mapping[str, Any],
  facts: Mapping[str, Any],
  baselines: Mapping[str, protocol.Scores],
) -> None:
  """Records the settings and the environment of an evaluation.

  Args:
    folder: the results.
    config: the configuration as plain dictionaries.
    facts: 'revision', 'device', 'checkpoint', 'weights' (a hash), 'step',
      'averaged'.
    baselines: title -> scores.

  Raises:
    SavosError: the file cannot be written.
  """
  now = datetime.datetime.now().astimezone()
  content = {
    'date': now.isoformat(' ', 'minutes'),
    **facts,
    'baselines': {
      title: tables.to_json_dict(scores)['global']
      for title, scores in baselines.items()
    },
    'config': dict(config),
  }
  _write(pathlib.Path(folder) / _RUN, content)
