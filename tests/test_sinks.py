"""What is made of a video's masks, where frames are missing."""

import numpy as np
import pytest

from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.video import video_file


def told(index):
  image = np.full((32, 48, 3), 20 * index, np.uint8)
  shown = video_file.Shown(index, None, image)
  return sinks.Segmented(shown, np.zeros((32, 48), np.uint8))


@pytest.mark.parametrize(
  ('indices', 'expected'),
  [
    ((0, 1, 4, 5), (0, 1, 1, 4, 4, 5)),  # A hole over the end of a part.
    ((1, 2), (1, 1, 2)),
    ((0, 8), (0, 0, 0, 8, 8, 8, 8, 8, 8)),  # A part without a frame.
  ],
)
def test_a_film_stands_still_where_frames_are_missing(
  tmp_path, monkeypatch, indices, expected
):
  """Never longer than a part: each depends on its own frames alone."""
  monkeypatch.setattr(sinks, '_PART_FRAMES', 3)
  film = sinks.Film(tmp_path / 'film.mp4', 10, lambda frame, labels: frame)
  with film:
    assert film.begin(0) == 0
    for index in indices:
      film.write(told(index))
    film.finish()
  frames = sources.open_video(tmp_path / 'film.mp4').frames()
  found = [round(frame.mean() / 20) for frame in frames]
  assert found == list(expected)
  assert [path.name for path in tmp_path.iterdir()] == ['film.mp4']
