"""The tracker over ONNX Runtime: the masks are JAX's."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from savos_jax import network
from savos_jax.exporting import choices
from savos_jax.exporting import onnx_folder
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.tools.benchmark import __main__ as benchmark
from tests import tiny_resnets
from tests import tiny_videos

MODEL = tiny_resnets.LOOKING_BACK


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.looking_back_params()


@pytest.fixture(scope='module')
def folder(params, tmp_path_factory):
  """An exported network."""
  out = tmp_path_factory.mktemp('exported')
  trained = network.Trained(MODEL, params, 7, False, {})
  onnx_folder.write(out, trained, choices.Choices())
  return out


@pytest.fixture(scope='module')
def runtime(folder):
  return with_onnx.Onnx(with_onnx.read(folder))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


def followed(tracker, video):
  """Labels, probabilities and confidences of every frame but the first."""
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  found = []
  for index in range(1, len(video)):
    labels = tracker.step(video.frame(index))
    found.append((labels, tracker.probabilities, tracker.confidences))
  return [np.stack(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize(
  'fields',
  [
    {},
    {'zoom': 2.0, 'short_side': 32},
    {'zoom': 1.5, 'short_side': 32, 'stray': 0.05, 'lost_confidence': 0.6},
    {'short_side': 32},
    {'background': 'merged'},
    {'background': 'max', 'chunk': 1},
    {'aggregation': 'winner_takes_all'},
    {'aggregation': 'independent', 'chunk': 1, 'zoom': 2.0, 'short_side': 32},
  ],
)
def test_masks_are_those_of_jax(params, runtime, video, fields):
  config = options.InferenceConfig(**fields)
  labels, probabilities, sure = followed(
    tracker_lib.Tracker(MODEL, params, config), video
  )
  found = followed(tracker_lib.Tracker(runtime, None, config), video)
  # Whether a pixel at a window's very edge is in it, rounding decides.
  assert (np.abs(found[1] - probabilities) > 1e-4).mean() < 0.01
  assert (found[0] != labels).mean() < 0.01
  np.testing.assert_allclose(found[2], sure, atol=5e-3)
  assert len(np.unique(labels)) > 1


def test_objects_come_and_go(params, runtime, video):
  def run(tracker):
    tracker.start(video.frame(0), video.labels(0), [5])
    tracker.step(video.frame(1))
    tracker.add_object(video.frame(1), video.labels(1) == 2, 2)
    tracker.step(video.frame(2))
    tracker.drop_object(5)
    return tracker.step(video.frame(3)), np.asarray(tracker.probabilities)

  expected = run(tracker_lib.Tracker(MODEL, params))
  found = run(tracker_lib.Tracker(runtime, None))
  np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
  assert set(np.unique(found[0])) <= {0, 2}


def test_goes_on_bit_for_bit(runtime, video):
  config = options.InferenceConfig(zoom=2.0, short_side=32)
  one, other = (tracker_lib.Tracker(runtime, None, config) for _ in range(2))
  for tracker in (one, other):
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
  for index in (1, 2):
    one.step(video.frame(index))
  other.restore([np.asarray(array) for array in one.state()])
  np.testing.assert_array_equal(
    one.step(video.frame(3)), other.step(video.frame(3))
  )


def test_several_videos_step_together(runtime, video):
  trackers = [tracker_lib.Tracker(runtime, None) for _ in range(2)]
  for tracker in trackers:
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
  first, second = tracker_lib.step_together(trackers, [video.frame(1)] * 2)
  np.testing.assert_array_equal(first, second)


def searching(runtime, monkeypatch, video, shown, every, finds=0.0):
  """Returns a tracker of two objects, and how many each call searches for.

  Before the next frame, the objects have the probabilities `shown` everywhere.
  The network finds them where they were, or everywhere with probability
  `finds`.
  """
  counts = []

  def call(name, inputs):
    if name == 'reference':
      return with_onnx.Onnx.call(runtime, name, inputs)
    counts.append(len(inputs['guidance']))
    return {'probability': np.maximum(inputs['guidance'], np.float32(finds))}

  config = options.InferenceConfig('independent', lost_every=every)
  tracker = tracker_lib.Tracker(runtime, None, config)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  monkeypatch.setattr(runtime, 'call', call)
  height, width = np.asarray(tracker.probabilities).shape[1:]
  shown = np.array(shown, np.float32).reshape(2, 1, 1)
  tracker.guide(np.broadcast_to(shown, (2, height, width)))
  return tracker, counts


def test_a_lost_object_is_searched_for_at_intervals(
  runtime, monkeypatch, video
):
  tracker, counts = searching(runtime, monkeypatch, video, (0.9, 0.3), 3)
  for _ in range(6):
    tracker.step(video.frame(1))
    # Where it may be is not forgotten between.
    np.testing.assert_array_equal(tracker.probabilities[1], np.float32(0.3))
  assert counts == [1, 2, 1, 1, 2, 1]


def test_lost_objects_take_turns(runtime, monkeypatch, video):
  tracker, counts = searching(runtime, monkeypatch, video, (0.1, 0.3), 3)
  for _ in range(6):
    labels = tracker.step(video.frame(1))
    assert not labels.any()
  # In every third frame nobody is searched for, and nothing is called.
  assert counts == [1] * 4


def test_what_is_found_again_is_followed(runtime, monkeypatch, video):
  tracker, counts = searching(runtime, monkeypatch, video, (0.9, 0.3), 3, 0.8)
  for _ in range(4):
    tracker.step(video.frame(1))
  assert counts == [1, 2, 2, 2]
  assert (tracker.confidences > 0.5).all()


def test_lost_objects_of_videos_that_step_together(runtime, monkeypatch, video):
  (one, _), (other, counts) = (
    searching(runtime, monkeypatch, video, (0.9, 0.3), 3) for _ in range(2)
  )
  tracker_lib.step_together([one, other], [video.frame(1)] * 2)
  assert counts == [1, 1]


@pytest.mark.parametrize(
  'fields', [{'flip': True}, {'scales': (0.5, 1.0)}, {'memory_frames': 2}]
)
def test_what_it_can_not_do_is_refused(runtime, fields):
  with pytest.raises(errors.SavosError, match='--runtime=jax'):
    tracker_lib.Tracker(runtime, None, options.InferenceConfig(**fields))


def test_travels_as_its_folder(runtime, video):
  again = pickle.loads(pickle.dumps(runtime))
  found = [
    followed(tracker_lib.Tracker(r, None), video) for r in (runtime, again)
  ]
  np.testing.assert_array_equal(found[0][0], found[1][0])


def test_a_network_of_one_size_refuses_others(params, video, tmp_path):
  trained = network.Trained(MODEL, params, 7, False, {})
  onnx_folder.write(
    tmp_path, trained, choices.Choices(objects=1, size=(64, 96))
  )
  runtime = with_onnx.Onnx(with_onnx.read(tmp_path))
  expected = followed(tracker_lib.Tracker(MODEL, params), video)
  # 45x70 pads to 64x96; two objects go through one by one.
  found = followed(tracker_lib.Tracker(runtime, None), video)
  np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
  config = options.InferenceConfig(short_side=32)
  with pytest.raises(errors.SavosError, match=r'64x96 .* shown 32x64'):
    followed(tracker_lib.Tracker(runtime, None, config), video)


@pytest.mark.parametrize(
  'damage', ['no description', 'another format', 'no graph', 'graph', 'weights']
)
def test_damage_is_named(folder, damage, tmp_path):
  copy = shutil.copytree(folder, tmp_path / 'copy')
  described = copy / 'savos.json'
  if damage == 'no description':
    described.unlink()
  elif damage == 'another format':
    described.write_text(json.dumps({'format': 'other'}))
  elif damage == 'no graph':
    (copy / 'reference.onnx').unlink()
  elif damage == 'graph':
    (copy / 'reference.onnx').write_bytes(b'none')
  else:
    (copy / 'weights.safetensors').write_bytes(b'')
  with pytest.raises(errors.SavosError) as raised:
    with_onnx.Onnx(with_onnx.read(copy))
  assert str(copy) in str(raised.value)
  assert 'export the network again' in str(raised.value)


def test_segments_without_jax(tmp_path):
  """The shipped network, by the program, where JAX can't be imported."""
  frames = tmp_path / 'frames'
  frames.mkdir()
  tiny_videos.noise(frames, 3, (48, 64), '{:05d}')
  mask = np.zeros((48, 64), np.uint8)
  mask[10:30, 10:40] = 255
  cv2.imwrite(str(tmp_path / 'mask.png'), mask)
  code = (
    'import sys\n'
    'for name in ("jax", "flax", "tensorflow", "orbax", "optax"):\n'
    '  sys.modules[name] = None\n'
    'from savos_jax.tools import segment\n'
    'segment.main(sys.argv[1:])'
  )
  home = tmp_path / 'home'
  home.mkdir()
  asked = {'ORT_DISABLE_TELEMETRY', 'XDG_CACHE_HOME', 'CI'}
  kept = {k: value for k, value in os.environ.items() if k not in asked}
  subprocess.run(
    [
      sys.executable, '-c', code, f'--video={frames}',
      f'--mask={tmp_path / "mask.png"}', f'--out={tmp_path / "out"}',
      '--runtime=onnx',
    ],
    check=True,
    env={**kept, 'HOME': str(home)},
  )  # fmt: skip
  assert len(list((tmp_path / 'out' / 'masks').glob('*.png'))) == 3
  # ONNX Runtime reports to nobody, and keeps no id of the device.
  assert not list(home.rglob('*'))


def test_runtimes_are_timed_turn_by_turn(folder, params, tmp_path):
  network.write(
    tmp_path / 'savos.safetensors', network.Trained(MODEL, params, 7, False, {})
  )
  call = [
    'runtimes', '--size=48x64', '--objects=2', '--frames=2', '--max_size=32',
    f'--checkpoint={tmp_path / "savos.safetensors"}',
  ]  # fmt: skip
  with pytest.raises(SystemExit):
    benchmark.main(call)
  benchmark.main(
    [*call, f'--exported={folder}', f'--json={tmp_path / "times.json"}']
  )
  jax_row, row = json.loads((tmp_path / 'times.json').read_text())['rows']
  assert (jax_row['runtime'], jax_row['over_jax']) == ('jax', 1)
  assert row['runtime'] == f'onnx {folder.name}'
  assert row['over_jax'] > 0
  assert row['differing'] < 10_000
