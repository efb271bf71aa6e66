"""The best state of a training, kept beside the newest ones."""

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
  """The checkpoint with the highest score; a folder of its own holds it.

  On disk lies what is known: a training that goes on reads it from there. The
  optimiser's state is left out, since training goes on from the newest.
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
      like: parameters of the structure of those that are kept.
      start: the step that the training goes on from. What is kept of a later
        one stays until a step of this training has been scored, and is then
        replaced: that step is taken again, or is of a training before.
      scored: what the scores are of, as JSON has it; scores of something else
        can't be compared.
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
    """Takes over what is on disk, if it reads whole and compares."""
    try:
      step, _, _ = self._saved.restore_params(like, use_ema=True)
      note = self._saved.note(step)
    except errors.SavosError as error:
      logger.warning('the best checkpoint will be replaced: %s', error)
      return
    if note.get('scored') != self._scored:
      logger.warning(
        'the best checkpoint, of step %d in %s, was scored in another way '
        '(config.eval was changed); the next evaluation replaces it',
        step, self._folder,
      )  # fmt: skip
      return
    self.step, self.score = step, note['score']

  def close(self) -> None:
    """Waits for the save in progress."""
    self._saved.close()

  def offer(self, state: state_lib.TrainState, score: float) -> bool:
    """Keeps a state in place of the one before, if its score is higher.

    Args:
      state: the state.
      score: its own; not a number never is higher.

    Returns:
      Whether it is kept.
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
