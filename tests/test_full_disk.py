"""A disk that fills up during a save: said, and nothing else is lost."""

import contextlib
import resource

import jax
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.training import checkpoint
from savos_jax.training import event_files
from savos_jax.training import state as state_lib
from tests import tiny_resnets


@contextlib.contextmanager
def no_file_above(size: int):
  """Lets writes beyond so many bytes of a file fail, as on a full disk."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state_of(step: int) -> state_lib.TrainState:
  return state_lib.TrainState(
    step=np.int32(step),
    params=jax.tree.map(
      lambda leaf: leaf + step,
      tiny_resnets.network_params(tiny_resnets.MODEL),
    ),
    opt_state={'momentum': np.full(1000, step, np.float32)},
    ema_params={},
  )


# The library's threads find their loop closed when they end.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_full_disk_is_named_and_the_older_checkpoint_is_whole(tmp_path):
  folder = tmp_path / 'checkpoints'
  architecture = tiny_resnets.MODEL.config
  with checkpoint.Checkpoints(folder, architecture) as checkpoints:
    checkpoints.save(state_of(1))

  def save_on_a_full_disk():
    full = checkpoint.Checkpoints(folder, architecture)
    with no_file_above(4096):
      full.save(state_of(2))
      full.close()

  with pytest.raises(errors.SavosError) as caught:
    save_on_a_full_disk()
  message = str(caught.value)
  assert 'checkpoint of step 2 could not be saved' in message
  assert 'steps [1] are whole' in message
  with checkpoint.Checkpoints(folder, architecture) as checkpoints:
    restored = checkpoints.restore_state(state_of(0))
    assert int(restored.step) == 1
    jax.tree.map(
      np.testing.assert_array_equal, restored.params, state_of(1).params
    )
    # With space again, the same step is saved.
    checkpoints.save(state_of(2))
  with checkpoint.Checkpoints(folder, architecture) as checkpoints:
    assert int(checkpoints.restore_state(state_of(0)).step) == 2


def test_curves_on_a_full_disk_are_named(tmp_path):
  writer = event_files.Writer(tmp_path)
  writer.write_scalars(1, {'iou': 0.5})
  picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  with (
    no_file_above(4096),
    pytest.raises(errors.SavosError, match=r'events.* could not be written'),
  ):
    writer.write_images(2, {'bear': picture})
  (path,) = tmp_path.iterdir()
  (found,) = event_files.read_scalars(path)
  assert (found.step, found.tag, found.value) == (1, 'iou', 0.5)
