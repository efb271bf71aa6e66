"""Pictures of where a network fails."""

import numpy as np

from savos_jax.pictures import failures
from savos_jax.pictures import overlay

SIZE = (200, 300)


def frame(found, true, tag='3'):
  labels, truth = np.zeros((2, *SIZE), np.uint8)
  labels[found] = 1
  truth[true] = 1
  return failures.Frame(tag, np.full((*SIZE, 3), 90, np.uint8), labels, truth)


def test_what_is_found_is_painted_and_what_is_there_outlined():
  found = (slice(60, 120), slice(60, 160))
  true = (slice(60, 120), slice(140, 240))
  picture = failures.row('video', [frame(found, true)], height=200)
  width = overlay.caption('video', 200).shape[1]
  drawn = picture[:, width:]
  assert picture.shape[0] == 200
  colours = {tuple(map(int, c)) for c in drawn.reshape(-1, 3)}
  assert overlay.colour(1) in colours
  white = (drawn == 255).all(axis=2)[80:]  # Below the tag.
  columns = np.flatnonzero(white.any(axis=0))
  # The truth's box is a third of the frame's width; the window is larger.
  assert 0.3 * drawn.shape[1] < columns[-1] - columns[4] < 0.7 * drawn.shape[1]


def test_all_frames_show_the_part_with_the_objects():
  small = (slice(20, 40), slice(20, 50))
  other = (slice(30, 50), slice(30, 60))
  rows, columns = failures._window([frame(small, small), frame(other, other)])
  assert rows.start == columns.start == 0
  assert rows.stop == 80  # No less than 0.4 of it.
  assert columns.stop == 120
  everywhere = (slice(None), slice(None))
  whole = failures._window([frame(everywhere, small)])
  assert [part.stop for part in whole] == [*SIZE]
  nothing = (slice(0), slice(0))
  assert [p.stop for p in failures._window([frame(nothing, nothing)])] == [
    *SIZE
  ]


def test_rows_of_a_sheet_may_differ_in_width():
  box = (slice(60, 120), slice(60, 160))
  one = failures.row('one', [frame(box, box)])
  two = failures.row('two', [frame(box, box)] * 2)
  sheet = failures.sheet([one, two])
  assert sheet.shape[1] == two.shape[1]
  assert sheet.shape[0] > 2 * 120
  assert (sheet[:120, one.shape[1] :] == 255).all()
