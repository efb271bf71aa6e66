"""The evaluations behind the paper's tables, each run once."""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any

from ml_collections import config_dict

from savos_jax import evaluate
from savos_jax import network
from savos_jax import online
from savos_jax import opening
from savos_jax import settings
from savos_jax.configs import default
from savos_jax.configs import demo
from savos_jax.datasets import davis
from savos_jax.datasets import sequences
from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import segmenting
from savos_jax.weights import fingerprints

ADD_ONS = {'online': '+ online learning', 'crf': '+ dense CRF'}
GENERAL = ('davis2016', 'segtrack', 'more', 'embedded')  # Data, by their keys.
OTHER = '-before'  # Suffix of the keys of the other network's evaluations.


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The outcome of an evaluation.

  Attributes:
    title: of its data.
    results: its results; None if there are none.
    videos: the videos evaluated.
    reason: a phrase that says why there are no results.
  """

  title: str
  results: results_folder.Results | None = None
  videos: Sequence[sequences.Sequence] = ()
  reason: str = ''


class Runs:
  """Runs evaluations on demand, unless they are done already."""

  def __init__(self, arguments: argparse.Namespace):
    """Stores the arguments of the program; opens nothing yet."""
    self._arguments = arguments
    self._networks: dict[str, tuple[network.Trained, str]] = {}
    self._outcomes: dict[str, Outcome] = {}

  @property
  def outcomes(self) -> Mapping[str, Outcome]:
    """All outcomes requested so far, by key."""
    return self._outcomes

  def outcome(self, key: str) -> Outcome:
    """Returns the outcome of an evaluation, running it if necessary.

    Args:
      key: 'davis2016', 'davis2017', 'segtrack', 'more' or 'embedded'; one of
        `ADD_ONS` on DAVIS 2016; with the suffix `OTHER`, for the other network.

    Raises:
      SavosError: the network can't be read, or the evaluation failed. Data that
        can't be opened and missing libraries are outcomes, not errors.
    """
    if key not in self._outcomes:
      self._outcomes[key] = self._make(key)
    return self._outcomes[key]

  def _make(self, key: str) -> Outcome:
    plain = key.removesuffix(OTHER)
    data = 'davis2016' if plain in ADD_ONS else plain
    title, fields, flag = self._data(data)
    if flag:
      return Outcome(title, reason=f'give {flag}')
    path = self._path(key)
    config = self._config(path, fields)
    if plain == 'online':
      how = online.PRACTICAL
      config.online.update({x: getattr(how, x) for x in ranges.rules_of(how)})
      config.online.steps = self._arguments.online or how.steps
    config.eval.crf = plain == 'crf'
    workdir = self._arguments.out / 'evaluations' / key
    try:
      settings.check(config, 'evaluate')
      settings.inference_config(config)
      videos = opening.load_split(config, workdir, config.data.val_split)
    except errors.SavosError as error:
      return Outcome(title, reason=_first_line(error))
    done = _done(workdir, config, self._network(path)[1], videos)
    if done is None:
      what = f'{title}, {ADD_ONS[plain]}' if plain in ADD_ONS else title
      print(f'{what}: {len(videos)} sequences, network {path}', flush=True)
      evaluate.evaluate(config, workdir)
      done = results_folder.load(workdir)
    return Outcome(title, done, videos)

  def check(self) -> None:
    """Reads the networks.

    Raises:
      SavosError: one can't be read.
    """
    for key in ('davis2016', *([OTHER] if self._arguments.before else [])):
      self._network(self._path(key))

  def _path(self, key: str) -> str:
    a = self._arguments
    return str(a.before if key.endswith(OTHER) else a.checkpoint)

  def _network(self, path: str) -> tuple[network.Trained, str]:
    """Returns a network and the hash of its weights."""
    if path not in self._networks:
      trained = network.load(path)
      self._networks[path] = trained, fingerprints.fingerprint(trained.params)
    return self._networks[path]

  def _data(self, key: str) -> tuple[str, dict[str, Any], str]:
    """Returns a data set's title, its `config.data`, and the missing flag."""
    a = self._arguments
    if key == 'embedded':
      fields = demo.get_config().data.to_dict()
      return 'embedded clips', fields, ''
    if key == 'segtrack':
      fields = {'source': 'segtrack', 'train_split': '', 'val_split': 'all'}
      return _rooted('SegTrack v2', a.segtrack, '--segtrack=ROOT', fields)
    if key == 'more':
      fields = {'resolution': _resolution(a.more)}
      title = a.more.resolve().name if a.more else 'other data'
      return _rooted(title, a.more, '--more=ROOT', fields)
    year = key.removeprefix('davis')
    return _rooted(f'DAVIS-{year} val', a.davis, '--davis=ROOT', {'year': year})

  def _config(self, path: str, fields: dict[str, Any]):
    """Returns the configuration of an evaluation.

    Raises:
      SavosError: the settings stored with the network are invalid.
    """
    config = default.get_config()
    config.data.update(fields)
    config.eval.checkpoint = path
    config.eval.baselines = ('first_mask',)
    trained, _ = self._network(path)
    evaluated = trained.config.get('eval', {})
    inference = segmenting.inference_config(self._arguments, evaluated)
    config.eval.update(dataclasses.asdict(inference))
    return config


def _first_line(error: errors.SavosError) -> str:
  return str(error).partition('\n')[0].removesuffix('.')


def _rooted(title, root: pathlib.Path | None, flag: str, fields):
  if root is None:
    return title, fields, flag
  return title, {**fields, 'root': str(root.resolve())}, ''


def _resolution(root: pathlib.Path | None) -> str:
  """Returns the folder of frames: 480p if it exists, else the first one."""
  folder = (root or pathlib.Path()) / 'JPEGImages'
  found = davis.folders(folder) if root and folder.is_dir() else []
  return '480p' if '480p' in found or not found else found[0]


def _decisive(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the parts of a configuration that affect the masks, not paths."""
  data, seen, taught = (
    dict(config.get(section, {})) for section in ('data', 'eval', 'online')
  )
  data.pop('root', None)
  fields = dataclasses.fields(options.InferenceConfig)
  return {
    'seed': config.get('seed'),
    'dtype': config.get('model', {}).get('compute_dtype'),
    'data': data,
    'eval': {field.name: seen.get(field.name) for field in fields},
    'online': taught if taught.get('steps') else None,
  }


def _done(
  workdir: pathlib.Path,
  config: config_dict.ConfigDict,
  weights: str,
  videos: Sequence[sequences.Sequence],
) -> results_folder.Results | None:
  """Returns the results of an earlier, identical evaluation.

  Args:
    workdir: its working directory.
    config: of the requested evaluation.
    weights: hash of the network's weights.
    videos: the data set.

  Returns:
    The results; None if there are none, or they are incomplete or different.

  Raises:
    SavosError: the folder has files that this program did not write.
  """
  if not (workdir / 'results' / 'run.json').is_file():
    return None
  found = results_folder.load(workdir)
  asked = json.loads(json.dumps(config.to_dict()))  # Tuples become lists.
  same = (
    _decisive(found.config or {}) == _decisive(asked)
    and found.run.get('weights') == weights
    and found.speed.get('frames') == sum(map(len, videos))
    and found.speed.get('sequences') == len(videos)
  )
  names = {name for video in videos for name in _objects(video)}
  return found if same and set(found.objects) <= names else None


def _objects(video: sequences.Sequence) -> list[str]:
  return [video.object_name(i) for i in video.scored_ids]
