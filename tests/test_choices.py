"""Frames, objects and subsets: all that may be drawn is, and nothing else."""

import itertools

import numpy as np
import pytest

from savos_jax.data import choices


def draw_times(length, reference, count, max_skip, max_gap, seed=0):
  return choices.draw_times(
    length, reference, count, max_skip, max_gap, np.random.default_rng(seed)
  )


@pytest.mark.parametrize('length', [2, 3, 4, 9])
@pytest.mark.parametrize('count', [1, 2, 3, 6, 12])
def test_any_video_takes_any_number_of_targets(length, count):
  for reference, skip, gap, seed in itertools.product(
    range(length), (1, 3, 25), (1, 4), range(5)
  ):
    previous, targets = draw_times(length, reference, count, skip, gap, seed)
    assert len(targets) == count
    direction = np.sign(targets[0] - reference)
    distances = [direction * (t - reference) for t in targets]
    assert all(0 <= t < length for t in targets)
    assert 1 <= distances[0] <= skip
    steps = np.diff(distances)
    assert (steps >= 0).all()
    assert (steps <= gap).all()
    before = direction * (targets[0] - previous)
    assert 1 <= before <= min(gap, distances[0])
    # Frames are repeated only where neighbours don't suffice, and then last.
    room = max(reference, length - 1 - reference)
    assert len(set(targets)) == min(count, room)
    assert (np.diff((steps > 0).astype(int)) <= 0).all()


def test_both_directions_where_both_have_room():
  firsts = [draw_times(11, 5, 3, 1, 1, seed)[1][0] for seed in range(200)]
  assert set(firsts) == {4, 6}
  assert 60 < firsts.count(4) < 140
  # Two frames after the reference, but eight before it.
  assert all(draw_times(11, 8, 3, 1, 1, s)[1] == [7, 6, 5] for s in range(20))


def test_distances_use_their_whole_range_evenly():
  draws = [draw_times(40, 20, 2, 4, 3, seed) for seed in range(600)]
  skips = [abs(targets[0] - 20) for _, targets in draws]
  gaps = [abs(targets[1] - targets[0]) for _, targets in draws]
  for found, most in ((skips, 4), (gaps, 3)):
    counts = np.bincount(found, minlength=most + 1)
    assert counts[0] == 0
    assert len(counts) == most + 1
    assert counts[1:].min() > 0.7 * 600 / most
  # The previous mask is up to three frames back, not beyond the reference.
  backs = {
    skip: {abs(t[0] - p) for p, t in draws if abs(t[0] - 20) == skip}
    for skip in (1, 2, 4)
  }
  assert backs == {1: {1}, 2: {1, 2}, 4: {1, 2, 3}}


def test_curriculum_grows_from_one_to_the_full_distance():
  limits = [choices.curriculum_limit(25, step, 100) for step in range(120)]
  assert limits[0] == 1
  assert limits[50] == 13
  assert limits[99] < 25
  assert set(limits[100:]) == {25}
  assert (np.diff(limits) >= 0).all()
  assert choices.curriculum_limit(25, 0, 0) == 25
  assert choices.curriculum_limit(1, 3, 10) == 1


def labels_of(*areas):
  """One row of 100 pixels; id k + 1 has areas[k] of them."""
  row = np.repeat(np.arange(1, len(areas) + 1), areas)
  return np.pad(row, (0, 100 - len(row))).astype(np.uint8)[None]


def test_only_objects_large_enough_are_drawn():
  areas = choices.object_areas(labels_of(5, 1, 30))
  np.testing.assert_allclose(areas[:5], [0, 0.05, 0.01, 0.3, 0])
  rng = np.random.default_rng(0)
  drawn = [choices.draw_object(areas, 0.05, rng) for _ in range(100)]
  assert set(drawn) == {1, 3}
  assert 25 < drawn.count(1) < 75
  assert choices.draw_object(areas, 0.31, rng) is None
  # Without a bound, an object still has to be there.
  assert {choices.draw_object(areas, 0.0, rng) for _ in range(100)} == {1, 2, 3}
  empty = choices.object_areas(np.zeros((2, 2), np.uint8))
  assert choices.draw_object(empty, 0.0, rng) is None


@pytest.mark.parametrize(
  ('labels', 'expected'),
  [
    (labels_of(), []),
    (labels_of(0, 0, 0, 5), [(4,)]),
    (labels_of(5, 0, 5), [(1,), (3,), (1, 3)]),
  ],
)
def test_all_subsets_of_up_to_two_objects_may_move(labels, expected):
  assert choices.moving_subsets(labels, 0, 'a/0', 1) == expected


def test_subsets_of_many_objects_are_few_and_always_the_same():
  labels = labels_of(*[2] * 42)
  found = choices.moving_subsets(labels, 3, 'a/0', 4)
  assert len(found) == 4
  for subset in found:
    assert subset == tuple(sorted(set(subset)))
    assert set(subset) <= set(range(1, 43))
  assert found == choices.moving_subsets(labels, 3, 'a/0', 4)
  assert found != choices.moving_subsets(labels, 4, 'a/0', 4)
  assert found != choices.moving_subsets(labels, 3, 'a/1', 4)


def test_subsets_of_three_objects_come_in_all_sizes_and_once_each():
  labels = labels_of(1, 1, 1)
  for name in 'abcdef':
    assert len(choices.moving_subsets(labels, 0, name, 4)) == 4
  found = choices.moving_subsets(labels, 0, 'a/0', 200)
  assert found == sorted(
    subset
    for size in (1, 2, 3)
    for subset in itertools.combinations((1, 2, 3), size)
  )
