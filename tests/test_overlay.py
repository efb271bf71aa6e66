"""Pictures of masks over frames."""

import dataclasses
import itertools

import numpy as np
from PIL import Image
import pytest
from skimage import color

from savos_jax.datasets import davis
from savos_jax.pictures import overlay

# Machado et al. 2009, severity 1, for linear RGB.
_COLOUR_VISION = {
  'normal': np.eye(3),
  'protanopia': np.array(
    [
      [0.152286, 1.052583, -0.204868],
      [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998],
    ]
  ),
  'deuteranopia': np.array(
    [
      [0.367322, 0.860646, -0.227968],
      [0.280085, 0.672501, 0.047413],
      [-0.011820, 0.042940, 0.968881],
    ]
  ),
}


@pytest.fixture
def video(davis_folder):
  """A video of 7 frames, 60x81, two objects."""
  root = davis_folder(frames=7, size=(60, 81), objects=2)
  return davis.load(root, 'val', '2017')[0]


def _square():
  labels = np.zeros((60, 80), np.uint8)
  labels[20:40, 30:50] = 2
  return np.full((60, 80, 3), 100, np.uint8), labels


@pytest.mark.parametrize('vision', _COLOUR_VISION)
def test_the_first_colours_can_be_told_apart(vision):
  """CIEDE2000 of 10 is a clear difference; 1 is barely seen."""
  srgb = np.array([overlay.colour(i) for i in range(1, 8)]) / 255
  linear = np.where(
    srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4
  )
  seen = np.clip(linear @ _COLOUR_VISION[vision].T, 0, 1)
  seen = np.where(
    seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055
  )
  lab = color.rgb2lab(seen[None])[0]
  for one, other in itertools.combinations(lab, 2):
    assert color.deltaE_ciede2000(one, other) > 10


def test_fourteen_ids_have_colours_of_their_own_and_255_has_one():
  assert len({overlay.colour(i) for i in range(1, 15)}) == 14
  assert overlay.colour(1) == overlay.colour(15)
  assert len(overlay.colour(255)) == 3


def test_draw_blends_outlines_and_leaves_the_rest():
  frame, labels = _square()
  picture = overlay.draw(frame, labels, alpha=0.25)
  assert picture.shape == frame.shape
  assert picture.dtype == np.uint8
  paint = np.array(overlay.colour(2))
  np.testing.assert_array_equal(
    picture[30, 40], np.rint(0.75 * 100 + 0.25 * paint)
  )
  np.testing.assert_array_equal(picture[20, 40], paint)  # Outline, inside.
  np.testing.assert_array_equal(picture[39, 40], paint)
  assert (picture[19, 40] < 50).all()  # The dark line, outside.
  assert (picture[40, 40] < 50).all()
  np.testing.assert_array_equal(picture[10], frame[10])
  np.testing.assert_array_equal(frame, _square()[0])  # The input stays.


def test_draw_shows_every_object_in_its_colour():
  frame = np.zeros((40, 90, 3), np.uint8)
  labels = np.zeros((40, 90), np.uint8)
  for place, object_id in enumerate((1, 4, 12)):
    labels[5:35, 5 + 30 * place : 25 + 30 * place] = object_id
  picture = overlay.draw(frame, labels, alpha=1.0)
  for place, object_id in enumerate((1, 4, 12)):
    found = tuple(int(v) for v in picture[20, 15 + 30 * place])
    assert found == overlay.colour(object_id)


def test_draw_without_objects_returns_a_copy():
  frame = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
  picture = overlay.draw(frame, np.zeros((9, 7), np.uint8))
  np.testing.assert_array_equal(picture, frame)
  assert not np.shares_memory(picture, frame)


def test_no_outline_along_the_border_of_the_image():
  frame = np.full((30, 30, 3), 100, np.uint8)
  picture = overlay.draw(frame, np.ones((30, 30), np.uint8), alpha=0.5)
  assert (picture == picture[15, 15]).all()
  assert (picture[0, 0] != np.array(overlay.colour(1))).any()


def test_draw_refuses_labels_of_another_size():
  with pytest.raises(ValueError, match=r'\(5, 4\)'):
    overlay.draw(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8))


def _strip_indices(video, **kwargs):
  asked = []

  def labels_of(index):
    asked.append(index)
    return video.labels(index)

  return overlay.strip(video, labels_of, **kwargs), asked


def test_strip_takes_frames_evenly_from_first_to_last(video):
  assert _strip_indices(video, count=4)[1] == [0, 2, 4, 6]
  assert _strip_indices(video, count=1)[1] == [0]
  assert _strip_indices(video, count=50)[1] == list(range(7))


def test_strip_with_truth_takes_the_annotated_frames(video):
  sparse = dataclasses.replace(
    video, masks=tuple(m if i in (0, 3, 5) else None
                       for i, m in enumerate(video.masks))
  )  # fmt: skip
  assert _strip_indices(sparse, count=6)[1] == [0, 3, 5]
  first = dataclasses.replace(video, masks=(video.masks[0], *[None] * 6))
  asked = []

  def nothing(index):
    asked.append(index)
    return np.zeros((60, 81), np.uint8)

  picture = overlay.strip(first, nothing, count=3, height=60)
  assert asked == [0, 3, 6]
  assert picture.shape[0] == 60  # One row.


def test_strip_lays_rows_and_frames_out(video):
  one, _ = _strip_indices(video, count=1, truth=False, height=60)
  three, _ = _strip_indices(video, count=3, truth=False, height=60)
  both, _ = _strip_indices(video, count=3, truth=True, height=60)
  assert one.dtype == np.uint8
  assert one.shape[0] == three.shape[0] == 60
  step = (three.shape[1] - one.shape[1]) / 2
  assert 81 <= step <= 81 + 8  # A frame and a gap.
  assert both.shape[1] == three.shape[1]
  assert 120 <= both.shape[0] <= 120 + 8


def test_strip_shows_prediction_above_truth(video):
  nothing = np.zeros((60, 81), np.uint8)
  picture = overlay.strip(video, lambda i: nothing, count=1, height=60)
  paint = np.array(overlay.colour(1))
  upper, lower = picture[:60], picture[-60:]
  assert not (upper == paint).all(axis=-1).any()
  assert (lower == paint).all(axis=-1).any()


def test_strip_has_captions_and_numbers(video):
  """The left column holds ink on paper, another text in each row."""
  picture, _ = _strip_indices(video, count=2, height=120)
  plain, _ = _strip_indices(video, count=2, height=120, truth=False)
  width = picture.shape[1] - 2 * (162 + 4)  # Less two frames and their gaps.
  upper, lower = picture[:120, :width], picture[-120:, :width]
  for caption in (upper, lower):
    assert (caption < 50).any()
    assert 0.5 < (caption == 255).mean() < 1
  assert (upper != lower).any()
  np.testing.assert_array_equal(plain[:, :width], upper)
  starts = width + 4, width + 4 + 162 + 4  # The two frames' left edges.
  first, last = (picture[4:14, x + 4 : x + 9] for x in starts)
  for number in (first, last):  # Grey, so text and paper, not the photo.
    assert (number == number[..., :1]).all()
    assert number.min() < 100
    assert number.max() > 240
  assert (first != last).any()  # 0 and 6.


def test_strip_merges_objects_where_the_protocol_does(davis_folder):
  root = davis_folder(year='2016', size=(60, 80), objects=2)
  (video,) = davis.load(root, 'val', '2016')
  swapped = (2 * video.labels(0)).astype(np.uint8)
  picture = overlay.strip(video, lambda i: swapped, count=1, height=60)
  paint = np.array(overlay.colour(2))
  assert not (picture == paint).all(axis=-1).any()


@pytest.mark.parametrize('kwargs', [{'count': 0}, {'height': 0}])
def test_strip_refuses_nothing_to_show(video, kwargs):
  with pytest.raises(ValueError, match='expected 1 or more'):
    overlay.strip(video, video.labels, **kwargs)


@pytest.mark.parametrize('depth', [3, 4])
def test_png_reads_back(tmp_path, depth):
  picture = np.random.default_rng(0).integers(0, 256, (9, 7, depth), np.uint8)
  overlay.write_png(tmp_path / 'new' / 'a.png', picture)
  found = np.asarray(Image.open(tmp_path / 'new' / 'a.png'))
  np.testing.assert_array_equal(found, picture)
  assert [p.name for p in (tmp_path / 'new').iterdir()] == ['a.png']
