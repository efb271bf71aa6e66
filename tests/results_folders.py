"""A folder of results as an evaluation leaves it, without a network."""

import json
import pathlib

import numpy as np

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.evaluation import protocol
from savos_jax.evaluation import results_folder
from savos_jax.evaluation import tables
from savos_jax.foundation import files


def write(
  workdir: pathlib.Path, root: pathlib.Path, year: str = '2016', shift: int = 3
) -> tuple[results_folder.Results, list[sequences.Sequence]]:
  """Writes predictions that lie `shift` pixels beside the objects, and scores.

  The configuration is written as by a training; no run.json, no speed.json.
  """
  videos = davis.load(root, 'val', year)
  folder = workdir / 'results'
  with files.claimed(folder):
    for video in videos:
      for index, path in enumerate(video.masks):
        moved = np.roll(video.labels(index), shift, axis=1)
        masks.write_mask(folder / 'masks' / video.name / path.name, moved)
    scores = protocol.score_results(folder / 'masks', videos, progress=False)
    tables.write_json(folder / 'scores.json', scores)
  data = {
    'source': 'davis',
    'root': str(root),
    'year': year,
    'train_split': 'train',
    'val_split': 'val',
    'held_out': [],
    'resolution': '480p',
  }
  (workdir / 'config.json').write_text(json.dumps({'seed': 0, 'data': data}))
  return results_folder.load(folder), videos


def edit(results: results_folder.Results, change) -> results_folder.Results:
  """Applies `change` to the content of scores.json and reads it again."""
  path = results.folder / 'scores.json'
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))
  return results_folder.load(results.folder)
