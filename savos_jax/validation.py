"""Scores a small part of a split at regular intervals during training.

This is called validation; scoring a whole split once, as `evaluate` does, is
called evaluation.
"""

from collections.abc import Mapping
import dataclasses
import logging
import pathlib
import tempfile
import time
from typing import Any

from ml_collections import config_dict
import numpy as np

from savos_jax import opening
from savos_jax import settings
from savos_jax.datasets import sequences
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.pictures import overlay
from savos_jax.training import best as best_lib
from savos_jax.training import metric_writing
from savos_jax.training import sharding
from savos_jax.training import state as state_lib
from savos_jax.video import engine

logger = logging.getLogger(__name__)

# Small, because TensorBoard keeps every picture.
_STRIP_FRAMES = 4
_STRIP_HEIGHT = 120  # Pixels.


def write_scores(
  writer: metric_writing.Writer,
  step: int,
  name: str,
  scores: protocol.Scores,
  pictures: Mapping[str, np.ndarray],
) -> None:
  """Writes J, F, J&F and pictures for TensorBoard.

  Args:
    writer: of the log folder.
    step: training step.
    name: prefix of the tags: `<name>/J`.
    scores: means of J and F, 0..1.
    pictures: sequence -> RGB uint8 [H, W, 3], tag `<name>/<sequence>`.
  """
  values = {'J': scores.j.mean, 'F': scores.f.mean, 'J&F': scores.j_and_f}
  writer.write_scalars(step, {f'{name}/{k}': v for k, v in values.items()})
  writer.write_images(step, {f'{name}/{k}': v for k, v in pictures.items()})


def _open(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> list[sequences.Sequence]:
  """Opens the first frames of the first sequences."""
  split = config.eval.every_split or config.data.val_split
  videos = opening.load_split(config, workdir, split)
  count = config.eval.every_frames
  chosen = videos[: config.eval.every_sequences]
  videos = [video.first_frames(count) for video in chosen]
  videos = [video for video in videos if video.annotated]
  if not any(map(protocol.scored_frames, videos)):
    raise errors.SavosError(
      f'{", ".join(video.name for video in chosen)}: no frame to score.\n'
      f'  Expected a video of {protocol.FEWEST_FRAMES} annotated frames or '
      'more among them: the first and the last do not count. Raise '
      'config.eval.every_sequences or every_frames, or set '
      'config.eval.every_steps=0.'
    )
  return videos


class Validator:
  """Segments and scores the same videos every `config.eval.every_steps`.

  Training does not depend on it: it draws no random numbers, and only reads the
  parameters.
  """

  def __init__(
    self,
    config: config_dict.ConfigDict,
    workdir: pathlib.Path,
    model: savos.SAVOS,
  ):
    """Opens the videos, unless every_steps is 0.

    Args:
      config: the configuration, checked.
      workdir: receives `checkpoints_best`; contains embedded clips.
      model: the network.

    Raises:
      SavosError: there are no data, or no frames to score.
    """
    self._model = model
    self._every = config.eval.every_steps
    self._last = config.train.steps
    self._use_ema = config.eval.use_ema
    self._folder = workdir / best_lib.FOLDER
    self._best: best_lib.Best | None = None
    if self._every:
      self._inference = settings.inference_config(config)
      self._side_by_side = config.eval.videos
      self._videos = _open(config, workdir)

  def begin(self, state: state_lib.TrainState) -> None:
    """Reads the best result so far of a training that resumes from a state."""
    if self._every:
      self._best = best_lib.Best(
        self._folder,
        self._model.config,
        sharding.local(state.params),
        int(state.step),
        self._scored(),
      )

  def close(self) -> None:
    """Waits for the save in progress."""
    if self._best:
      self._best.close()

  def due(self, step: int) -> bool:
    """Returns whether to score the state after this step."""
    return bool(self._every) and (step % self._every == 0 or step == self._last)

  def run(
    self, state: state_lib.TrainState, writer: metric_writing.Writer
  ) -> float:
    """Scores a state, logs the result, and saves the state if it is the best.

    Args:
      state: the state; with `config.eval.use_ema`, its averaged parameters.
      writer: receives the scores and a strip per sequence.

    Returns:
      The time it took, seconds.

    Raises:
      SavosError: a frame or mask can't be read, or the disk is full.
    """
    began = time.monotonic()
    step = int(state.step)
    scores, pictures = self._score(
      sharding.local(state.best_params if self._use_ema else state.params)
    )
    write_scores(writer, step, 'validation', scores, pictures)
    assert self._best is not None  # Since `begin`.
    kept = self._best.offer(state, scores.j_and_f)
    seconds = time.monotonic() - began
    logger.info(
      'validation at step %d: J %.1f  F %.1f  J&F %.1f  (%d sequences, %.1f s)'
      '  %s',
      step, 100 * scores.j.mean, 100 * scores.f.mean, 100 * scores.j_and_f,
      len(self._videos), seconds,
      'the best so far: kept' if kept else
      f'best: {100 * self._best.score:.1f} at step {self._best.step}',
    )  # fmt: skip
    return seconds

  def _score(
    self, params: Any
  ) -> tuple[protocol.Scores, dict[str, np.ndarray]]:
    """Returns the scores, and a strip per sequence."""
    # Compiled functions are reused: network, shapes and config are the same.
    trackers = [
      tracker_lib.Tracker(self._model, params, self._inference)
      for _ in range(min(self._side_by_side, len(self._videos)))
    ]
    with tempfile.TemporaryDirectory(prefix='savos_jax_') as name:
      folder = pathlib.Path(name)
      jobs = [engine.of_sequence(video, folder) for video in self._videos]
      engine.segment(trackers, jobs)
      scores = protocol.score_results(folder, self._videos, progress=False)
      pictures = {
        video.name: overlay.strip(
          video,
          protocol.read_predictions(folder, video),
          _STRIP_FRAMES,
          height=_STRIP_HEIGHT,
        )
        for video in self._videos
      }
    return scores, pictures

  def _scored(self) -> dict[str, Any]:
    """Describes what is scored."""
    return {
      'sequences': {video.name: len(video) for video in self._videos},
      'inference': dataclasses.asdict(self._inference),
      'use_ema': self._use_ema,
    }
