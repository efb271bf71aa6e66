"""Segments and scores the validation split of a configuration."""

import contextlib
import logging
import pathlib

import jax
from ml_collections import config_dict
import numpy as np
import tqdm

from savos_jax import network
from savos_jax import opening
from savos_jax import settings
from savos_jax import splits
from savos_jax import validation
from savos_jax.evaluation import categories
from savos_jax.evaluation import protocol
from savos_jax.evaluation import results_folder
from savos_jax.evaluation import tables
from savos_jax.foundation import distributed
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.foundation import provenance
from savos_jax.inference import with_jax
from savos_jax.inference import with_onnx
from savos_jax.models import savos
from savos_jax.pictures import overlay
from savos_jax.report import html_report
from savos_jax.training import metric_writing
from savos_jax.weights import fingerprints

logger = logging.getLogger(__name__)

_LOGGED_STRIPS = 6  # results/strips has all of them.


def _restore(config, workdir: pathlib.Path) -> splits.Network:
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
  return splits.Network(
    savos.SAVOS(used),
    with_jax.placed_params(trained.params),
    fingerprints.fingerprint(trained.params),
    trained.step,
    trained.averaged,
  )


def _exported(config, path) -> splits.Network:
  """Returns an exported network, which ONNX Runtime runs."""
  found = with_onnx.read(path)
  if settings.online_config(config).steps:
    raise errors.SavosError(
      f'config.online.steps is {config.online.steps}, and {path} an exported '
      'network, which cannot learn.\n  Expected 0, or a file of '
      'savos_jax.tools.export_checkpoint.'
    )
  logger.info('evaluating %s, step %d, by ONNX Runtime', path, found.step)
  return splits.Network(
    with_onnx.Onnx(found), None, found.checksum, found.step, found.averaged
  )


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

  With several processes of a distributed run, each segments its share of the
  sequences and the first one does the rest; all must share `workdir`. For a
  test set without published annotations, masks and strips are written, and the
  log says that nothing is scored.

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
  videos = opening.load_split(config, workdir, config.data.val_split)
  described = (
    opening.sequence_attributes(config), opening.object_categories(config),
  )  # fmt: skip
  evaluated = _restore(config, workdir)
  results = workdir / 'results'
  inputs = tuple(filter(None, (config.data.root, config.eval.checkpoint)))
  work = splits.Work(config, evaluated, results, inputs)
  work.check()  # Before earlier results are removed.
  with contextlib.ExitStack() as stack:
    if distributed.is_first():
      manifest = stack.enter_context(files.claimed(results, inputs))
      results_folder.begin(manifest, videos)
    distributed.wait_for_all('cleared')
    if not distributed.is_first():
      manifests.join(results, inputs)
    own = videos[jax.process_index() :: jax.process_count()]
    if own:
      splits.segment(work, own)
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
