"""Lucid dreaming: every step's ranges, measured from what it returns."""

import dataclasses
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from savos_jax.data import lucid
from savos_jax.data import warp
from savos_jax.data.lucid import blending
from savos_jax.data.lucid import config as config_lib

# Nothing happens but what a test turns on.
STILL = lucid.LucidConfig(
  illumination_probability=0.0, mirror_probability=0.0, spline_probability=0.0,
  scale=(1.0, 1.0), rotation=0.0, next_shift=0.0, next_spline=0.0,
  camera_rotation=0.0, camera_scale=(1.0, 1.0), camera_shift=0.0,
  turn_probability=0.0, merge='feather', feather=0.0, mask_spline=0.0,
  mask_dilation=0,
)  # fmt: skip
SIZE = (160, 240)


def generator(seed=0):
  return np.random.default_rng(seed)


def ellipse(size=SIZE, center=(120, 80), axes=(30, 12), angle=20, value=1):
  labels = np.zeros(size, np.uint8)
  cv2.ellipse(labels, center, axes, angle, 0, 360, value, -1)
  return labels


def scene(labels, seed=0):
  """Red objects on a bluish, textured background."""
  frame = generator(seed).integers(0, 60, (*labels.shape, 3), np.uint8)
  frame[..., 2] += 150
  frame[labels > 0] = (250, 10, 10)
  return frame


def pose(mask):
  """Centre (x, y), area and angle in degrees of a shape, from its moments."""
  m = cv2.moments(mask, binaryImage=True)
  angle = np.arctan2(2 * m['mu11'], m['mu20'] - m['mu02']) / 2
  center = np.array([m['m10'], m['m01']]) / m['m00']
  return center, m['m00'], np.rad2deg(angle)


def track(config, targets, seed, labels=None, scale=1.0, size=SIZE):
  """Masks [H, W] of an object in its frames, and its size."""
  labels = ellipse() if labels is None else labels
  rng = generator(seed)
  frame = scene(labels)
  _, _, (cutout,) = lucid.split(frame, labels, [1], config, rng, frame)
  layers = lucid.move_object(cutout, size, scale, config, rng, targets)
  masks = []
  for layer in layers:
    black = np.zeros((*size, 3), np.uint8)
    empty = np.zeros(size, np.uint8)
    masks.append(lucid.merge(black, empty, [layer], config)[1])
  return masks, np.sqrt(cutout.box[2] * cutout.box[3])


def assert_covers(values, low, high, slack):
  """All values are in a range, and they use most of it."""
  assert low - slack <= min(values)
  assert max(values) <= high + slack
  assert max(values) - min(values) > 0.8 * (high - low)


# --- Configuration. ----------------------------------------------------------


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('illumination_probability', 1.5),
    ('illumination_gain', (1.1, 0.9)),
    ('scale', (0.0, 1.0)),
    ('rotation', -1.0),
    ('spline_points', 2),
    ('band', 0),
    ('merge', 'glue'),
    ('hole_dilation', -7),
  ],
)
def test_a_field_out_of_range_is_named(field, value):
  with pytest.raises(ValueError, match=f'{field} is'):
    lucid.LucidConfig(**{field: value})


def test_the_paper_s_ranges_are_the_defaults():
  config = lucid.LucidConfig()
  assert config.illumination_gain == (0.97, 1.03)
  assert config.illumination_exponent == (0.8, 1.2)
  assert config.scale == (0.85, 1.15)
  assert (config.rotation, config.camera_rotation) == (30.0, 3.0)
  assert (config.hole_dilation, config.mask_dilation) == (7, 5)
  assert config.merge in config_lib.MERGES


def test_importing_it_takes_numpy_and_opencv_alone():
  code = (
    'import sys; import savos_jax.data.lucid\n'
    'heavy = {"jax", "tensorflow", "PIL", "scipy", "flax"}\n'
    'print(sorted(heavy & set(sys.modules)))'
  )
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == '[]'


# --- 1. Illumination. --------------------------------------------------------


def coloured(value=128, saturation=0.5):
  """A picture of one colour of known saturation."""
  image = np.full((8, 8, 3), value, np.uint8)
  image[..., 1:] = round(value * (1 - saturation))
  return image


def test_illumination_follows_the_formula():
  config = dataclasses.replace(
    STILL, illumination_probability=1.0, illumination_gain=(1.03, 1.03),
    illumination_exponent=(0.8, 0.8), illumination_offset=0.0,
  )  # fmt: skip
  found = lucid.change_illumination(coloured(), config, generator())[0, 0]
  value = 1.03 * (128 / 255) ** 0.8
  saturation = 1.03 * 0.5**0.8
  np.testing.assert_allclose(found[0], 255 * value, atol=1)
  np.testing.assert_allclose(found[1:], 255 * value * (1 - saturation), atol=1)


def test_illumination_respects_its_ranges():
  config = dataclasses.replace(
    lucid.LucidConfig(), illumination_probability=1.0
  )
  rng = generator()
  image, values, saturations = coloured(), [], []
  for _ in range(400):
    red, green, _ = lucid.change_illumination(image, config, rng)[0, 0] / 255
    values.append(red)
    saturations.append(1 - green / red)
  start = 128 / 255
  low, high = 0.97 * start**1.2 - 0.05, 1.03 * start**0.8 + 0.05
  assert_covers(values, low, high, slack=0.01)
  low, high = 0.97 * 0.5**1.2 - 0.05, 1.03 * 0.5**0.8 + 0.05
  assert_covers(saturations, low, high, slack=0.02)
  assert abs(np.corrcoef(values, saturations)[0, 1]) < 0.2  # Separately drawn.


def test_illumination_gives_grey_no_hue():
  """The hue of what is almost grey is noise."""
  config = dataclasses.replace(
    STILL, illumination_probability=1.0, illumination_gain=(1.0, 1.0),
    illumination_exponent=(1.0, 1.0), illumination_offset=0.05,
  )  # fmt: skip
  rng = generator()
  almost = np.full((4, 4, 3), 200, np.uint8)
  almost[..., 2] = 202
  for _ in range(30):
    found = lucid.change_illumination(almost, config, rng).astype(int)
    assert np.ptp(found, axis=-1).max() <= 4


def test_illumination_coin_and_grey():
  image = coloured()
  assert lucid.change_illumination(image, STILL, generator()) is image
  rng, config = generator(), lucid.LucidConfig()
  changed = [
    (lucid.change_illumination(image, config, rng) != image).any()
    for _ in range(400)
  ]
  assert 0.4 < np.mean(changed) < 0.6
  always = dataclasses.replace(config, illumination_probability=1.0)
  grey = np.full((4, 4, 3), 90, np.uint8)
  found = lucid.change_illumination(grey, always, rng)
  assert (found == found[..., :1]).all()


# --- 2. Split. ---------------------------------------------------------------


def test_hole_is_the_mask_grown_but_not_into_others():
  labels = np.zeros(SIZE, np.uint8)
  labels[60:80, 100:140] = 1
  labels[60:80, 143:160] = 2  # Three pixels to the right.
  found = lucid.hole(labels, [1], lucid.LucidConfig())
  assert not found[labels == 2].any()
  assert found[labels == 1].all()
  distance = cv2.distanceTransform(
    (labels != 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
  )
  away = found.astype(bool) & (labels == 0)
  assert 6.5 < distance[away].max() < 7.6
  assert found[(distance < 6.4) & (labels != 2)].all()


def test_inpainting_changes_the_hole_alone_and_leaves_no_object():
  labels = ellipse()
  frame = scene(labels)
  config = lucid.LucidConfig()
  found = lucid.inpaint(frame, labels, [1], config)
  hole = lucid.hole(labels, [1], config).astype(bool)
  np.testing.assert_array_equal(found[~hole], frame[~hole])
  assert found[..., 0].max() < 90  # No red is left.
  assert found[hole].std(axis=0).min() > 8  # Texture, not a smear.
  np.testing.assert_array_equal(
    found, lucid.inpaint(frame, labels, [1], config)
  )


def test_inpainting_goes_on_with_a_pattern():
  """Stripes are carried through the hole."""
  stripes = np.zeros((120, 200, 3), np.uint8)
  stripes[(np.arange(120) // 8) % 2 == 0] = 200
  labels = ellipse((120, 200), (100, 60), (30, 15), 0)
  found = lucid.inpaint(stripes, labels, [1], lucid.LucidConfig())
  error = np.abs(found.astype(int) - stripes)[labels > 0].mean()
  assert error < 25  # Of 200; diffusion alone: about 70.


def test_inpainting_copies_no_other_object():
  labels = ellipse(axes=(30, 20)) + ellipse(
    center=(40, 40), axes=(20, 20), value=2
  )
  labels += ellipse(center=(200, 120), axes=(20, 20), value=3)
  frame = scene(labels)
  found = lucid.inpaint(frame, labels, [1], lucid.LucidConfig())
  assert found[labels < 2][:, 0].max() < 90  # Nothing red but what was there.


def test_nothing_to_inpaint_and_nothing_but_the_hole():
  frame = scene(ellipse())
  config = lucid.LucidConfig()
  empty = np.zeros(SIZE, np.uint8)
  np.testing.assert_array_equal(lucid.inpaint(frame, empty, [1], config), frame)
  full = lucid.inpaint(frame, np.ones(SIZE, np.uint8), [1], config)
  np.testing.assert_allclose(full[0, 0], frame.mean(axis=(0, 1)), atol=0.51)
  assert (full == full[0, 0]).all()


def test_split_keeps_what_stays_and_passes_over_absent_ids():
  labels = ellipse() + ellipse(center=(40, 30), axes=(8, 8), value=5)
  frame = scene(labels)
  background, staying, cutouts = lucid.split(
    frame, labels, [1, 9], STILL, generator()
  )
  assert [c.object_id for c in cutouts] == [1]
  np.testing.assert_array_equal(staying, np.where(labels == 5, 5, 0))
  np.testing.assert_array_equal(background[labels == 5], frame[labels == 5])
  cutout = cutouts[0]
  rows = slice(cutout.top, cutout.top + cutout.image.shape[0])
  columns = slice(cutout.left, cutout.left + cutout.image.shape[1])
  np.testing.assert_array_equal(
    cutout.image[..., 3] == 255, labels[rows, columns] == 1
  )


def test_mirror_takes_background_and_staying_objects():
  labels = ellipse() + ellipse(center=(40, 30), axes=(8, 8), value=5)
  frame = scene(labels)
  config = dataclasses.replace(STILL, mirror_probability=1.0)
  plain = lucid.split(frame, labels, [1], STILL, generator())
  mirrored = lucid.split(frame, labels, [1], config, generator())
  np.testing.assert_array_equal(plain[0][:, ::-1], mirrored[0])
  np.testing.assert_array_equal(plain[1][:, ::-1], mirrored[1])
  np.testing.assert_array_equal(plain[2][0].image, mirrored[2][0].image)


# --- 3. Object motion. -------------------------------------------------------


def whole(mask):
  """Whether a shape is nowhere at the picture's border."""
  edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
  return mask.any() and not any(edge.any() for edge in edges)


def poses(config, seeds, targets=0):
  """Poses of the tracks whose object is whole in every frame."""
  for seed in seeds:
    masks, size = track(config, targets, seed)
    if all(map(whole, masks)):
      yield [pose(mask) for mask in masks], size


def test_scale_and_rotation_are_in_their_ranges():
  config = dataclasses.replace(STILL, scale=(0.85, 1.15), rotation=30.0)
  _, area, angle = pose(ellipse())
  found = [p[0] for p, _ in poses(config, range(300))]
  assert len(found) > 60
  scales = [np.sqrt(p[1] / area) for p in found]
  assert_covers(scales, 0.85, 1.15, slack=0.01)
  turns = [(p[2] - angle + 90) % 180 - 90 for p in found]
  assert_covers(turns, -30, 30, slack=1.0)


def test_placement_is_anywhere():
  places = []
  for seed in range(300):
    rng = generator(seed)
    labels = ellipse(axes=(3, 3))
    frame = scene(labels)
    _, _, (cutout,) = lucid.split(frame, labels, [1], STILL, rng, frame)
    (layer,) = lucid.move_object(cutout, SIZE, 1.0, STILL, rng, 0)
    mask = np.zeros(SIZE, np.uint8)
    rows, columns = layer.image.shape[:2]
    mask[layer.top : layer.top + rows, layer.left : layer.left + columns] = (
      layer.image[..., 3] > 127
    )
    places.append(pose(mask)[0])
  places = np.array(places)
  assert_covers(places[:, 0], 0, SIZE[1] - 1, slack=0)
  assert_covers(places[:, 1], 0, SIZE[0] - 1, slack=0)
  np.testing.assert_allclose(places.mean(axis=0), (119.5, 79.5), atol=12)


def test_shift_between_frames_is_in_its_range():
  config = dataclasses.replace(STILL, next_shift=0.05)
  shifts = []
  for (first, second, third), size in poses(config, range(150), targets=2):
    shifts += list((second[0] - first[0]) / size)
    shifts += list((third[0] - second[0]) / size)
  assert len(shifts) > 100
  # Masks of an object that only shifts move by whole pixels.
  assert_covers(shifts, -0.05, 0.05, slack=0.6 / size)


def outline_distance(a, b):
  """Largest distance of a pixel of mask a's outline from mask b's, pixels."""

  def line(mask):
    return cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))

  away = cv2.distanceTransform(1 - line(b), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
  return away[line(a) > 0].max()


def test_splines_bend_within_their_range():
  reference = dataclasses.replace(STILL, spline_probability=1.0, spline=0.05)
  following = dataclasses.replace(STILL, next_spline=0.05)
  bends, next_bends, coins = [], [], 0
  for seed in range(120):
    (rigid,), size = track(STILL, 0, seed)
    (bent,), _ = track(reference, 0, seed)
    first, second = track(following, 1, seed)[0]
    half = dataclasses.replace(reference, spline_probability=0.5)
    coins += (track(half, 0, seed)[0][0] != rigid).any()
    if whole(bent) and whole(rigid) and whole(second):
      bends.append(outline_distance(bent, rigid) / size)
      next_bends.append(outline_distance(second, first) / size)
      np.testing.assert_array_equal(first, rigid)
  assert 40 < coins < 80
  for found in (bends, next_bends):
    # A corner of the +-5 % square is at 7.1 %; half a pixel of rounding, and
    # between its points a spline may overshoot a little.
    assert max(found) < 0.05 * np.sqrt(2) * 1.25 + 1 / size
    assert np.median(found) > 0.03


def test_small_objects_are_not_blown_up():
  labels = np.zeros(SIZE, np.uint8)
  labels[50:53, 60:63] = 1
  config = dataclasses.replace(lucid.LucidConfig(), merge='feather')
  for seed in range(40):
    for mask in track(config, 2, seed, labels)[0]:
      assert mask.sum() <= 3.5**2 * 1.15**2


@pytest.mark.parametrize('side', ['left', 'top', 'right', 'bottom'])
def test_a_cut_object_stays_cut_by_the_same_border(side):
  center = {
    'left': (0, 80), 'top': (120, 0), 'right': (239, 80), 'bottom': (120, 159),
  }[side]  # fmt: skip
  labels = ellipse(center=center, axes=(30, 30))
  edge = {
    'left': np.s_[:, 0], 'top': np.s_[0], 'right': np.s_[:, -1],
    'bottom': np.s_[-1],
  }[side]  # fmt: skip
  config = lucid.LucidConfig()
  for seed in range(30):
    for mask in track(config, 2, seed, labels)[0]:
      if mask.any():
        assert mask[edge].any()
        # The half disk is never seen to end in a straight line: where the
        # border cuts it, it goes on to it.
        assert mask[edge].sum() >= 0.5 * min(60, cv2.boundingRect(mask)[
          3 if side in ('left', 'right') else 2
        ])  # fmt: skip


# --- 4. Camera. --------------------------------------------------------------


def decompose(matrix):
  """Scale and degrees of a similarity."""
  linear = matrix[:, :2]
  return np.sqrt(np.linalg.det(linear)), np.rad2deg(
    np.arctan2(linear[1, 0], linear[0, 0])
  )


def test_camera_motion_is_in_its_ranges():
  config = lucid.LucidConfig()
  turns, scales, shifts, bases = [], [], [], []
  middle = np.array([[(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]])
  for seed in range(400):
    a, b = lucid.camera_path(SIZE, SIZE, 1.0, config, generator(seed))
    (scale_a, turn_a), (scale_b, turn_b) = decompose(a), decompose(b)
    bases.append(turn_a)
    turns.append(turn_b - turn_a)
    scales.append(scale_b / scale_a)
    # The point in the middle of the second view, as the first view saw it.
    seen = cv2.invertAffineTransform(b)
    moved = warp.apply(a, warp.apply(seen, middle)) - middle
    shifts.append((moved / (SIZE[1], SIZE[0]))[0])
  assert_covers(turns, -3, 3, slack=1e-6)
  assert_covers(scales, 0.95, 1.05, slack=1e-6)
  shifts = np.array(shifts)
  # The shift is along the picture's axes, the view is turned by up to 30.
  assert np.abs(shifts).max() <= 0.05 * 1.75
  upright = shifts[np.array(bases) == 0]
  assert_covers(upright.ravel(), -0.05, 0.05, slack=1e-6)
  assert 0.4 < np.mean(np.array(bases) != 0) < 0.6
  assert_covers(bases, -30, 30, slack=1e-6)


@pytest.mark.parametrize(
  ('source', 'size'),
  [
    (SIZE, SIZE),
    ((90, 300), (200, 100)),
    ((301, 17), (33, 65)),
    ((2, 2), (9, 5)),
  ],
)
def test_camera_never_sees_a_border(source, size):
  config = lucid.LucidConfig()
  scale = max(size[0] / source[0], size[1] / source[1])
  last = np.array([source[1] - 1, source[0] - 1])
  corners = np.array(
    [(x, y) for x in (0, size[1] - 1) for y in (0, size[0] - 1)], np.float64
  )
  for seed in range(100):
    path = lucid.camera_path(source, size, scale, config, generator(seed), 2)
    assert len(path) == 3
    for matrix in path:
      seen = warp.apply(cv2.invertAffineTransform(matrix), corners)
      assert (seen > -1e-6).all()
      assert (seen < last + 1e-6).all()


def test_staying_objects_move_with_the_picture():
  labels = ellipse(value=9)
  background = scene(labels)
  config = lucid.LucidConfig()
  for seed in range(20):
    for picture, ids in lucid.move_camera(
      background, labels, SIZE, 1.0, config, generator(seed)
    ):
      assert set(np.unique(ids)) <= {0, 9}
      assert_same_outline(picture[..., 0] > 140, ids == 9)


def assert_same_outline(shown, mask):
  """The two shapes differ by less than a pixel, everywhere."""
  mask = np.ascontiguousarray(mask).view(np.uint8)
  # Pixels next to the outline, on either side, are less than a pixel away.
  sure = ~blending.outline_band(mask, 1)
  np.testing.assert_array_equal(shown[sure], mask[sure] > 0)


# --- 5. Merge. ---------------------------------------------------------------


@pytest.mark.parametrize('merge', lucid.MERGES)
def test_object_and_label_have_the_same_outline(merge):
  config = dataclasses.replace(
    lucid.LucidConfig(), merge=merge, illumination_probability=0.0, feather=0.5
  )
  labels = ellipse(axes=(40, 25))
  frame = scene(labels)
  for seed in range(20):
    dream = lucid.dream(frame, labels, generator(seed), config)
    pairs = [
      (dream.reference_frame, dream.reference_labels),
      (dream.frames[0], dream.labels[0]),
    ]
    for picture, mask in pairs:
      shown = picture[..., 0] > 140
      if merge == 'feather':
        assert_same_outline(shown, mask == 1)
      else:  # The band's colours are neither the object's nor the background's.
        inside = np.ascontiguousarray(mask == 1).view(np.uint8)
        sure = ~blending.outline_band(inside, config.band)
        np.testing.assert_array_equal(shown[sure], inside[sure] > 0)


def test_band_blending_changes_nothing_outside_the_band():
  rng = generator()
  background, foreground = rng.integers(0, 256, (2, *SIZE, 3), np.uint8)
  mask = ellipse(center=(10, 80), axes=(40, 20))  # Over the border, too.
  found = blending.poisson_band(background, foreground, mask * np.uint8(255), 3)
  band = blending.outline_band(mask, 3)
  assert not blending.thin_parts(mask, 3).any()
  pasted = np.where(mask[..., None] > 0, foreground, background)
  np.testing.assert_array_equal(found[~band], pasted[~band])
  assert (found[band] != pasted[band]).mean() > 0.5
  outline = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
  assert outline[band].max() <= 3.5
  assert not band[70:90, 0].any()  # The picture's border is no outline.


def dense_poisson(background, foreground, mask, band):
  """The same equations as a full matrix, pixel by pixel."""
  number = {tuple(p): k for k, p in enumerate(np.argwhere(band))}
  pasted = np.where(mask[..., None] > 0, foreground, background).astype(float)
  front, back = foreground.astype(float), background.astype(float)
  matrix = np.zeros((len(number), len(number)))
  right = np.zeros((len(number), 3))
  for p, k in number.items():
    for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
      q = (p[0] + step[0], p[1] + step[1])
      if not (0 <= q[0] < mask.shape[0] and 0 <= q[1] < mask.shape[1]):
        continue
      matrix[k, k] += 1
      if mask[p] == mask[q]:
        right[k] += pasted[p] - pasted[q]
      else:
        right[k] += (front[p] - front[q] + back[p] - back[q]) / 2
      if q in number:
        matrix[k, number[q]] -= 1
      else:
        right[k] += pasted[q]
  pasted[band] = np.linalg.solve(matrix, right)
  return np.clip(pasted, 0, 255)


def test_band_blending_solves_the_poisson_equation():
  rng = generator(1)
  background, foreground = rng.integers(90, 160, (2, 24, 30, 3), np.uint8)
  mask = ellipse((24, 30), (3, 12), (9, 7), 0)
  expected = dense_poisson(
    background, foreground, mask, blending.outline_band(mask, 2)
  )
  found = blending.poisson_band(background, foreground, mask * np.uint8(255), 2)
  np.testing.assert_allclose(found, expected, atol=0.75)  # Rounded to uint8.


def test_band_blending_removes_the_step_at_the_outline():
  background = np.full((*SIZE, 3), 100, np.uint8)
  foreground = np.full((*SIZE, 3), 180, np.uint8)
  found = blending.poisson_band(background, foreground, ellipse(value=255), 3)
  row = found[80, 60:120, 0].astype(int)
  assert row[0] == 100
  assert row[-1] == 180
  assert np.abs(np.diff(row)).max() < 30  # 80 where it is only pasted.


def test_thin_parts_keep_their_colours():
  """A wheel's spokes would dissolve in a band that is wider than they are."""
  background = np.full((*SIZE, 3), 100, np.uint8)
  foreground = np.full((*SIZE, 3), 180, np.uint8)
  alpha = ellipse(value=255)
  alpha[20:24, 30:200] = 255
  found = blending.poisson_band(background, foreground, alpha, 3)
  assert (found[20:24, 30:200] == 180).all()
  assert (found[10:20, 30:200] == 100).all()
  assert (np.abs(np.diff(found[80, 60:120, 0].astype(int))) < 30).all()


def test_later_layers_cover_earlier_ones():
  first, second = ellipse(), ellipse(angle=110, value=2)
  labels = np.where(first > 0, first, second)
  frame = scene(labels)
  rng = generator()
  still = dataclasses.replace(STILL)
  _, _, cutouts = lucid.split(frame, labels, [1, 2], still, rng)
  layers = [
    lucid.Layer(c.object_id, c.image, c.left, c.top) for c in cutouts
  ]  # fmt: skip
  both = first.astype(bool) & (ellipse(angle=110) > 0)
  top = lucid.Layer(2, layers[0].image, layers[0].left, layers[0].top)
  empty = np.zeros(SIZE, np.uint8)
  _, ids = lucid.merge(frame, empty, [layers[0], top], still)
  assert (ids[both] == 2).all()
  assert (ids != 1).all()


# --- Previous mask. ----------------------------------------------------------


def test_previous_mask_is_dilated_and_bent():
  labels = ellipse()
  config = dataclasses.replace(STILL, mask_dilation=5)
  np.testing.assert_array_equal(
    lucid.previous_labels(labels, config, generator()),
    cv2.dilate(labels, blending.disk(5)),
  )
  config = dataclasses.replace(STILL, mask_spline=0.05)
  _, _, width, height = cv2.boundingRect(labels)
  size = np.sqrt(width * height)
  found = [
    outline_distance(
      lucid.previous_labels(labels, config, generator(seed)), labels
    ) / size
    for seed in range(60)
  ]  # fmt: skip
  assert max(found) < 0.05 * np.sqrt(2) * 1.25 + 1 / size
  assert np.median(found) > 0.03


def test_previous_masks_keep_their_ids_where_they_meet():
  labels = np.zeros(SIZE, np.uint8)
  labels[60:100, 60:118] = 3
  labels[60:100, 122:180] = 200
  config = dataclasses.replace(STILL, mask_dilation=5)
  found = lucid.previous_labels(labels, config, generator())
  np.testing.assert_array_equal(found[labels > 0], labels[labels > 0])
  assert set(np.unique(found)) == {0, 3, 200}
  assert (found > 0).sum() > (labels > 0).sum()


# --- All of it. --------------------------------------------------------------


def three_objects():
  labels = ellipse(center=(60, 50), value=3)
  labels = np.maximum(labels, ellipse(center=(170, 60), angle=80, value=7))
  return np.maximum(labels, ellipse(center=(110, 130), angle=0, value=200))


def test_a_dream_has_the_stated_form_and_ids():
  labels = three_objects()
  frame = scene(labels)
  seen, moved = set(), 0
  for seed in range(12):
    dream = lucid.dream(frame, labels, generator(seed), targets=3)
    assert dream.reference_frame.shape == (*SIZE, 3)
    assert dream.frames.shape == (3, *SIZE, 3)
    assert dream.labels.shape == (3, *SIZE)
    assert dream.previous_labels.shape == SIZE
    for name in ('reference_labels', 'labels', 'previous_labels'):
      array = getattr(dream, name)
      assert array.dtype == np.uint8
      assert set(np.unique(array)) <= {0, 3, 7, 200}
      seen |= set(np.unique(array))
    moved += (dream.labels[0] != dream.labels[1]).any()
  assert seen == {0, 3, 7, 200}
  assert moved == 12


def test_unmoved_objects_keep_their_shape():
  labels = three_objects()
  still = dataclasses.replace(STILL, scale=(0.85, 0.85))
  dream = lucid.dream(
    scene(labels), labels, generator(), still, moving=[7]
  )  # fmt: skip
  hidden = dream.labels[0] == 7
  for i in (3, 200):
    expected = (labels == i) & ~hidden
    np.testing.assert_array_equal(dream.labels[0] == i, expected)


def test_given_background_gives_the_same_dream():
  labels = three_objects()
  frame = scene(labels)
  config = lucid.LucidConfig()
  background = lucid.inpaint(frame, labels, [3, 200], config)
  a = lucid.dream(frame, labels, generator(), config, moving=[3, 200])
  b = lucid.dream(
    frame, labels, generator(), config, moving=[3, 200], background=background
  )
  np.testing.assert_array_equal(a.frames, b.frames)


def digest():
  labels = three_objects()
  dream = lucid.dream(scene(labels), labels, generator(5), targets=2)
  total = hashlib.sha256()
  for field in dataclasses.fields(dream):
    total.update(getattr(dream, field.name).tobytes())
  return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process():
  code = 'from tests import test_lucid; print(test_lucid.digest())'
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == digest()


@pytest.mark.parametrize('merge', lucid.MERGES)
@pytest.mark.parametrize('size', [None, (33, 65), (64, 20)])
@pytest.mark.parametrize('kind', ['empty', 'pixel', 'line', 'full', 'corner'])
def test_no_mask_is_refused(kind, size, merge):
  labels = np.zeros((40, 50), np.uint8)
  if kind == 'pixel':
    labels[20, 20] = 1
  elif kind == 'line':
    labels[20, 5:40] = 1
  elif kind == 'full':
    labels[:] = 1
  elif kind == 'corner':
    labels[:2, :2] = 1
  config = dataclasses.replace(lucid.LucidConfig(), merge=merge)
  for seed in range(8):
    dream = lucid.dream(
      scene(labels), labels, generator(seed), config, size=size
    )
    assert dream.frames.shape == (1, *(size or (40, 50)), 3)
    if kind == 'empty':
      assert not dream.labels.any()
      assert not dream.previous_labels.any()
    if kind == 'full':
      assert dream.reference_labels.mean() > 0.2


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (3, 200), (300, 7)])
def test_frames_of_any_size(shape):
  labels = np.zeros(shape, np.uint8)
  labels[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = 4
  for seed in range(5):
    dream = lucid.dream(scene(labels), labels, generator(seed))
    assert dream.frames.shape == (1, *shape, 3)
    assert dream.labels.max(initial=0) in (0, 4)


def test_nothing_is_black_at_the_border():
  """White everywhere but for the object: no dark pixel may come in."""
  labels = ellipse()
  frame = np.full((*SIZE, 3), 255, np.uint8)
  frame[labels > 0] = (255, 120, 120)
  config = dataclasses.replace(
    lucid.LucidConfig(), illumination_probability=0.0
  )
  for seed in range(30):
    dream = lucid.dream(frame, labels, generator(seed), config)
    assert dream.reference_frame.min() >= 110
    assert dream.frames.min() >= 110


def test_zoom_and_a_smaller_output():
  labels = ellipse((480, 720), (360, 240), (60, 60), 0)
  frame = scene(labels)
  areas = {}
  for zoom in (1.0, 1.5):
    found = [
      lucid.dream(
        frame, labels, generator(seed), STILL, size=SIZE, zoom=zoom
      ).labels[0]
      for seed in range(12)
    ]
    areas[zoom] = max((mask > 0).sum() for mask in found)
  # A third of the size: a ninth of the area, times the zoom's square.
  np.testing.assert_allclose(areas[1.0], (labels > 0).sum() / 9, rtol=0.03)
  np.testing.assert_allclose(areas[1.5] / areas[1.0], 1.5**2, rtol=0.03)


def test_sizes_that_differ_are_refused():
  labels = ellipse()
  frame = scene(labels)
  with pytest.raises(ValueError, match='sizes differ'):
    lucid.dream(frame, labels[1:], generator())
  with pytest.raises(ValueError, match='sizes differ'):
    lucid.dream(frame, labels, generator(), background=frame[1:])
  with pytest.raises(ValueError, match='zoom'):
    lucid.dream(frame, labels, generator(), zoom=0.5)
