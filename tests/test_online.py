"""Online learning: what is taught, that it is forgotten, that it goes on."""

import dataclasses

import jax
import numpy as np
import pytest

from savos_jax import online
from savos_jax.foundation import errors
from savos_jax.inference import lessons
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.training import online as learning
from savos_jax.video import engine
from savos_jax.video import marks
from savos_jax.video import progress
from savos_jax.video import sinks
from savos_jax.video import sources
from tests import tiny_resnets
from tests import tiny_videos

# Optax counts on JAX's usual promotion.
pytestmark = pytest.mark.usefixtures('library_promotion')

MODEL = tiny_resnets.LOOKING_BACK
WINDOWS = options.InferenceConfig(short_side=32, zoom=2.0)
TWO_STEPS = online.OnlineConfig(steps=2, batch_size=1, learning_rate=1e-2)


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.looking_back_params()


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


def tracker_of(params, config=TWO_STEPS, inference=WINDOWS, seed=0):
  learner = learning.Learner(MODEL, config, seed)
  return tracker_lib.Tracker(MODEL, params, inference, learner=learner)


def lesson_of(video):
  frame, labels = video.frame(0), video.labels(0)
  return lessons.Lesson(frame, labels)


def taught(params, video, config=TWO_STEPS, seed=0):
  """The parameters after a lesson."""
  tracker = tracker_of(params, config, seed=seed)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  tracker.adapt(video.frame(0), video.labels(0))
  return tracker._params


def changed(before, after):
  """The parts of the network of which an array has changed."""
  return {
    part
    for part in before
    for x, y in zip(
      *map(jax.tree.leaves, (before[part], after[part])), strict=True
    )
    if not np.array_equal(x, y)
  }


@pytest.mark.parametrize(
  ('parameters', 'parts'),
  [
    ('decoder', {'decoder'}),
    (
      'decoder_and_global_convolution',
      {'decoder', 'global_convolution', 'matching'},
    ),
    ('all', {'decoder', 'global_convolution', 'matching', 'encoder'}),
  ],
)
def test_only_what_is_to_learn_learns(params, video, parameters, parts):
  config = dataclasses.replace(TWO_STEPS, parameters=parameters)
  assert changed(params, taught(params, video, config)) == parts


def test_the_same_seed_teaches_the_same(params, video):
  first, second = (taught(params, video) for _ in range(2))
  assert not changed(first, second)
  assert changed(first, taught(params, video, seed=1))


def test_learning_lowers_the_loss(params, video, monkeypatch):
  losses = []

  def noted(*arguments, **named):
    found = step(*arguments, **named)
    losses.append(float(found[2]))
    return found

  step = learning._step
  monkeypatch.setattr(learning, '_step', noted)
  taught(params, video, dataclasses.replace(TWO_STEPS, steps=100))
  assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:5])


def test_a_new_video_finds_the_network_as_it_was(params, video):
  frames = [video.frame(i) for i in range(3)]
  plain = tracker_lib.Tracker(MODEL, params, WINDOWS)
  plain.start(frames[0], video.labels(0), video.object_ids)
  expected = [plain.step(frame) for frame in frames[1:]]
  tracker = tracker_of(params)
  tracker.start(frames[0], video.labels(0), video.object_ids)
  tracker.adapt(frames[0], video.labels(0))
  learnt = np.asarray(tracker.probabilities), tracker.step(frames[1])
  assert tracker.seconds_learning > 0
  tracker.start(frames[0], video.labels(0), video.object_ids)
  assert tracker.seconds_learning == 0
  found = [tracker.step(frame) for frame in frames[1:]]
  np.testing.assert_array_equal(found, expected)
  assert not np.array_equal(found[0], learnt[1])


def test_learnt_parameters_see_the_references_again(params, video):
  """As a tracker of these parameters would have from the start."""
  frame, labels = video.frame(0), video.labels(0)
  tracker = tracker_of(params)
  tracker.start(frame, labels, video.object_ids)
  tracker.adapt(frame, labels)
  other = tracker_lib.Tracker(MODEL, tracker._params, WINDOWS)
  other.start(frame, labels, video.object_ids)
  for index in (1, 2):
    np.testing.assert_array_equal(
      tracker.step(video.frame(index)), other.step(video.frame(index))
    )


def test_videos_of_a_size_share_what_is_compiled(params, video):
  taught(params, video)
  count = learning._step._cache_size(), learning._window._cache_size()
  taught(params, video, seed=3)
  taught(params, video, dataclasses.replace(TWO_STEPS, steps=3))
  assert (learning._step._cache_size(), learning._window._cache_size()) == count


def test_an_example_shows_one_object_in_its_window(params, video):
  tracker = tracker_of(params)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  dreamer = learning._Dreamer(
    [lesson_of(video)], tracker._geometry, TWO_STEPS, (0, 0)
  )
  height, width = tracker._geometry.views[0].height, 64
  one = dreamer.batch(0)
  assert one['frames'].shape == (1, 1, height, width, 3)
  assert one['guidance'].shape == (1, height, width)
  shares = []
  for step in range(8):
    batch = dreamer.batch(step)
    assert set(np.unique(batch['reference_mask'])) <= {0, 1}
    shares.append(batch['reference_mask'].mean())
  # The window is zoom times as long as the object: of the whole frame the
  # smaller object is a twentieth.
  assert np.mean(shares) > 0.1


def test_the_reference_may_be_the_frame_itself(params, video):
  tracker = tracker_of(params)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  config = dataclasses.replace(TWO_STEPS, reference='frame', batch_size=8)
  dreamer = learning._Dreamer(
    [lesson_of(video)], tracker._geometry, config, (0, 0)
  )
  found = dreamer.batch(0)
  seen = [
    dreamer._seen(video.frame(0), mask, mask)
    for mask in ((video.labels(0) == i).astype(np.uint8) for i in (2, 5))
  ]
  which = []
  for frame, mask in zip(
    found['reference_frame'], found['reference_mask'], strict=True
  ):
    same = [np.array_equal(mask, own) for _, own in seen]
    np.testing.assert_array_equal(frame, seen[same.index(True)][0])
    which += same
  assert len({*which}) == 2  # Either object, some time.


def test_references_that_stay_are_encoded_once(params, video, monkeypatch):
  config = dataclasses.replace(
    TWO_STEPS, reference='frame', parameters='decoder', steps=6
  )
  encode, encoded = learning._encode, []

  def noted(*arguments, **named):
    encoded.append(1)
    return encode(*arguments, **named)

  with monkeypatch.context() as patch:
    patch.setattr(learning, '_encode', noted)
    known = taught(params, video, config)
  assert len(encoded) == 2  # Of either object, in six steps.

  def left_in(self, params, batch):
    del batch['source']

  monkeypatch.setattr(learning._References, 'of', left_in)
  again = taught(params, video, config)
  for one, other in zip(
    *map(jax.tree.leaves, (known['decoder'], again['decoder'])), strict=True
  ):
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_no_step_begins_when_the_time_is_over(params, video):
  slow = dataclasses.replace(TWO_STEPS, steps=10**6, seconds=1e-9)
  one = dataclasses.replace(TWO_STEPS, steps=1)
  assert not changed(taught(params, video, slow), taught(params, video, one))


def test_too_high_a_rate_is_said(params, video):
  wild = dataclasses.replace(
    TWO_STEPS, optimizer='sgd', learning_rate=1e3, steps=50
  )
  with pytest.raises(errors.SavosError, match=r'lower\s+config.online'):
    taught(params, video, wild)


def test_nobody_teaches_a_network_that_stays_as_it_is(params, video):
  tracker = tracker_lib.Tracker(MODEL, params)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  with pytest.raises(errors.SavosError, match='nobody'):
    tracker.adapt(video.frame(0), video.labels(0))


def test_nothing_is_learnt_of_no_object(params, video):
  tracker = tracker_of(params)
  tracker.start(video.frame(0), video.labels(0), [2])
  state = tracker.state()  # It has learnt nothing yet.
  tracker.restore([np.asarray(x) for x in state])
  assert tracker._found is None
  tracker.drop_object(2)
  tracker.adapt(video.frame(0), video.labels(0))
  assert not changed(params, tracker._params)


@pytest.mark.parametrize(('confidence', 'turns'), [(0.0, 2), (1.0, 1)])
def test_frames_are_learnt_from_where_all_is_sure(
  params, video, confidence, turns
):
  config = dataclasses.replace(
    TWO_STEPS, every=2, every_steps=1, confidence=confidence
  )
  tracker = tracker_of(params, config)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  tracker.adapt(video.frame(0), video.labels(0))
  before = tracker._params
  for index in (1, 2, 3):
    tracker.step(video.frame(index))
  assert tracker._turns == turns
  assert bool(changed(before, tracker._params)) == (turns == 2)


class Interrupted(Exception):
  """Of a test."""


def segmented(params, video, folder, stop_at=None):
  """Segments with what is learnt on the way, or up to an interruption."""
  config = dataclasses.replace(
    TWO_STEPS, every=2, every_steps=1, confidence=0.0
  )
  tracker = tracker_of(params, config)
  # Object 5 enters with the third frame.
  drawn = {0: np.where(video.labels(0) == 2, 2, 0).astype(np.uint8)}
  drawn[2] = np.where(video.labels(2) == 5, 5, 0).astype(np.uint8)
  source = sources.of_sequence(video)
  job = engine.Job(
    source,
    marks.of_labels(drawn),
    sinks.Masks(folder, source.names),
    (),
    progress.Progress(folder, {}),
  )
  done = []

  def advance(_, frames):
    done.append(frames)
    if sum(done) == stop_at:
      raise Interrupted

  return engine.segment([tracker], [job], advance)


@pytest.mark.parametrize('stop_at', [1, 2, 3])
def test_an_interruption_changes_nothing(params, video, tmp_path, stop_at):
  assert segmented(params, video, tmp_path / 'whole').learning > 0
  with pytest.raises(Interrupted):
    segmented(params, video, tmp_path / 'parts', stop_at)
  segmented(params, video, tmp_path / 'parts')
  whole = sorted((tmp_path / 'whole').glob('*.png'))
  assert len(whole) == len(video)
  for path in whole:
    other = tmp_path / 'parts' / path.name
    assert path.read_bytes() == other.read_bytes(), path.name
