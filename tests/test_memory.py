"""A tracker that remembers frames, with a network that looks back."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import matching
from tests import compilations
from tests import tiny_resnets
from tests import tiny_videos

MODEL = tiny_resnets.LOOKING_BACK
CONFIG = options.InferenceConfig(
  aggregation='independent',
  memory_frames=3,
  memory_every=2,
  memory_confidence=0.0,
)


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.looking_back_params()


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


def frame_of(video, index):
  return video.frame(index % len(video))


def started(params, video, config=CONFIG, ids=None):
  tracker = tracker_lib.Tracker(MODEL, params, config)
  tracker.start(video.frame(0), video.labels(0), ids or video.object_ids)
  return tracker


def steps(tracker, video, indices):
  return [
    (tracker.step(frame_of(video, i)), np.asarray(tracker.probabilities))
    for i in indices
  ]


def assert_same(a, b, **tolerance):
  for (labels_a, p_a), (labels_b, p_b) in zip(a, b, strict=True):
    np.testing.assert_allclose(p_a, p_b, **tolerance)
    assert (labels_a != labels_b).mean() < 0.01


@functools.partial(jax.jit, static_argnames='method')
def apply(params, *arguments, method, **named):
  return MODEL.apply({'params': params}, *arguments, method=method, **named)


def by_hand(params, video, object_id, kept):
  """Probabilities of an object, remembering for frame i the frames kept[i]."""

  def image(index):
    return jnp.asarray(frame_of(video, index)[None], jnp.float32) / 255

  mask = jnp.asarray(video.labels(0)[None] == object_id, jnp.float32)
  reference = apply(params, image(0), mask, method='encode_reference')
  guidance, remembered, found = mask, {}, []
  for index, numbers in kept.items():
    memory = None
    if numbers:
      memory = matching.Memory(
        jnp.stack([remembered[n].keys for n in numbers], axis=1),
        jnp.stack([remembered[n].values for n in numbers], axis=1),
        jnp.ones((1, len(numbers)), bool),
      )
    logits, trace = apply(
      params,
      image(index),
      guidance,
      reference,
      memory=memory,
      method='segment_traced',
    )
    guidance = jax.nn.softmax(logits)[..., 1]
    remembered[index] = apply(params, trace, guidance, method='remember')
    found.append(np.asarray(guidance[0]))
  return found


def test_the_last_frame_and_some_between_are_remembered(params, video):
  # Slots: the last one, and two between, of which frames 2, 4, 6 are kept.
  kept = {1: [], 2: [1], 3: [2, 2], 4: [3, 2], 5: [4, 2, 4], 6: [5, 2, 4]}
  kept |= {7: [6, 6, 4]}
  tracker = started(params, video)
  found = steps(tracker, video, kept)
  for k, object_id in enumerate(video.object_ids):
    expected = by_hand(params, video, object_id, kept)
    for (_, p), want in zip(found, expected, strict=True):
      np.testing.assert_allclose(p[k], want, rtol=1e-3, atol=1e-4)


def test_a_memory_changes_what_is_found_and_compiles_once(params, video):
  with compilations.heard() as names:
    found = steps(started(params, video), video, range(1, 6))
  assert names.count('one_step') <= 1
  alone = dataclasses.replace(CONFIG, memory_frames=0)
  without = steps(started(params, video, alone), video, range(1, 6))
  np.testing.assert_allclose(found[0][1], without[0][1], atol=1e-5)
  assert np.abs(found[4][1] - without[4][1]).max() > 1e-4


def test_a_network_without_a_look_back_remembers_nothing(params, video):
  plain = {k: v for k, v in params.items() if k != 'matching'}
  runs = []
  for frames in (0, 3):
    config = dataclasses.replace(CONFIG, memory_frames=frames)
    tracker = tracker_lib.Tracker(tiny_resnets.MODEL, plain, config)
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
    runs.append(steps(tracker, video, (1, 2)))
  for (_, a), (_, b) in zip(*runs, strict=True):
    np.testing.assert_array_equal(a, b)


def test_unsure_frames_are_not_remembered(params, video):
  never = dataclasses.replace(CONFIG, memory_confidence=1.0)
  alone = dataclasses.replace(CONFIG, memory_frames=0)
  assert_same(
    steps(started(params, video, never), video, range(1, 5)),
    steps(started(params, video, alone), video, range(1, 5)),
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.parametrize(
  'fields',
  [
    {'chunk': 1},
    {'zoom': 2.0, 'short_side': 32},
    {'scales': (0.5,), 'flip': True},
    {'aggregation': 'softmax', 'background': 'merged'},
    {'aggregation': 'softmax', 'background': 'merged', 'chunk': 2},
  ],
  ids=str,
)
def test_in_every_way_of_seeing(params, video, fields):
  config = dataclasses.replace(CONFIG, **fields)
  found = steps(started(params, video, config), video, range(1, 5))
  if 'chunk' in fields:
    whole = dataclasses.replace(config, chunk=0)
    expected = steps(started(params, video, whole), video, range(1, 5))
    assert_same(found, expected, rtol=1e-3, atol=1e-4)
  else:
    alone = dataclasses.replace(config, memory_frames=0)
    without = steps(started(params, video, alone), video, range(1, 5))
    assert np.abs(found[3][1] - without[3][1]).max() > 1e-5


def test_objects_come_and_go_with_what_is_remembered_of_them(params, video):
  first, second = video.object_ids
  tracker = started(params, video, ids=[first])
  steps(tracker, video, (1, 2, 3))
  mask = video.labels(3) == second
  tracker.add_object(video.frame(3), mask, second)
  found = steps(tracker, video, (4, 5))
  alone = started(params, video, ids=[first])
  expected = steps(alone, video, (1, 2, 3, 4, 5))[3:]
  for (_, p), (_, want) in zip(found, expected, strict=True):
    np.testing.assert_allclose(p[0], want[0], rtol=1e-3, atol=1e-4)
  tracker.drop_object(second)
  ((_, p),) = steps(tracker, video, (6,))
  ((_, want),) = steps(alone, video, (6,))
  np.testing.assert_allclose(p, want, rtol=1e-3, atol=1e-4)


def test_side_by_side_as_alone(params, video):
  trackers = [started(params, video) for _ in range(2)]
  trackers[1].step(frame_of(video, 1))
  expected = [started(params, video) for _ in range(2)]
  expected[1].step(frame_of(video, 1))
  for i in range(1, 5):
    frames = [frame_of(video, i), frame_of(video, i + 1)]
    tracker_lib.step_together(trackers, frames)
    for tracker, frame in zip(expected, frames, strict=True):
      tracker.step(frame)
  for a, b in zip(trackers, expected, strict=True):
    np.testing.assert_allclose(
      a.probabilities, b.probabilities, rtol=1e-3, atol=1e-4
    )


def test_going_on_is_as_if_there_had_been_no_interruption(params, video):
  whole = steps(started(params, video), video, range(1, 8))
  tracker = started(params, video)
  steps(tracker, video, range(1, 4))
  kept = [np.asarray(array) for array in tracker.state()]
  resumed = started(params, video)
  resumed.restore(kept)
  for (_, a), (_, b) in zip(
    steps(resumed, video, range(4, 8)), whole[3:], strict=True
  ):
    np.testing.assert_array_equal(a, b)
  with pytest.raises(errors.SavosError, match='Expected'):
    started(params, video).restore(kept[:-1])


def test_confidences_tell_how_sure_each_mask_is(params, video):
  tracker = started(params, video)
  assert tracker.confidences.tolist() == [1.0, 1.0]
  ((_, p),) = steps(tracker, video, (1,))
  expected = [q[q > 0.5].mean() if (q > 0.5).any() else 0.0 for q in p]
  np.testing.assert_allclose(tracker.confidences, expected, rtol=1e-4)


@pytest.mark.parametrize(
  ('field', 'value'),
  [('memory_frames', -1), ('memory_every', 0), ('memory_confidence', 1.5)],
)
def test_fields_out_of_range_are_refused(field, value):
  with pytest.raises(ValueError, match=field):
    options.InferenceConfig(**{field: value})
