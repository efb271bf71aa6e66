"""Segments and scores the validation split of a configuration."""

import contextlib
import dataclasses
import logging
import pathlib
from typing import Any

import jax
from ml_collections import config_dict
import numpy as np
import tqdm

from savos_jax import network
from savos_jax import opening
from savos_jax import settings
from savos_jax import validation
from savos_jax.data.loaders import tf as tf_loader
from savos_jax.datasets import sequences
from savos_jax.evaluation import categories
from savos_jax.evaluation import protocol
from savos_jax.evaluation import results_folder
from savos_jax.evaluation import tables
from savos_jax.foundation import distributed
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import memory
from savos_jax.foundation import provenance
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.models import savos
from savos_jax.pictures import overlay
from savos_jax.report import html_report
from savos_jax.training import metric_writing
from savos_jax.training import online as learning
from savos_jax.video import engine
from savos_jax.video import sinks
from savos_jax.weights import fingerprints

logger = logging.getLogger(__name__)

_LOGGED_STRIPS = 6  # results/strips has all of them.


@dataclasses.dataclass(frozen=True)
class _Evaluated:
  """A network that is evaluated.

  Attributes:
    model: what `tracker.Tracker` takes.
    params: what it takes besides.
    checksum: of the parameters.
    step: of the training.
    averaged: whether the parameters are the averaged ones.
  """

  model: Any
  params: Any
  checksum: str
  step: int
  averaged: bool


def _restore(config, workdir: pathlib.Path) -> _Evaluated:
  """Returns the network named in the configuration, by default workdir's."""
  path, step = config.eval.checkpoint or workdir, config.eval.checkpoint_step
  if with_onnx.is_exported(path):
    return _exported(config, path)
  trained = network.load(
    path,
    None if step < 0 else step,
    config.eval.use_ema,
    config.eval.use_best,
  )
  used = settings.evaluated_model(config, trained.model.config)
  logger.info(
    'evaluating %s, step %d%s',
    path,
    trained.step,
    ', averaged weights' if trained.averaged else '',
  )
  return _Evaluated(
    savos.SAVOS(used),
    trained.params,
    fingerprints.fingerprint(trained.params),
    trained.step,
    trained.averaged,
  )


def _exported(config, path) -> _Evaluated:
  """Returns an exported network, which ONNX Runtime runs."""
  found = with_onnx.read(path)
  if settings.online_config(config).steps:
    raise errors.SavosError(
      f'config.online.steps is {config.online.steps}, and {path} an exported '
      'network, which cannot learn.\n  Expected 0, or a file of '
      'savos_jax.tools.export_checkpoint.'
    )
  logger.info('evaluating %s, step %d, by ONNX Runtime', path, found.step)
  return _Evaluated(
    with_onnx.Onnx(found), None, found.checksum, found.step, found.averaged
  )


def _learner(config, evaluated: _Evaluated) -> learning.Learner | None:
  """Returns the online learner, if online learning is on."""
  how = settings.online_config(config)
  if not how.steps:
    return None
  return learning.Learner(evaluated.model, how, config.seed)


def _films(config, video, results: pathlib.Path) -> tuple[sinks.Sink, ...]:
  if not config.eval.video:
    return ()
  path = results / 'videos' / f'{video.name}.mp4'
  return (sinks.Film(path, config.eval.video_fps, overlay.draw),)


def _segment_all(
  config: config_dict.ConfigDict,
  trackers: list[tracker_lib.Tracker],
  videos: list[sequences.Sequence],
  results: pathlib.Path,
) -> None:
  """Segments every video, and logs and saves the speed."""
  jobs = [
    engine.of_sequence(video, results / 'masks', _films(config, video, results))
    for video in videos
  ]
  total = sum(map(len, videos))
  with tqdm.tqdm(
    total=total,
    unit='frame',
    desc='segmenting',
    disable=None,
  ) as bar:

    def advance(job, frames):
      bar.set_postfix_str(job.video.name, refresh=False)
      bar.update(frames)

    timing = engine.segment(trackers, jobs, advance)
  peak = memory.peak_gib()
  logger.info(
    'segmented %d frames of %d sequences in %.1f s, %.0f %% of it in the '
    'network: %.3f s per frame, first frames and compilation %.1f s; peak '
    'memory %.2f GiB',
    total, len(videos), timing.total, 100 * timing.network_share,
    timing.seconds_a_frame, timing.first, peak,
  )  # fmt: skip
  speed = {
    'sequences': len(videos),
    'frames': total,
    'total_seconds': timing.total,
    'network_share': timing.network_share,
    'seconds_a_frame': timing.seconds_a_frame,
    'first_seconds': timing.first,
    'refining_seconds': timing.refining,
    'learning_seconds': timing.learning,
    'peak_gib': peak,
  }
  results_folder.write_speed(results, speed)


def _write_strips(videos, folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Draws a few frames of each video; returns the first few strips."""
  strips: dict[str, np.ndarray] = {}
  for video in tqdm.tqdm(videos, desc='drawing', unit='video', disable=None):
    picture = overlay.strip(
      video, protocol.read_predictions(folder / 'masks', video)
    )
    overlay.write_png(folder / 'strips' / f'{video.name}.png', picture)
    if len(strips) < _LOGGED_STRIPS:
      strips[video.name] = picture
  return strips


def _log_scores(
  workdir: pathlib.Path, step: int, scores: protocol.Scores, strips
) -> None:
  """Adds the scores and strips to the training's TensorBoard logs."""
  writer = metric_writing.open_writer(workdir / 'logs')
  validation.write_scores(writer, step, 'evaluation', scores, strips)
  writer.close()


def evaluate(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> protocol.Scores | None:
  """Segments config.data.val_split, scores it and writes the report.

  With several processes, each segments its share of the sequences and the first
  one does the rest; all must share `workdir`. For a test set without published
  annotations, masks and strips are written, and the log says that nothing is
  scored.

  Args:
    config: the configuration.
    workdir: contains `checkpoints`, unless `config.eval.checkpoint` names a
      file or another training's folder. Receives `results`:
      `masks/<sequence>/*.png`, `scores.json`, the official CSV files,
      `strips/*.png`, `videos/*.mp4`, `speed.json`, `run.json`, `report.html`,
      `plots/*.png`; and in `logs` (TensorBoard) the means and a few strips.

  Returns:
    The scores; None in all processes but the first, and if there are none.

  Raises:
    SavosError: a field of the configuration is invalid, there is no checkpoint,
      or the data are bad.
  """
  settings.check(config, 'evaluate')
  tf_loader.hide_accelerators()  # TensorFlow writes the logs.
  inference = settings.inference_config(config)
  videos = opening.load_split(config, workdir, config.data.val_split)
  described = (
    opening.sequence_attributes(config), opening.object_categories(config),
  )  # fmt: skip
  evaluated = _restore(config, workdir)
  results = workdir / 'results'
  learner = _learner(config, evaluated)
  trackers = [
    tracker_lib.Tracker(
      evaluated.model, evaluated.params, inference, learner=learner
    )
    for _ in range(min(config.eval.videos, len(videos)))
  ]
  inputs = filter(None, (config.data.root, config.eval.checkpoint))
  with contextlib.ExitStack() as stack:
    if distributed.is_first():
      manifest = stack.enter_context(files.claimed(results, inputs))
      results_folder.begin(manifest, videos)
    distributed.wait_for_all('cleared')
    own = videos[jax.process_index() :: jax.process_count()]
    if own:
      _segment_all(config, trackers, own, results)
    distributed.wait_for_all('segmented')
    if not distributed.is_first():
      return None
    return _score(config, workdir, videos, evaluated, *described)


def _write_run(config, results: pathlib.Path, evaluated, baselines) -> None:
  facts = {
    'revision': provenance.revision(),
    'device': provenance.device(),
    'checkpoint': str(config.eval.checkpoint or results.parent),
    'weights': evaluated.checksum,
    'step': evaluated.step,
    'averaged': evaluated.averaged,
  }
  results_folder.write_run(results, config.to_dict(), facts, baselines)


def _score(
  config, workdir: pathlib.Path, videos, evaluated, attributes, kinds
) -> protocol.Scores | None:
  """Scores the masks and writes the report."""
  results, split = workdir / 'results', config.data.val_split
  if not any(map(protocol.scored_frames, videos)):
    _write_run(config, results, evaluated, {})
    if config.eval.strips:
      _write_strips(videos, results)
    reasons = '; '.join(protocol.unscored(videos))
    logger.info('%s: %s; masks are in %s', split, reasons, results / 'masks')
    return None
  scores = protocol.score_results(results / 'masks', videos)
  baselines = {}
  for name in config.eval.baselines:
    title, make = protocol.BASELINES[name]
    baselines[title] = protocol.score_predictions(videos, make, title)
  divided = categories.divide(scores, kinds)
  tables.write_json(results / 'scores.json', scores, attributes, divided)
  tables.write_csv(results, scores, split)
  _write_run(config, results, evaluated, baselines)
  strips = _write_strips(videos, results) if config.eval.strips else {}
  _log_scores(workdir, evaluated.step, scores, strips)
  if config.eval.report:
    html_report.write(
      results / 'report.html', results_folder.load(results), videos
    )
  print(tables.format_table(scores, baselines, divided), flush=True)
  for note in scores.notes:
    logger.info('note: %s', note)
  logger.info('results are in %s', results)
  return scores
