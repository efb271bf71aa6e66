"""Annotated sequences segmented into folders of masks."""

import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import engine
from savos_jax.video import marks
from savos_jax.video import sinks
from savos_jax.video import sources
from tests import tiny_resnets
from tests import tiny_videos


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


@pytest.fixture(scope='module')
def tracker():
  model = tiny_resnets.MODEL
  return tracker_lib.Tracker(model, tiny_resnets.network_params(model))


def test_segment_writes_one_indexed_png_a_frame(tracker, video, tmp_path):
  folder = tmp_path / video.name
  seen = []
  job = engine.of_sequence(video, tmp_path)
  with files.claimed(tmp_path):
    masks.write_mask(
      folder / '00099.png', video.labels(0)
    )  # Of an earlier run.
    timing = engine.segment([tracker], [job], lambda *args: seen.append(args))
  assert [path.name for path in sorted(folder.iterdir())] == [
    f'{number:05d}.png' for number in range(4)
  ]
  np.testing.assert_array_equal(
    masks.read_mask(folder / '00000.png'), video.labels(0)
  )
  found = np.unique(masks.read_mask(folder / '00003.png'))
  assert set(found) <= {0, 2, 5}
  assert seen == [(job, 0)] + [(job, 1)] * 4
  assert timing.steady_frames == 2
  assert timing.first > 0
  assert timing.seconds_a_frame == timing.steady / 2 > 0
  assert timing.total > timing.first + timing.steady


def test_a_damaged_frame_is_named_and_no_mask_is_made_up(
  tracker, video, tmp_path
):
  broken = tmp_path / '00002.png'
  broken.write_bytes(video.frames[2].read_bytes()[:200])
  frames = (*video.frames[:2], broken, video.frames[3])
  damaged = sequences.Sequence(
    'video', frames, video.masks, *tiny_videos.SIZE, video.object_ids
  )
  with pytest.raises(errors.SavosError, match=str(broken)):
    engine.segment([tracker], [engine.of_sequence(damaged, tmp_path / 'out')])
  folder = tmp_path / 'out' / 'video'
  assert sorted(path.name for path in folder.iterdir()) == [
    '00000.png', '00001.png',
  ]  # fmt: skip


@pytest.mark.parametrize('count', [1, 2])
def test_the_frame_in_which_the_network_fails_is_named(video, tmp_path, count):
  model = tiny_resnets.MODEL
  params = tiny_resnets.network_params(model)
  params['decoder']['predict']['bias'][0] = np.nan
  jobs = [engine.of_sequence(video, tmp_path / f'{i}') for i in range(count)]
  trackers = [tracker_lib.Tracker(model, params) for _ in jobs]
  with pytest.raises(errors.SavosError, match=r'frame 00001: objects .2, 5.'):
    engine.segment(trackers, jobs)
  assert not list(tmp_path.rglob('00001.png'))


class Kept(sinks.Sink):
  """Keeps what it is told."""

  name, soft = 'kept', True

  def __init__(self):
    self.told, self.finished = [], False

  def begin(self, done):
    return done

  def write(self, segmented):
    self.told.append(segmented)

  def finish(self):
    self.finished = True


def test_sinks_are_told_each_frame_as_it_is_made(tracker, video, tmp_path):
  kept = Kept()
  engine.segment([tracker], [engine.of_sequence(video, tmp_path, (kept,))])
  assert kept.finished
  assert [told.index for told in kept.told] == [0, 1, 2, 3]
  for index, told in enumerate(kept.told):
    np.testing.assert_array_equal(told.frame, video.frame(index))
    path = tmp_path / 'video' / f'{index:05d}.png'
    np.testing.assert_array_equal(told.labels, masks.read_mask(path))
    assert told.probabilities.shape == (2, *tiny_videos.SIZE)
  np.testing.assert_array_equal(
    kept.told[-1].probabilities, tracker.probabilities
  )


def test_marks_at_any_frame(tracker, video, tmp_path):
  """Nothing before the first; a second object later; a correction."""
  drawn = [video.labels(index) for index in range(4)]
  given = marks.of_labels(
    {
      1: np.where(drawn[1] == 2, 2, 0),
      2: np.where(drawn[2] == 5, 5, 0),
      3: np.where(drawn[3] == 2, 2, 0),
    }
  )
  kept = Kept()
  job = engine.Job(
    sources.of_sequence(video),
    given,
    sinks.Masks(tmp_path, '{:05d}'.format),
    (kept,),
  )
  engine.segment([tracker], [job])
  tracker.start(video.frame(1), drawn[1], (2,))
  second = tracker.step(video.frame(2))
  tracker.add_object(video.frame(2), drawn[2] == 5, 5)
  third = tracker.step(video.frame(3))
  found = [told.labels for told in kept.told]
  assert not found[0].any()
  np.testing.assert_array_equal(found[1], np.where(drawn[1] == 2, 2, 0))
  np.testing.assert_array_equal(found[2], np.where(drawn[2] == 5, 5, second))
  # What was given is where it says, and nowhere else.
  expected = np.where(third == 2, 0, third)
  np.testing.assert_array_equal(found[3], np.where(drawn[3] == 2, 2, expected))


def test_a_mark_without_an_object_is_refused():
  with pytest.raises(
    errors.SavosError, match='mask of frame 3 holds no object'
  ):
    marks.of_labels({0: np.ones((4, 4), np.uint8), 3: np.zeros((4, 4))})
  with pytest.raises(errors.SavosError, match='no mask of any frame'):
    marks.of_labels({})
