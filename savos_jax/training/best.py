"""The best state of a training run, kept beside the newest ones."""

import json
import logging
import math
import pathlib
from typing import Any

from savos_jax.foundation import errors
from savos_jax.models import savos_config
from savos_jax.training import checkpoint
from savos_jax.training import state as state_lib

logger = logging.getLogger(__name__)

FOLDER = 'checkpoints_best'  # Below the --workdir.


class Best:
  """The checkpoint with the highest score, in a folder of its own.

  All state is on disk, where a resumed training reads it. The optimiser's state
  is left out, because training resumes from the newest checkpoint.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    model_config: savos_config.SavosConfig,
    like: Any,
    start: int,
    scored: dict[str, Any],
  ):
    """Opens the folder and finds the best so far.

    Args:
      folder: `<workdir>/checkpoints_best`.
      model_config: the architecture.
      like: parameters with the same structure as the saved ones.
      start: the step from which training resumes. A best checkpoint of a later
        step stays until this run has scored a step, and is then replaced: it
        will be repeated, or belongs to an earlier run.
      scored: describes what is scored, as JSON; other scores can't be compared.
    """
    self._saved = checkpoint.Checkpoints(folder, model_config, keep=1)
    self._folder = folder
    self._scored = json.loads(json.dumps(scored))
    self.step: int | None = None
    self.score = -math.inf
    steps = self._saved.steps()
    if steps and steps[0] <= start:
      self._recall(like)

  def _recall(self, like: Any) -> None:
    """Reads the best checkpoint on disk, if it is intact and comparable."""
    try:
      step, _, _ = self._saved.restore_params(like, use_ema=True)
      note = self._saved.note(step)
    except errors.SavosError as error:
      logger.warning('the best checkpoint will be replaced: %s', error)
      return
    if note.get('scored') != self._scored:
      logger.warning(
        'the best checkpoint, of step %d in %s, was scored differently '
        '(config.eval has changed); the next evaluation replaces it',
        step, self._folder,
      )  # fmt: skip
      return
    self.step, self.score = step, note['score']

  def close(self) -> None:
    """Waits for the save in progress."""
    self._saved.close()

  def offer(self, state: state_lib.TrainState, score: float) -> bool:
    """Saves a state if its score is higher than the best so far.

    Args:
      state: the state.
      score: its score; NaN is never higher.

    Returns:
      Whether it was saved.
    """
    if not score > self.score:
      return False
    self.step, self.score = int(state.step), score
    self._saved.save(
      state,
      note={'score': score, 'scored': self._scored},
      with_optimizer=False,
    )
    return True
