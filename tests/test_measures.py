"""J, F and the statistics, against slow independent definitions."""

import math

import numpy as np
import pytest

from savos_jax.evaluation import measures


def _mask(rows):
  """Makes a mask from strings, '#' = object."""
  return np.array([[c == '#' for c in row] for row in rows])


def _blob(rng, shape, count=4):
  """A random union of discs and half planes, ragged at some pixels."""
  y, x = np.mgrid[: shape[0], : shape[1]]
  mask = np.zeros(shape, bool)
  for _ in range(count):
    cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    radius = rng.uniform(1, max(2, min(shape) / 3))
    mask |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
  return mask ^ (rng.random(shape) < 0.01)


def _slow_boundary(mask):
  """Pixel by pixel, the rules as in the specification."""
  height, width = mask.shape
  found = set()
  for y in range(height):
    for x in range(width):
      neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
      if y == height - 1:
        neighbours = [(y, x + 1)]
      if x == width - 1:
        neighbours = [(y + 1, x)]
      if (y, x) == (height - 1, width - 1):
        neighbours = []
      if any(mask[n] != mask[y, x] for n in neighbours):
        found.add((y, x))
  return found


def _slow_accuracy(prediction, truth, radius):
  predicted, true = _slow_boundary(prediction), _slow_boundary(truth)
  if not predicted or not true:
    return float(not predicted and not true)

  def share(points, others):
    hits = sum(
      any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others)
      for y, x in points
    )
    return hits / len(points)

  precision, recall = share(predicted, true), share(true, predicted)
  if precision + recall == 0:
    return 0.0
  return 2 * precision * recall / (precision + recall)


def test_region_similarity_counts_pixels():
  prediction = _mask(['##..', '##..'])
  truth = _mask(['.##.', '.##.'])
  assert measures.region_similarity(prediction, truth) == 2 / 6
  assert measures.region_similarity(prediction, prediction) == 1
  assert measures.region_similarity(prediction, ~prediction) == 0


def test_region_similarity_takes_any_number_but_zero_as_object():
  prediction = np.array([[0, 3, 200]], np.uint8)
  assert measures.region_similarity(prediction, prediction > 0) == 1


@pytest.mark.parametrize(
  ('prediction', 'truth', 'expected'),
  [(False, False, 1.0), (True, False, 0.0), (False, True, 0.0)],
)
def test_empty_masks(prediction, truth, expected):
  spot = _mask(['....', '.##.', '....', '....'])
  masks = [
    spot if full else np.zeros_like(spot) for full in (prediction, truth)
  ]
  assert measures.region_similarity(*masks) == expected
  assert measures.boundary_accuracy(*masks) == expected


def test_a_mask_that_fills_the_image_has_no_boundary():
  full = np.ones((5, 6), bool)
  assert not measures.boundary_map(full).any()
  assert measures.boundary_accuracy(full, full) == 1
  assert measures.boundary_accuracy(full, ~full) == 1
  assert measures.region_similarity(full, ~full) == 0


@pytest.mark.parametrize(
  ('rows', 'expected'),
  [
    (['....', '..#.', '....'], ['.##.', '.##.', '....']),
    (['#...', '....', '....'], ['#...', '....', '....']),
    # In the last row only the right neighbour counts, in the last column only
    # the lower one, and the last pixel is never on the boundary.
    (['....', '....', '.#..'], ['....', '##..', '##..']),
    (['....', '...#', '....'], ['..##', '..##', '....']),
    (['....', '....', '...#'], ['....', '..##', '..#.']),
    (['...#', '....', '....'], ['..##', '....', '....']),
    (['####', '####', '....'], ['....', '####', '....']),
    (['##..'], ['.#..']),
  ],
)
def test_boundary_map_of_small_shapes(rows, expected):
  boundary = measures.boundary_map(_mask(rows))
  assert boundary.dtype == bool
  np.testing.assert_array_equal(boundary, _mask(expected))


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(
  'shape', [(1, 9), (9, 1), (17, 23), (40, 40), (61, 47)]
)
def test_boundary_map_agrees_with_the_slow_one(shape, seed):
  mask = _blob(np.random.default_rng(seed), shape)
  expected = np.zeros(shape, bool)
  for pixel in _slow_boundary(mask):
    expected[pixel] = True
  np.testing.assert_array_equal(measures.boundary_map(mask), expected)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(
  ('shape', 'bound', 'radius'),
  [
    ((12, 13), measures.BOUND, 1),
    ((61, 47), 0.03, 3),
    ((90, 121), measures.BOUND, 2),
    ((90, 121), 0.05, 8),
    ((33, 64), 5, 5),
  ],
)
def test_boundary_accuracy_agrees_with_the_slow_one(shape, bound, radius, seed):
  rng = np.random.default_rng([seed, radius])
  truth = _blob(rng, shape)
  shift = rng.integers(-3, 4, 2)
  prediction = np.roll(truth, shift, (0, 1)) ^ _blob(rng, shape, 1)
  expected = _slow_accuracy(prediction, truth, radius)
  found = measures.boundary_accuracy(prediction, truth, bound=bound)
  assert found == pytest.approx(expected, abs=1e-12)
  assert 0 < found < 1  # Else the case says nothing.


@pytest.mark.parametrize('radius', [1, 2, 3, 5, 8, 13, 18])
def test_match_is_within_a_disk_with_its_rim(radius):
  """A dot is matched at the distance of the radius, not a step further."""
  size = 2 * radius + 9
  for dy in range(radius + 2):
    for dx in range(radius + 2):
      prediction = np.zeros((size, size), bool)
      prediction[0, 0] = True  # Its boundary is itself alone.
      truth = np.zeros_like(prediction)
      truth[dy + 1, dx + 1] = True  # Its boundary is 2x2 from (dy, dx) on.
      found = measures.boundary_accuracy(prediction, truth, bound=radius)
      assert (found > 0) == (dy**2 + dx**2 <= radius**2), (dy, dx)


def test_the_tolerance_is_a_share_of_the_diagonal_rounded_up():
  """480x854: the radius is 8, whatever the size of the object."""
  assert math.ceil(0.008 * math.hypot(480, 854)) == 8
  truth = np.zeros((480, 854), bool)
  truth[100:200, 300] = True
  for distance, expected in ((8, 1.0), (11, 0.0)):
    prediction = np.roll(truth, distance, axis=1)
    found = measures.boundary_accuracy(prediction, truth)
    assert found == pytest.approx(expected), distance


def test_objects_at_the_image_border_keep_the_rules_of_the_border():
  """The box that F is computed in must not make a border of its own."""
  for top, left in ((0, 0), (0, 30), (50, 0), (52, 41), (20, 20)):
    truth = np.zeros((60, 50), bool)
    truth[top : top + 8, left : left + 9] = True
    prediction = np.zeros((60, 50), bool)
    prediction[max(top - 2, 0) : top + 5, left : left + 7] = True
    assert measures.boundary_accuracy(
      prediction, truth, bound=1
    ) == pytest.approx(_slow_accuracy(prediction, truth, 1), abs=1e-12)


def test_inputs_are_not_changed_and_may_be_slices():
  rng = np.random.default_rng(0)
  big = _blob(rng, (40, 60))
  prediction, truth = big[::2, ::3], big[1::2, 1::3]
  kept = big.copy()
  assert measures.boundary_accuracy(
    prediction, truth, bound=1
  ) == pytest.approx(_slow_accuracy(prediction, truth, 1))
  measures.region_similarity(prediction, truth)
  np.testing.assert_array_equal(big, kept)


def _case(seed, shape, kind):
  """Two masks: ragged blobs, single pixels, or one object at a border."""
  rng = np.random.default_rng([seed, *shape])
  truth, prediction = np.zeros((2, *shape), bool)
  if kind == 'blobs':
    return _blob(rng, shape), _blob(rng, shape)
  if kind == 'pixels':
    truth[rng.integers(shape[0]), rng.integers(shape[1])] = True
    prediction[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return prediction, truth
  y, x = (int(rng.choice([0, size - 4])) for size in shape)
  truth[y : y + 4, x : x + 4] = True
  prediction[max(y - 1, 0) : y + 3, max(x - 2, 0) : x + 4] = True
  return prediction, truth


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('kind', ['blobs', 'pixels', 'border'])
def test_measures_agree_with_the_slow_ones(kind, seed):
  prediction, truth = _case(seed, (23, 31), kind)
  union = (prediction | truth).sum()
  assert measures.region_similarity(prediction, truth) == (
    (prediction & truth).sum() / union
  )
  for radius in (1, 4):
    assert measures.boundary_accuracy(
      prediction, truth, bound=radius
    ) == pytest.approx(_slow_accuracy(prediction, truth, radius), abs=1e-12)


@pytest.mark.parametrize('seed', range(6))
def test_far_away_background_changes_nothing(seed):
  """F is computed in the box around the masks, whatever lies around it."""
  small = _case(seed, (40, 50), 'blobs')
  # A margin of one keeps the border's rules out of both.
  near, far = (
    [np.pad(mask, margin) for mask in small]
    for margin in (1, ((90, 33), (7, 120)))
  )
  assert measures.boundary_accuracy(*near, bound=6) == (
    measures.boundary_accuracy(*far, bound=6)
  )


@pytest.mark.parametrize('radius', [1, 2, 5, 8, 15])
def test_several_maps_are_dilated_at_once_and_apart(radius):
  """Also where the disk is larger than the image."""
  rng = np.random.default_rng(radius)
  maps = rng.random((8, 19, 13)) < 0.02
  joined = sum(map_.astype(np.uint8) << bit for bit, map_ in enumerate(maps))
  found = measures._dilate_by_disk(joined, radius)
  y, x = np.mgrid[:19, :13]
  for bit, map_ in enumerate(maps):
    expected = np.zeros(map_.shape, bool)
    for v, u in np.argwhere(map_):
      expected |= (y - v) ** 2 + (x - u) ** 2 <= radius**2
    np.testing.assert_array_equal(found >> bit & 1, expected)


def test_void_pixels_are_background_in_both():
  rng = np.random.default_rng(3)
  prediction, truth = _case(3, (40, 50), 'blobs')
  void = rng.random(truth.shape) < 0.1
  void[10:20, 10:30] = True
  for measure in (measures.region_similarity, measures.boundary_accuracy):
    found = measure(prediction, truth, void)
    assert found == measure(prediction & ~void, truth & ~void)
    assert found == measure(prediction, truth, void.astype(np.uint8) * 255)
    assert found != measure(prediction, truth)
    assert measure(prediction, truth, np.ones_like(void)) == 1
    with pytest.raises(ValueError, match=r'void \(40, 49\).*\(40, 50\)'):
      measure(prediction, truth, void[:, 1:])


@pytest.mark.parametrize(
  'measure', [measures.region_similarity, measures.boundary_accuracy]
)
def test_shapes_must_agree(measure):
  with pytest.raises(ValueError, match=r'\(4, 5\).*\(5, 4\)'):
    measure(np.zeros((4, 5), bool), np.zeros((5, 4), bool))
  with pytest.raises(ValueError, match='one size'):
    measure(np.zeros((2, 4, 5), bool), np.zeros((2, 4, 5), bool))


@pytest.mark.parametrize('bound', [0, -1, float('nan')])
def test_bound_must_be_positive(bound):
  mask = np.ones((4, 4), bool)
  with pytest.raises(ValueError, match='positive'):
    measures.boundary_accuracy(mask, mask, bound=bound)


def test_recall_leaves_out_one_half_itself():
  found = measures.statistics([0.5, 0.5, 0.500001, 0.9])
  assert found.recall == 0.5
  assert found.mean == pytest.approx((0.5 + 0.5 + 0.500001 + 0.9) / 4)


@pytest.mark.parametrize(
  ('count', 'first', 'last'),
  [
    # Frames counted from 1; edges round(linspace(1, n, 5)), halves up.
    (1, (1, 1), (1, 1)),  # 1 1 1 1 1
    (2, (1, 1), (2, 2)),  # 1 1.25 1.5 1.75 2
    (3, (1, 2), (3, 3)),  # 1 1.5 2 2.5 3
    (4, (1, 2), (3, 4)),  # 1 1.75 2.5 3.25 4
    (5, (1, 2), (4, 5)),  # 1 2 3 4 5
    (11, (1, 4), (9, 11)),  # 1 3.5 6 8.5 11
    (300, (1, 76), (225, 300)),  # 1 75.75 150.5 225.25 300
    (1027, (1, 258), (771, 1027)),  # 1 257.5 514 770.5 1027
  ],
)
def test_decay_is_first_bin_minus_last(count, first, last):
  values = np.random.default_rng(count).random(count)
  total = {frame: float(values[frame - 1]) for frame in range(1, count + 1)}

  def bin_mean(ends):
    frames = range(ends[0], ends[1] + 1)
    return sum(total[frame] for frame in frames) / len(frames)

  expected = bin_mean(first) - bin_mean(last)
  assert measures.statistics(values).decay == pytest.approx(expected, abs=1e-12)


def test_statistics_of_no_frames_are_undefined():
  assert all(math.isnan(value) for value in measures.statistics([]))


def test_statistics_of_one_frame():
  assert measures.statistics([0.75]) == (0.75, 1.0, 0.0)


def test_undefined_frames_leave_the_mean_and_fail_in_recall():
  found = measures.statistics([0.8, float('nan'), 0.6, 0.6])
  assert found.mean == pytest.approx(2.0 / 3)
  assert found.recall == 0.75
  assert found.decay == pytest.approx(0.8 - 0.6)
  assert math.isnan(measures.statistics([float('nan')]).mean)


@pytest.mark.parametrize(('shift', 'expected'), [(8, 1.0), (9, 0.0)])
@pytest.mark.parametrize('axis', [0, 1])
def test_at_480p_the_tolerance_is_8_pixels(axis, shift, expected):
  """Two straight edges: DAVIS' own size, ceil(0.008 x 979.6)."""
  truth = np.zeros((480, 854), bool)
  truth[(slice(None),) * axis + (slice(200, None),)] = True
  predicted = np.roll(truth, shift, axis)
  predicted[(slice(None),) * axis + (slice(0, 100),)] = False
  assert measures.boundary_accuracy(predicted, truth) == expected
