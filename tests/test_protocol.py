"""What is scored with what, and parity with the official figures."""

import json
import shutil

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.evaluation import measures
from savos_jax.evaluation import predictions
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors

_GOLDEN_NAMES = (
  'blackswan',
  'bmx-trees',
  'camel',
  'car-shadow',
  'dance-twirl',
  'drift-chicane',
  'horsejump-high',
  'libby',
  'parkour',
  'scooter-black',
)


@pytest.fixture
def open_davis(davis_folder):
  """A factory of opened validation splits; takes davis_folder's arguments."""

  def make(year='2017', **kwargs):
    root = davis_folder(year=year, **kwargs)
    return davis.load(root, 'val', year)

  return make


@pytest.fixture
def results(tmp_path):
  """A factory: writes labels_of(video, index) as a folder of results."""

  def make(videos, labels_of):
    folder = tmp_path / 'results'
    for video in videos:
      (folder / video.name).mkdir(parents=True)
      for index in range(len(video)):
        path = folder / video.name / f'{video.masks[index].stem}.png'
        masks.write_mask(path, labels_of(video, index))
    return folder

  return make


def _truth(video, index):
  return masks.read_mask(video.masks[index])


def test_a_perfect_prediction_scores_one_for_every_object(open_davis, results):
  videos = open_davis(objects=[3, 1], splits={'val': 2}, frames=5)
  scores = protocol.score_results(results(videos, _truth), videos)
  names = [score.name for score in scores.objects]
  assert names == ['val0_1', 'val0_2', 'val0_3', 'val1_1']
  for score in scores.objects:
    np.testing.assert_array_equal(score.j, np.ones(3))  # 5 frames less 2.
    np.testing.assert_array_equal(score.f, np.ones(3))
  assert scores.j == scores.f == (1.0, 1.0, 0.0)
  assert scores.j_and_f == 1.0


def test_first_and_last_frame_are_left_out(open_davis):
  (video,) = open_davis(frames=6)
  asked = []

  def predicted(index):
    asked.append(index)
    return video.labels(index)

  (score,) = protocol.score_sequence(video, predicted)
  assert asked == [1, 2, 3, 4]
  assert len(score.j) == len(score.f) == 4


def test_files_of_frames_that_are_not_scored_may_be_missing(
  open_davis, results
):
  videos = open_davis(frames=4)
  folder = results(videos, _truth)
  (folder / 'val0' / '00000.png').unlink()
  (folder / 'val0' / '00003.png').unlink()
  assert protocol.score_results(folder, videos).j_and_f == 1


def test_frames_and_objects_get_the_scores_of_their_masks(open_davis):
  (video,) = open_davis(objects=2, frames=5)

  def predicted(index):
    return np.roll(video.labels(index), index, axis=0)

  scores = protocol.score_sequence(video, predicted)
  for object_id, score in zip((1, 2), scores, strict=True):
    for place, index in enumerate((1, 2, 3)):
      pair = predicted(index) == object_id, video.labels(index) == object_id
      assert score.j[place] == measures.region_similarity(*pair)
      assert score.f[place] == measures.boundary_accuracy(*pair)
  assert scores[0].j[0] > scores[0].j[1] > scores[0].j[2]
  assert scores[0].j_statistics == measures.statistics(scores[0].j)
  assert scores[0].f_statistics == measures.statistics(scores[0].f)


def test_swapped_objects_score_nothing(open_davis):
  (video,) = open_davis(objects=2)
  swap = np.array([0, 2, 1], np.uint8)
  scores = protocol.score_sequence(video, lambda i: swap[video.labels(i)])
  assert [score.j_statistics.mean for score in scores] == [0, 0]


def test_merged_protocol_joins_the_ids_of_truth_and_prediction(open_davis):
  (video,) = open_davis(year='2016', objects=3)
  swap = np.array([0, 9, 3, 1], np.uint8)  # 9: above every id of the truth.
  (score,) = protocol.score_sequence(video, lambda i: swap[_truth(video, i)])
  assert score.name == 'val0'
  np.testing.assert_array_equal(score.j, np.ones(2))


def test_merged_protocol_reads_grey_0_and_255(open_davis, tmp_path):
  videos = open_davis(year='2016', mode='L255')
  (tmp_path / 'results' / 'val0').mkdir(parents=True)
  for path in videos[0].masks:
    shutil.copy(path, tmp_path / 'results' / 'val0')
  assert protocol.score_results(tmp_path / 'results', videos).j_and_f == 1


def test_void_counts_as_background(open_davis):
  (video,) = open_davis(objects=2)
  labels = _truth(video, 1)
  void = labels.copy()
  void[0, :10] = masks.VOID
  image = Image.fromarray(void)
  image.putpalette(masks.pascal_palette().tobytes())
  image.save(video.masks[1])
  for score in protocol.score_sequence(
    video, lambda i: labels if i == 1 else video.labels(i)
  ):
    np.testing.assert_array_equal(score.j, np.ones(2))


def test_an_id_that_the_first_frame_skips_is_scored(open_davis):
  """As in the official code: ids 1..max, both empty in every frame gives 1."""
  (video,) = open_davis(objects=1)
  third = np.array([0, 3], np.uint8)
  for path in video.masks:
    masks.write_mask(path, third[masks.read_mask(path)])
  root = video.masks[0].parents[3]
  (video,) = davis.load(root, 'val', '2017')
  scores = protocol.score_sequence(
    video, lambda i: np.zeros_like(_truth(video, i))
  )
  assert [score.name for score in scores] == ['val0_1', 'val0_2', 'val0_3']
  assert [score.j_statistics.mean for score in scores] == [1, 1, 0]


def test_an_object_that_enters_later_is_not_scored(open_davis):
  (video,) = open_davis(objects=1, frames=5)
  later = video.labels(2).copy()
  later[-2:] = 2
  masks.write_mask(video.masks[2], later)
  scores = protocol.score_sequence(
    video, lambda i: (video.labels(i) == 1).astype(np.uint8)
  )
  assert [score.name for score in scores] == ['val0_1']
  assert scores[0].j_statistics.mean == 1


def test_an_id_above_the_first_frames_is_an_error(open_davis, results):
  videos = open_davis(objects=2)

  def labels_of(video, index):
    labels = _truth(video, index)
    labels[0, 0] = 5 if index == 2 else 0
    return labels

  folder = results(videos, labels_of)
  with pytest.raises(errors.SavosError) as caught:
    protocol.score_results(folder, videos)
  message = str(caught.value)
  assert str(folder / 'val0' / '00002.png') in message
  assert 'object id 5' in message
  assert '0..2' in message
  with pytest.raises(errors.SavosError, match='val0, frame 00002'):
    protocol.score_sequence(videos[0], lambda i: labels_of(videos[0], i))


def test_a_missing_folder_is_an_error(open_davis, tmp_path):
  with pytest.raises(errors.SavosError, match='nowhere: no such folder'):
    protocol.score_results(tmp_path / 'nowhere', open_davis())


def test_a_missing_sequence_is_an_error(open_davis, results):
  videos = open_davis(splits={'val': 3})
  folder = results(videos, _truth)
  shutil.rmtree(folder / 'val1')
  with pytest.raises(errors.SavosError) as caught:
    protocol.score_results(folder, videos)
  assert 'no results for 1 of 3 sequences: val1' in str(caught.value)
  assert str(folder / 'val1') in str(caught.value)


def test_of_many_names_the_first_few_are_shown():
  assert predictions.shown(list('abcde')) == 'a, b, c, d, e'
  assert predictions.shown(list('abcdefg')) == 'a, b, c, d, e and 2 more'


def test_a_missing_frame_is_an_error(open_davis, results):
  videos = open_davis(frames=6)
  folder = results(videos, _truth)
  (folder / 'val0' / '00002.png').unlink()
  (folder / 'val0' / '00003.png').unlink()
  with pytest.raises(errors.SavosError) as caught:
    protocol.score_results(folder, videos)
  assert str(folder / 'val0' / '00002.png') in str(caught.value)
  assert 'one of 2 missing out of 4' in str(caught.value)


def test_a_prediction_of_another_size_is_an_error(open_davis, results):
  videos = open_davis(size=(36, 48))
  folder = results(videos, lambda video, i: _truth(video, i)[::2, ::2])
  with pytest.raises(errors.SavosError) as caught:
    protocol.score_results(folder, videos)
  message = str(caught.value)
  assert f'{folder / "val0" / "00001.png"}: 24x18 pixels' in message
  assert 'Expected 48x36' in message


def test_labels_must_be_two_dimensional(open_davis):
  (video,) = open_davis()
  with pytest.raises(ValueError, match=r'\(36, 48, 1\)'):
    protocol.score_sequence(video, lambda i: video.labels(i)[..., None])


@pytest.mark.parametrize('content', [b'', b'no image at all'])
def test_a_damaged_prediction_is_an_error(open_davis, results, content):
  videos = open_davis()
  folder = results(videos, _truth)
  (folder / 'val0' / '00002.png').write_bytes(content)
  with pytest.raises(errors.SavosError, match=r'00002\.png: not an image'):
    protocol.score_results(folder, videos)


def test_score_sequence_takes_a_folder(open_davis, results):
  videos = open_davis(objects=2)
  folder = results(videos, _truth)
  scores = protocol.score_sequence(videos[0], folder)
  assert [score.j_statistics.mean for score in scores] == [1, 1]
  (folder / 'val0' / '00001.png').unlink()
  with pytest.raises(errors.SavosError, match=r'00001\.png: no such file'):
    protocol.score_sequence(videos[0], str(folder))


@pytest.mark.parametrize('workers', [1, 4])
def test_workers_do_not_change_the_scores(open_davis, workers):
  videos = open_davis(splits={'val': 3}, objects=[2, 3, 1], frames=7)
  scores = protocol.score_predictions(
    videos, protocol.first_mask_baseline, workers=workers
  )
  expected = [
    score
    for video in videos
    for score in protocol.score_sequence(
      video, protocol.first_mask_baseline(video)
    )
  ]
  assert len(scores.objects) == len(expected) == 6
  for score, other in zip(scores.objects, expected, strict=True):
    assert score.name == other.name
    np.testing.assert_array_equal(score.j, other.j)
    np.testing.assert_array_equal(score.f, other.f)


def test_the_first_mask_baseline_copies_the_first_mask(open_davis):
  (video,) = open_davis(objects=2, frames=6)
  predicted = protocol.first_mask_baseline(video)
  np.testing.assert_array_equal(predicted(4), video.labels(0))
  scores = protocol.score_predictions([video], protocol.first_mask_baseline)
  for score in scores.objects:  # The objects move away from the first mask.
    assert 0 < score.j_statistics.mean < 1
    assert score.j_statistics.decay > 0


def test_the_background_baseline_scores_nothing(open_davis):
  videos = open_davis(objects=2)
  scores = protocol.score_predictions(videos, protocol.background_baseline)
  assert scores.j == scores.f == (0.0, 0.0, 0.0)
  assert scores.j_and_f == 0


def test_global_figures_are_means_over_objects_not_frames():
  objects = (
    protocol.ObjectScore('a', np.full(2, 1.0), np.full(2, 0.8)),
    protocol.ObjectScore('b', np.full(8, 0.2), np.full(8, 0.4)),
  )
  scores = protocol.Scores(objects)
  assert scores.j.mean == pytest.approx(0.6)
  assert scores.j.recall == pytest.approx(0.5)
  assert scores.f.mean == pytest.approx(0.6)
  assert scores.j_and_f == pytest.approx(0.6)
  decaying = protocol.ObjectScore('c', np.array([0.9, 0.1]), np.ones(2))
  scores = protocol.Scores((*objects, decaying))
  assert scores.j.decay == pytest.approx(0.8 / 3)
  assert scores.j_and_f == pytest.approx((1.7 / 3 + 2.2 / 3) / 2)


@pytest.mark.parametrize('frames', [1, 2])
def test_videos_without_scored_frames_leave_the_means_alone(open_davis, frames):
  (short,) = open_davis(frames=frames)
  (score,) = protocol.score_sequence(short, short.labels)
  assert len(score.j) == len(score.f) == 0
  assert np.isnan([*score.j_statistics, *score.f_statistics]).all()
  full = protocol.ObjectScore('b', np.full(3, 0.9), np.full(3, 0.7))
  scores = protocol.Scores((score, full))
  assert scores.j.mean == pytest.approx(0.9)
  assert scores.j_and_f == pytest.approx(0.8)
  assert np.isnan(protocol.Scores((score,)).j_and_f)
  assert np.isnan(protocol.Scores(()).j_and_f)


@pytest.mark.parametrize('name', _GOLDEN_NAMES)
def test_parity_with_the_official_code(savos_data, name):
  """Every frame and statistic of OSVOS' masks, DAVIS 2016 protocol."""
  golden = savos_data / 'golden'
  text = (golden / 'official_davis16_on_osvos_masks.json').read_text()
  official = json.loads(text)[name]
  videos = davis.load(savos_data / 'DAVIS', 'val', '2016')
  (video,) = [video for video in videos if video.name == name]
  scores = protocol.score_results(golden / 'osvos-masks', [video])
  (score,) = scores.objects
  assert score.name == name
  for found, raw, statistics, expected in (
    (score.j, official['rawJ'], score.j_statistics, official['J']),
    (score.f, official['rawF'], score.f_statistics, official['F']),
  ):
    np.testing.assert_allclose(found, np.ravel(raw), rtol=0, atol=1e-6)
    np.testing.assert_allclose(statistics, expected, rtol=0, atol=1e-6)
