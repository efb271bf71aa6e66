"""What is made of a video's masks, where frames are missing."""

import contextlib

import numpy as np
import pytest

from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.video import video_file
from tests import made_videos


def told(index):
  image = np.full((32, 48, 3), 20 * index, np.uint8)
  shown = video_file.Shown(index, None, image)
  return sinks.Segmented(shown, np.zeros((32, 48), np.uint8))


def times(path):
  """Of a film's frames, seconds, and how grey they are."""
  return [(s.seconds, s.image.mean() / 20) for s in frames(path)]


def frames(path):
  return list(sources.open_video(path).numbered())


@pytest.mark.parametrize(
  ('indices', 'expected'),
  [
    ((0, 1, 4, 5), (0, 0.1, 0.4, 0.5)),  # A hole over the end of a part.
    ((1, 2), (0, 0.1)),
    ((0, 8), (0, 0.8)),  # A part without a frame.
  ],
)
def test_a_film_stands_still_where_frames_are_missing(
  tmp_path, monkeypatch, indices, expected
):
  monkeypatch.setattr(sinks, '_PART_FRAMES', 3)
  film = sinks.Film(tmp_path / 'film.mp4', 10, lambda frame, labels: frame)
  with film:
    assert film.begin(0) == 0
    for index in indices:
      film.write(told(index))
    film.finish()
  found = times(tmp_path / 'film.mp4')
  np.testing.assert_allclose([t for t, _ in found], expected, atol=1e-4)
  np.testing.assert_allclose([grey for _, grey in found], indices, atol=0.2)
  assert [path.name for path in tmp_path.iterdir()] == ['film.mp4']


@pytest.mark.parametrize('name', ['film.mp4', 'film.mov', 'film.webm'])
@pytest.mark.parametrize('stop', [2, 7, 10])
def test_an_interrupted_film_is_the_same_bytes(
  tmp_path, monkeypatch, name, stop
):
  """With sound, and a rate that varies."""
  monkeypatch.setattr(sinks, '_PART_FRAMES', 3)
  times = np.cumsum([0.2, 0.04, 0.1, 0.033, 0.4] * 2)
  rng = np.random.default_rng(0)
  pictures = rng.integers(0, 256, (10, 48, 64, 3), np.uint8)
  clip = made_videos.write(
    tmp_path / 'clip.mp4', pictures, times, sounds=[{'codec': 'aac'}]
  )

  def draw(frame, labels):
    alpha = () if name.endswith('mp4') else (frame[..., 0],)
    return np.dstack([frame, *alpha])

  def film(folder):
    return sinks.Film(tmp_path / folder / name, 10, draw, sound=clip)

  def write(made, start, end):
    for shown in sources.open_video(clip).numbered(start):
      if shown.index < end:
        made.write(sinks.Segmented(shown, np.zeros((48, 64), np.uint8)))

  with film('whole') as whole:
    whole.begin(0)
    write(whole, 0, 10)
    whole.finish()
  with contextlib.suppress(KeyboardInterrupt), film('again') as first:
    first.begin(0)
    write(first, 0, stop)
    raise KeyboardInterrupt
  with film('again') as again:
    start = again.begin(stop)
    assert start == stop // 3 * 3
    write(again, start, 10)
    again.finish()
  made = tmp_path / 'whole' / name
  assert made.read_bytes() == (tmp_path / 'again' / name).read_bytes()
  found = [shown.seconds for shown in sources.open_video(made).numbered()]
  np.testing.assert_allclose(found, times - times[0], atol=6e-4)
