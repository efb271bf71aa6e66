"""Segments and scores the validation split of a configuration."""

import dataclasses
import logging
import pathlib

import jax
from ml_collections import config_dict
import numpy as np
import tqdm

from savos_jax import network
from savos_jax import settings
from savos_jax import validation
from savos_jax.data.loaders import tf as tf_loader
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.evaluation import protocol
from savos_jax.evaluation import results_folder
from savos_jax.evaluation import tables
from savos_jax.foundation import distributed
from savos_jax.foundation import errors
from savos_jax.foundation import memory
from savos_jax.foundation import provenance
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.pictures import overlay
from savos_jax.report import html_report
from savos_jax.training import metric_writing
from savos_jax.video import segment

logger = logging.getLogger(__name__)

_LOGGED_STRIPS = 6  # Enough to look at; all are in results/strips.

_BASELINES = {
  'first_mask': ('first mask copied', protocol.first_mask_baseline),
  'background': ('all background', protocol.background_baseline),
}


def _restore(config, workdir: pathlib.Path) -> network.Trained:
  """Returns the network that the configuration names, workdir's by default."""
  path, step = config.eval.checkpoint or workdir, config.eval.checkpoint_step
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
  return dataclasses.replace(trained, model=savos.SAVOS(used))


def _segment_all(
  trackers: list[tracker_lib.Tracker],
  videos: list[sequences.Sequence],
  results: pathlib.Path,
) -> None:
  """Writes the masks of every video, logs the speed and writes it down."""
  total = sum(map(len, videos))
  with tqdm.tqdm(
    total=total,
    unit='frame',
    desc='segmenting',
    disable=None,
  ) as bar:

    def advance(video):
      bar.set_postfix_str(video.name, refresh=False)
      bar.update()

    masks_folder = results / 'masks'
    timing = segment.segment_sequences(trackers, videos, masks_folder, advance)
  peak = memory.peak_gib()
  logger.info(
    'segmented %d frames of %d sequences in %.1f s, %.0f %% of it in the '
    'network: %.3f s a frame, first frames and compilation %.1f s; peak '
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
    'peak_gib': peak,
  }
  results_folder.write_speed(results, speed)


def _write_pictures(
  config, videos, folder: pathlib.Path
) -> dict[str, np.ndarray]:
  """Draws the masks over the frames: strips, and videos where asked for.

  Returns the first few strips.
  """
  results = folder / 'masks'
  strips = {}
  for video in tqdm.tqdm(videos, desc='drawing', unit='video', disable=None):

    def labels_of(index, video=video):
      return masks.read_mask(
        results / video.name / f'{video.frames[index].stem}.png'
      )

    if config.eval.strips:
      picture = overlay.strip(video, labels_of)
      overlay.write_png(folder / 'strips' / f'{video.name}.png', picture)
      if len(strips) < _LOGGED_STRIPS:
        strips[video.name] = picture
    if config.eval.video:
      # PyAV is not there where only figures are wanted.
      from savos_jax.video import video_writer

      video_writer.write_video(
        folder / 'videos' / f'{video.name}.mp4',
        (overlay.draw(video.frame(i), labels_of(i)) for i in range(len(video))),
        config.eval.video_fps,
      )
  return strips


def _log_scores(
  workdir: pathlib.Path, step: int, scores: protocol.Scores, strips
) -> None:
  """Adds the scores and strips to the curves of the training."""
  writer = metric_writing.open_writer(workdir / 'logs')
  validation.write_scores(writer, step, 'evaluation', scores, strips)
  writer.close()


def evaluate(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> protocol.Scores | None:
  """Segments config.data.val_split, scores it and writes the report.

  Of several processes each segments its share of the sequences, and the first
  one does the rest: all must see one `workdir`.

  Args:
    config: the configuration.
    workdir: holds `checkpoints`, unless `config.eval.checkpoint` names a file
      or another training's folder; gets `results`: `masks/<sequence>/*.png`,
      `scores.json`, the official CSV files, `strips/*.png`, `videos/*.mp4`,
      `speed.json`, `run.json`, `report.html`, `plots/*.png`; and in `logs`
      (TensorBoard) the means and a few strips.

  Returns:
    The scores; None in all processes but the first.

  Raises:
    SavosError: no checkpoint, bad data, a field of `config.eval` out of its
      range, unknown baseline.
  """
  unknown = set(config.eval.baselines) - set(_BASELINES)
  if unknown:
    raise errors.SavosError(
      f'config.eval.baselines holds {", ".join(map(repr, sorted(unknown)))}.\n'
      f'  Expected names out of {tuple(_BASELINES)}.'
    )
  tf_loader.hide_accelerators()  # TensorFlow writes the logs.
  inference = settings.inference_config(config)
  side_by_side = settings.videos_at_once(config)
  videos = settings.load_split(config, workdir, config.data.val_split)
  attributes = settings.sequence_attributes(config)
  trained = _restore(config, workdir)
  results = workdir / 'results'
  first = distributed.is_first()
  if first:
    results_folder.clear(results)
  distributed.wait_for_all('cleared')
  trackers = [
    tracker_lib.Tracker(trained.model, trained.params, inference)
    for _ in range(min(side_by_side, len(videos)))
  ]
  own = videos[jax.process_index() :: jax.process_count()]
  if own:
    _segment_all(trackers, own, results)
  distributed.wait_for_all('segmented')
  if not first:
    return None

  scores = protocol.score_results(results / 'masks', videos)
  baselines = {}
  for name in config.eval.baselines:
    title, make = _BASELINES[name]
    baselines[title] = protocol.score_predictions(videos, make, title)
  split = config.data.val_split
  tables.write_json(results / 'scores.json', scores, attributes)
  tables.write_csv(results, scores, split)
  facts = {
    'revision': provenance.revision(),
    'device': provenance.device(),
    'checkpoint': str(config.eval.checkpoint or workdir),
    'step': trained.step,
    'averaged': trained.averaged,
  }
  results_folder.write_run(results, config.to_dict(), facts, baselines)
  strips = _write_pictures(config, videos, results)
  _log_scores(workdir, trained.step, scores, strips)
  if config.eval.report:
    html_report.write(
      results / 'report.html', results_folder.load(results), videos
    )
  print(tables.format_table(scores, baselines), flush=True)
  logger.info('results are in %s', results)
  return scores
