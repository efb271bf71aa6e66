"""Lucid dreaming: merging, and the previous mask."""

import dataclasses

import cv2
import numpy as np
import pytest

from savos_jax.data import lucid
from savos_jax.data.lucid import blending
from tests import lucid_scenes

STILL = lucid_scenes.STILL
SIZE = lucid_scenes.SIZE
generator = lucid_scenes.generator
ellipse = lucid_scenes.ellipse
scene = lucid_scenes.scene
outline_distance = lucid_scenes.outline_distance
assert_same_outline = lucid_scenes.assert_same_outline


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


@pytest.mark.parametrize('how', lucid.MERGES)
def test_layers_are_merged_as_configured(how):
  """The one that is asked for, with its own width."""
  rng = generator()
  under = rng.integers(0, 256, (40, 50, 3), np.uint8)
  image = np.zeros((20, 30, 4), np.uint8)
  image[..., :3] = rng.integers(0, 256, (20, 30, 3), np.uint8)
  image[4:16, 5:25, 3] = 255
  layer = lucid.Layer(3, image, left=10, top=8)
  config = dataclasses.replace(
    lucid.LucidConfig(), merge=how, band=1, feather=2.0
  )
  found, labels = lucid.merge(
    under, np.zeros((40, 50), np.uint8), [layer], config
  )
  parts = under[8:28, 10:40], image[..., :3].copy(), image[..., 3].copy()
  parts = [np.ascontiguousarray(part) for part in parts]
  expected = {
    'poisson': blending.poisson_band(*parts, 1),
    'feather': blending.feather(*parts, 2.0),
  }
  np.testing.assert_array_equal(found[8:28, 10:40], expected[how])
  assert (expected['poisson'] != expected['feather']).any()
  np.testing.assert_array_equal(np.argwhere(labels == 3).min(0), (12, 15))
