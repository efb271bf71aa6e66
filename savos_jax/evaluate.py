"""Segments and scores the validation split of a configuration."""

import dataclasses
import logging
import pathlib

from ml_collections import config_dict
import tqdm

from savos_jax import errors
from savos_jax import memory
from savos_jax import network
from savos_jax import settings
from savos_jax.data import masks
from savos_jax.data import sequences
from savos_jax.data import video_writer
from savos_jax.evaluation import overlay
from savos_jax.evaluation import protocol
from savos_jax.evaluation import report
from savos_jax.inference import segment
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos

logger = logging.getLogger(__name__)

_BASELINES = {
  'first_mask': ('first mask copied', protocol.first_mask_baseline),
  'background': ('all background', protocol.background_baseline),
}


def _restore(config, workdir: pathlib.Path) -> network.Trained:
  """Returns the network that the configuration names, workdir's by default."""
  path, step = config.eval.checkpoint or workdir, config.eval.checkpoint_step
  trained = network.load(path, None if step < 0 else step, config.eval.use_ema)
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
  folder: pathlib.Path,
) -> None:
  """Writes the masks of every video and logs the speed."""
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

    timing = segment.segment_sequences(trackers, videos, folder, advance)
  logger.info(
    'segmented %d frames of %d sequences in %.1f s, %.0f %% of it in the '
    'network: %.3f s a frame, first frames and compilation %.1f s; peak '
    'memory %.2f GiB',
    total, len(videos), timing.total, 100 * timing.network_share,
    timing.seconds_a_frame, timing.first, memory.peak_gib(),
  )  # fmt: skip


def _write_pictures(config, videos, folder: pathlib.Path) -> None:
  """Draws the masks over the frames: strips, and videos where asked for."""
  results = folder / 'masks'
  for video in tqdm.tqdm(videos, desc='drawing', unit='video', disable=None):

    def labels_of(index, video=video):
      return masks.read_mask(
        results / video.name / f'{video.frames[index].stem}.png'
      )

    if config.eval.strips:
      picture = overlay.strip(video, labels_of)
      overlay.write_png(folder / 'strips' / f'{video.name}.png', picture)
    if config.eval.video:
      video_writer.write_video(
        folder / 'videos' / f'{video.name}.mp4',
        (overlay.draw(video.frame(i), labels_of(i)) for i in range(len(video))),
        config.eval.video_fps,
      )


def evaluate(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> protocol.Scores:
  """Segments config.data.val_split, scores it and writes the report.

  Args:
    config: the configuration.
    workdir: holds `checkpoints`, unless `config.eval.checkpoint` names a file
      or another training's folder; gets `results`: `masks/<sequence>/*.png`,
      `scores.json`, the official CSV files, `strips/*.png`, `videos/*.mp4`.

  Returns:
    The scores.

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
  inference = settings.inference_config(config)
  side_by_side = settings.videos_at_once(config)
  videos = settings.load_split(config, workdir, config.data.val_split)
  trained = _restore(config, workdir)
  results = workdir / 'results'
  trackers = [
    tracker_lib.Tracker(trained.model, trained.params, inference)
    for _ in range(min(side_by_side, len(videos)))
  ]
  _segment_all(trackers, videos, results / 'masks')

  scores = protocol.score_results(results / 'masks', videos)
  baselines = {}
  for name in config.eval.baselines:
    title, make = _BASELINES[name]
    baselines[title] = protocol.score_predictions(videos, make, title)
  split = config.data.val_split
  report.write_json(results / 'scores.json', scores)
  report.write_csv(results, scores, split)
  _write_pictures(config, videos, results)
  print(report.format_table(scores, baselines), flush=True)
  logger.info('results are in %s', results)
  return scores
