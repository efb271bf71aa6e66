"""Every rule of the protocols on cases that are counted by hand."""

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import segtrack
from savos_jax.datasets import sequences
from savos_jax.datasets import youtube_vos
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from tests import segtrack_folders as folders


@pytest.fixture
def segtrack_videos(tmp_path):
  root = folders.make(tmp_path / 'SegTrackv2')
  return root, segtrack.load(root)


def _davis17(tmp_path, labels, name='v', step=1, kind=sequences.Sequence):
  """Opens a video of given labels, [n, H, W], of each `step`-th frame."""
  folder = tmp_path / 'annotations'
  for index, each in enumerate(labels):
    masks.write_mask(folder / name / f'{step * index:05d}.png', each)
  return davis.load_annotations(folder, [name], False, kind)[0]


def _blank(count, size=(12, 16)):
  return np.zeros((count, *size), np.uint8)


def test_segtrack_leaves_out_the_first_frame_alone(segtrack_videos):
  _, videos = segtrack_videos
  asked = []

  def predicted(index):
    asked.append(index)
    return videos[1].labels(index)

  scores = protocol.score_sequence(videos[1], predicted)
  assert asked == [1, 2, 3]
  assert [score.name for score in scores] == ['penguin_1', 'penguin_2']
  assert scores[0].sequence == 'penguin'
  assert scores[0].frames == tuple(folders.stem('penguin', i) for i in asked)
  assert [score.j_statistics.mean for score in scores] == [1, 1]


def test_void_pixels_do_not_count_in_segtrack(segtrack_videos):
  root, (video, *_) = segtrack_videos
  mask = folders.object_mask(1, 1)
  values = 255 * mask
  values[5:13, 12:20] = 100  # Beside the object, none of it: 8 x 8.
  folders.write_grey(folders.truth_file(root, 'frog', 1), values)
  guess = mask.copy()
  guess[5:13, 12:20] = True  # All of it in the void: no mistake.
  guess[0, :8] = True  # Outside: 8 false pixels beside 80 true ones.
  (score,) = protocol.score_sequence(
    video, lambda i: (guess if i == 1 else video.labels(i)).astype(np.uint8)
  )
  assert score.j.tolist() == [80 / 88, 1, 1]
  clean = guess & (values != 100)
  (expected,) = protocol.score_sequence(
    video, lambda i: (clean if i == 1 else video.labels(i)).astype(np.uint8)
  )
  np.testing.assert_array_equal(score.f, expected.f)
  assert score.f[0] < 1


def test_overlapping_objects_are_scored_against_their_own_masks(
  segtrack_videos,
):
  root, videos = segtrack_videos
  both = folders.object_mask(1, 1) | folders.object_mask(2, 1)
  folders.write_grey(folders.truth_file(root, 'penguin', 1, 2), 255 * both)
  first, second = protocol.score_sequence(
    videos[1], lambda i: folders.object_mask(1, i).astype(np.uint8)
  )
  assert first.j.tolist() == [1, 1, 1]
  assert second.j.tolist() == [0, 0, 0]


def test_means_over_objects_and_over_sequences_differ(segtrack_videos):
  """A sequence of one object at 1, two with objects at 1 and 0."""
  _, videos = segtrack_videos
  scores = protocol.score_predictions(
    videos, lambda video: lambda i: video.labels(i) * (video.labels(i) == 1)
  )
  assert scores.protocol == 'segtrack'
  assert scores.j.mean == pytest.approx(3 / 5)
  assert list(scores.by_sequence) == ['frog', 'penguin', 'monkeydog']
  assert scores.sequences_j.mean == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
  assert scores.sequences_f.recall == pytest.approx(2 / 3)


def test_empty_masks_score_one_together_and_nothing_alone(tmp_path):
  """Frames: both empty, truth empty, prediction empty, none empty."""
  truth, guess = _blank(6), _blank(6)
  truth[[0, 3, 4, 5], 2:6, 2:6] = 1
  guess[[2, 4], 2:6, 2:6] = 1
  video = _davis17(tmp_path, truth)
  (score,) = protocol.score_sequence(video, lambda i: guess[i])
  assert score.j.tolist() == [1, 0, 0, 1]
  assert score.f.tolist() == [1, 0, 0, 1]
  assert score.j_statistics.recall == 0.5


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_short_videos(tmp_path, frames):
  truth = _blank(frames)
  truth[:, 2:6, 2:6] = 1
  video = _davis17(tmp_path, truth)
  (score,) = protocol.score_sequence(video, lambda i: truth[i])
  assert len(score.j) == max(0, frames - 2)
  assert np.isnan(score.j_statistics.mean) == (frames < 3)


def test_decay_of_a_long_video_uses_whole_numbers(tmp_path):
  """302 frames, 300 of them scored; 8 bits for the bin's edges would wrap."""
  truth = _blank(302, (4, 6))
  truth[:, 1:3, 1:5] = 1
  guess = truth.copy()
  guess[226:] = 0  # Scored frames are 1..300; the last bin is 225..300.
  video = _davis17(tmp_path, truth)
  (score,) = protocol.score_sequence(video, lambda i: guess[i])
  assert len(score.j) == 300
  assert score.j_statistics.mean == pytest.approx(225 / 300)
  assert score.j_statistics.decay == pytest.approx(1 - 1 / 76)


def test_ids_above_the_first_frames(tmp_path):
  truth = _blank(4)
  truth[:, 2:6, 2:6] = 1
  truth[:, 2:6, 8:12] = 2
  guess = truth.copy()
  guess[2, 0, 0] = 3
  video = _davis17(tmp_path, truth)
  with pytest.raises(errors.SavosError, match=r'frame 00002.*object id 3'):
    protocol.score_sequence(video, lambda i: guess[i])
  truth[2, 10, :] = 7  # In the truth: enters later, is not scored.
  video = _davis17(tmp_path, truth)
  scores = protocol.score_sequence(video, lambda i: truth[i] * (truth[i] < 7))
  assert [score.j_statistics.mean for score in scores] == [1, 1]


def test_two_objects_swapped_halfway(tmp_path):
  truth = _blank(6)
  truth[:, 2:6, 2:6] = 1
  truth[:, 2:6, 8:12] = 2
  guess = truth.copy()
  guess[3:] = np.array([0, 2, 1], np.uint8)[truth[3:]]
  video = _davis17(tmp_path, truth)
  for score in protocol.score_sequence(video, lambda i: guess[i]):
    assert score.j.tolist() == [1, 1, 0, 0]
    assert score.j_statistics.decay == pytest.approx(1)


def test_void_is_background_in_davis_2017(tmp_path):
  """Unlike SegTrack: a prediction on it is a false one."""
  truth = _blank(3)
  truth[:, 2:6, 2:6] = 1
  video = _davis17(tmp_path, truth)
  void = truth[1].copy()
  void[2:6, 6:8] = masks.VOID
  Image.fromarray(void).save(video.masks[1])
  guess = (void > 0).astype(np.uint8)
  (score,) = protocol.score_sequence(video, lambda i: guess)
  assert score.j.tolist() == [16 / 24]


def _later(count, first_two=2):
  """Object 1 in all frames, object 2 from one frame on."""
  truth = _blank(count)
  truth[:, 2:6, 2:6] = 1
  truth[first_two:, 2:6, 8:12] = 2
  return truth


def test_davis_leaves_out_the_first_and_the_last_annotated_frame(tmp_path):
  truth = _later(4, 9)
  video = _davis17(tmp_path, truth, step=5)
  asked = []

  def predicted(index):
    asked.append(index)
    return truth[index]

  (score,) = protocol.score_sequence(video, predicted)
  assert asked == [1, 2]
  assert score.frames == ('00005', '00010')


def test_davis_says_which_objects_it_leaves_out(tmp_path):
  truth = _later(5)
  video = _davis17(tmp_path, truth)
  # With and without it: the figures are the same.
  for guess in (truth, truth * (truth == 1)):
    scores = protocol.score_predictions(
      [video], lambda _, g=guess: g.__getitem__
    )
    assert [score.name for score in scores.objects] == ['v_1']
    assert scores.j_and_f == 1
    assert scores.notes == (
      'v: object 2 appears at 00002: not scored (DAVIS 2017 rules)',
    )
  assert not protocol.score_predictions(
    davis.load_annotations(tmp_path / 'annotations', ['v'], True),
    lambda _: truth.__getitem__,
  ).notes  # Of 2016: it is part of the one object.


def test_youtube_vos_scores_each_object_after_its_first_mask(tmp_path):
  truth = _later(5)
  video = _davis17(tmp_path, truth, step=5, kind=youtube_vos.Video)
  guess = truth.copy()
  guess[:3][guess[:3] == 2] = 0  # Nothing is asked of it before, or there.
  guess[1, 0, :4] = 2
  guess[4][guess[4] == 2] = 0
  first, second = protocol.score_sequence(video, guess.__getitem__)
  assert (first.name, second.name) == ('v_1', 'v_2')
  assert first.j.tolist() == [1, 1, 1, 1]
  assert first.frames == ('00005', '00010', '00015', '00020')
  assert second.j.tolist() == second.f.tolist() == [1, 0]
  assert second.frames == ('00015', '00020')
  with pytest.raises(errors.SavosError, match='object id 3'):
    protocol.score_sequence(video, lambda i: truth[i] + (truth[i] == 2))


def test_youtube_vos_of_an_object_that_is_gone(tmp_path):
  """Out of sight in truth and prediction is right, as in DAVIS."""
  truth = _later(4, 1)
  truth[2][truth[2] == 2] = 0
  video = _davis17(tmp_path, truth, kind=youtube_vos.Video)
  _, second = protocol.score_sequence(video, truth.__getitem__)
  assert second.j.tolist() == [1, 1]
  _, second = protocol.score_sequence(video, lambda i: truth[3])
  assert second.j.tolist() == [0, 1]


def test_youtube_vos_says_which_object_has_no_later_frame(tmp_path):
  video = _davis17(tmp_path, _later(4, 3), kind=youtube_vos.Video)
  scores = protocol.score_predictions([video], protocol.first_mask_baseline)
  assert scores.notes == (
    'v: object 2 is in no annotated frame after its first: not scored',
  )
  assert [score.j.size for score in scores.objects] == [3, 0]
  assert len(scores.scored.objects) == 1


def test_first_masks_alone_are_not_scored(tmp_path):
  """As YouTube-VOS publishes them for its validation split."""
  truth = _later(2, 1)
  video = _davis17(tmp_path, truth, step=15, kind=youtube_vos.Video)
  assert video.appearances == {0: (1,), 1: (2,)}
  assert video.only_given
  other = _davis17(tmp_path, _later(3, 1), 'w', kind=youtube_vos.Video)
  scores = protocol.score_predictions(
    [video, other], protocol.first_mask_baseline
  )
  assert scores.notes == ('v has 2 annotated frames, none is scored',)
  assert [score.j.size for score in scores.objects] == [0, 0, 2, 1]
  with pytest.raises(errors.SavosError, match='nothing to score: v has 2'):
    protocol.score_results(tmp_path / 'annotations', [video])


def test_the_first_mask_baseline_adds_objects_as_they_appear(tmp_path):
  truth = _later(4)
  truth[3] = np.roll(truth[3], 3, axis=0)
  video = _davis17(tmp_path, truth, kind=youtube_vos.Video)
  predicted = protocol.first_mask_baseline(video)
  for index in range(4):
    np.testing.assert_array_equal(predicted(index), truth[min(index, 2)])
