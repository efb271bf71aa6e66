"""One device or several, one process or several: the same training."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax import network
from savos_jax import opening
from savos_jax.configs import smoke
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.training import accumulation
from savos_jax.training import sharding
from tests import parallel_runs

pytestmark = pytest.mark.slow

# AdamW divides by the root of a small second moment in the first steps: what
# is a rounding of a sum becomes this much of the largest parameter.
_TOLERANCE = 2e-5


def gradients(params, batch):
  """A loss whose gradient differs from example to example."""

  def loss(params):
    values = jnp.sin(batch['x'] @ params['w'])
    return values.mean(), {'mean': batch['x'].mean()}

  (_, metrics), found = jax.value_and_grad(loss, has_aux=True)(params)
  return found, metrics


@pytest.fixture
def inputs():
  rng = np.random.default_rng(0)
  params = {'w': jnp.asarray(rng.normal(size=(3,)), jnp.float32)}
  return params, {'x': rng.normal(size=(8, 3)).astype(np.float32)}


def assert_close(found, expected):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    found,
    expected,
  )


@pytest.mark.parametrize('parts', [1, 2, 4])
def test_parts_give_the_gradient_of_the_whole(inputs, parts):
  expected = gradients(*inputs)
  assert_close(accumulation.in_parts(gradients, parts)(*inputs), expected)


def test_devices_give_the_gradient_of_the_whole(inputs):
  params, batch = inputs
  mesh = sharding.make_mesh()
  assert mesh.size == 2
  split = sharding.over_devices(accumulation.in_parts(gradients, 2), mesh)
  found = jax.jit(split)(
    sharding.put_state(params, mesh), sharding.put_batch(batch, mesh)
  )
  assert_close(jax.device_get(found), gradients(*inputs))
  assert found[0]['w'].sharding.is_fully_replicated
  assert sharding.local(found)[0]['w'].devices() == {jax.devices()[0]}


def test_a_device_holds_its_share(inputs):
  _, batch = inputs
  put = sharding.put_batch(batch, sharding.make_mesh())['x']
  assert [shard.data.shape for shard in put.addressable_shards] == [(4, 3)] * 2
  np.testing.assert_array_equal(put, batch['x'])


@pytest.mark.parametrize(
  ('batch_size', 'parts', 'message'),
  [(6, 1, r'multiple of 4'), (8, 3, r'multiple of 12')],
)
def test_unequal_shares_are_refused(batch_size, parts, message):
  sharding.check_batch(8, 2, 4)
  with pytest.raises(errors.SavosError, match=message):
    sharding.check_batch(batch_size, parts, 4)


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """A training on one device, which takes each batch in two parts."""
  workdir = tmp_path_factory.mktemp('alone')
  flags = '--config.train.accumulation=2'
  result = parallel_runs.on_devices(workdir, 1, flags)
  assert result.returncode == 0, result.stderr
  return workdir


def assert_same_network(workdir, other):
  found, expected = network.load(workdir), network.load(other)
  assert found.step == expected.step == parallel_runs.STEPS

  def difference(a, b):
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)

  differences = jax.tree.map(difference, found.params, expected.params)
  largest = max(jax.tree.leaves(differences))
  print(f'largest relative difference of a parameter: {largest:.2g}')
  assert largest < _TOLERANCE


def test_eight_devices_train_as_one(alone, tmp_path):
  result = parallel_runs.on_devices(tmp_path, 8)
  assert result.returncode == 0, result.stderr
  assert '8 devices in 1 processes, 1 examples on each' in result.stdout
  assert_same_network(tmp_path, alone)


def test_two_processes_train_as_one_and_share_the_evaluation(alone, tmp_path):
  result = parallel_runs.in_processes(tmp_path, 2)
  assert result.returncode == 0, result.stderr
  assert '2 devices in 2 processes, 4 examples on each' in result.stdout
  assert_same_network(tmp_path, alone)
  # The first process segmented one of the two sequences, and scored both.
  assert 'frames of 1 sequences' in result.stdout
  assert result.stdout.count('results are in') == 1
  scores = json.loads((tmp_path / 'results' / 'scores.json').read_text())
  videos = opening.load_split(smoke.get_config(), tmp_path, 'val')
  assert set(scores['videos']) == {video.name for video in videos}


def test_an_error_in_one_process_ends_all(tmp_path):
  # The first process alone finds the folder taken; the second waits for it.
  with files.locked(tmp_path / '.training'):
    result = parallel_runs.in_processes(tmp_path, 2, '--mode=train')
  assert result.returncode == 2
  assert result.stderr.count('another process is using it') == 1
  assert 'Traceback' not in result.stderr
  assert not (tmp_path / 'checkpoints').exists()
