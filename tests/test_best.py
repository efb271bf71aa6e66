"""The best checkpoint: kept, known again, never stale."""

import jax
import numpy as np
import pytest

from savos_jax import settings
from savos_jax.configs import smoke
from savos_jax.models import savos
from savos_jax.training import best
from savos_jax.training import checkpoint
from savos_jax.training import state as state_lib
from tests import tiny_resnets

MODEL = savos.SAVOS(settings.model_config(smoke.get_config()))
SCORED = {'sequences': {'dog': 20}, 'scales': (1.0,)}


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.network_params(MODEL, seed=0)


@pytest.fixture
def opened(tmp_path, params):
  """Opens the folder as a training that goes on from a step does."""

  def open_at(start, scored=SCORED):
    return best.Best(tmp_path, MODEL.config, params, start, scored)

  return open_at


def state_of(params, step):
  return state_lib.TrainState(
    step=np.asarray(step, np.int32),
    params=jax.tree.map(lambda leaf: np.asarray(leaf) + step, params),
    opt_state={'moment': params},
    ema_params=jax.tree.map(lambda leaf: np.asarray(leaf) - step, params),
  )


def offer(kept, params, scores):
  """Offers step -> score; returns the steps that were kept, and closes."""
  taken = [
    step
    for step, score in scores.items()
    if kept.offer(state_of(params, step), score)
  ]
  kept.close()
  return taken


def on_disk(folder, params, use_ema=True):
  with checkpoint.Checkpoints(folder, MODEL.config) as saved:
    assert len(saved.steps()) == 1
    step, _, found = saved.restore_params(params, use_ema)
  return step, found


def test_the_highest_is_kept_alone_with_both_kinds_of_weights(
  opened, tmp_path, params
):
  scores = {2: 0.3, 4: 0.5, 6: 0.5, 8: 0.4, 10: float('nan')}
  assert offer(opened(0), params, scores) == [2, 4]
  for use_ema in (False, True):
    step, found = on_disk(tmp_path, params, use_ema)
    expected = state_of(params, 4)
    assert step == 4
    jax.tree.map(
      np.testing.assert_array_equal,
      found,
      expected.ema_params if use_ema else expected.params,
    )
  # The optimiser's state, the larger half, is not.
  assert not list(tmp_path.glob('4/optimizer'))


def test_a_training_that_goes_on_knows_the_best(opened, tmp_path, params):
  offer(opened(0), params, {2: 0.25, 4: 0.1 + 0.2})
  again = opened(4)
  assert (again.step, again.score) == (4, 0.1 + 0.2)
  assert offer(again, params, {6: 0.1 + 0.2, 8: 0.28}) == []
  assert on_disk(tmp_path, params)[0] == 4
  assert offer(opened(8), params, {10: 0.31}) == [10]
  assert on_disk(tmp_path, params)[0] == 10


def test_steps_that_are_taken_again_are_scored_again(opened, tmp_path, params):
  offer(opened(0), params, {2: 0.3, 4: 0.9})
  again = opened(3)
  assert again.step is None
  # Nothing is lost before there is something in its place.
  assert on_disk(tmp_path, params)[0] == 4
  assert offer(again, params, {4: 0.2}) == [4]
  assert opened(4).score == 0.2
  assert offer(opened(1), params, {2: 0.1}) == [2]
  assert on_disk(tmp_path, params)[0] == 2


def test_scores_of_something_else_are_not_compared(
  opened, tmp_path, params, caplog
):
  offer(opened(0), params, {2: 0.9})
  with caplog.at_level('WARNING', 'savos_jax'):
    other = opened(2, {'sequences': {'dog': 10}, 'scales': (1.0,)})
  assert 'scored differently' in caplog.text
  assert offer(other, params, {4: 0.1}) == [4]
  assert on_disk(tmp_path, params)[0] == 4


def test_a_damaged_best_is_replaced(opened, tmp_path, params, caplog):
  offer(opened(0), params, {2: 0.9})
  meta = next(tmp_path.glob('2/meta/metadata'))
  text = meta.read_text()
  assert text.count('"params": "') == 1
  meta.write_text(text.replace('"ema_params": "', '"ema_params": "0'))
  with caplog.at_level('WARNING', 'savos_jax'):
    again = opened(2)
  assert 'will be replaced' in caplog.text
  assert offer(again, params, {4: 0.1}) == [4]
