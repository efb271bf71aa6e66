"""Masks out of boxes and points, on drawn frames."""

import cv2
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.video import grab_cut
from savos_jax.video.prompts import Prompt

SIZE = (90, 120)
RED, BLUE = (190, 60, 50), (40, 70, 200)


def ellipse(centre, axes, size=SIZE):
  drawn = np.zeros(size, np.uint8)
  cv2.ellipse(drawn, centre, axes, 20, 0, 360, 1, cv2.FILLED)
  return drawn.view(bool)


LEFT, RIGHT = ellipse((40, 45), (24, 15)), ellipse((90, 40), (12, 22))


def scene(*objects):
  """Returns a noisy frame, green but for the (mask, colour) in it."""
  size = objects[0][0].shape if objects else SIZE
  frame = np.full((*size, 3), (70, 120, 60), np.int16)
  for mask, colour in objects:
    frame[mask] = colour
  noise = np.random.default_rng(0).normal(0, 12, frame.shape)
  return np.clip(frame + noise, 0, 255).astype(np.uint8)


def box(mask, margin=2):
  rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
  return (
    max(0, columns[0] - margin), max(0, rows[0] - margin),
    min(mask.shape[1], columns[-1] + margin + 1),
    min(mask.shape[0], rows[-1] + margin + 1),
  )  # fmt: skip


def iou(found, mask):
  return (found & mask).sum() / (found | mask).sum()


def test_a_box_and_points():
  frame = scene((LEFT, RED))
  assert iou(grab_cut.mask(frame, Prompt(box(LEFT))), LEFT) > 0.9
  for inside in (((40, 45),), ((30, 42), (50, 48))):
    assert iou(grab_cut.mask(frame, Prompt(inside=inside)), LEFT) > 0.9


def test_points_outside_take_away_and_points_inside_add():
  both = scene((LEFT, RED), (RIGHT, RED))
  around = Prompt(box(LEFT | RIGHT))
  assert iou(grab_cut.mask(both, around), LEFT | RIGHT) > 0.9
  kept = Prompt(around.box, inside=((40, 45),))
  assert iou(grab_cut.mask(both, kept), LEFT) > 0.9
  halves = scene((LEFT, RED), (LEFT & (np.arange(120) > 42), BLUE))
  red = LEFT & (np.arange(120) <= 42)
  one = grab_cut.mask(
    halves, Prompt(box(LEFT), ((30, 45),), ((50, 45), (60, 45)))
  )
  assert iou(one, red) > 0.9


def test_several_objects_are_each_others_outside():
  frame = scene((LEFT, RED), (RIGHT, RED))
  objects = {7: Prompt(inside=((40, 45),)), 3: Prompt(box(RIGHT))}
  labels = grab_cut.labels(frame, objects)
  assert labels.dtype == np.uint8
  assert sorted(np.unique(labels)) == [0, 3, 7]
  assert iou(labels == 7, LEFT) > 0.9
  assert iou(labels == 3, RIGHT) > 0.9


def test_where_two_are_found_the_smaller_one_is():
  inner = ellipse((40, 45), (7, 7))
  frame = scene((LEFT, RED), (inner, BLUE))
  objects = {1: Prompt(box(LEFT)), 2: Prompt(box(inner))}
  for order in (objects, dict(reversed(objects.items()))):
    labels = grab_cut.labels(frame, order)
    assert iou(labels == 2, inner) > 0.9
    assert iou(labels == 1, LEFT & ~inner) > 0.9


def test_the_same_however_often_and_whatever_was_drawn_before():
  frame, prompt = scene((LEFT, RED)), Prompt((10, 10, 110, 80))
  first = grab_cut.mask(frame, prompt)
  cv2.randu(np.zeros(9, np.uint8), 0, 255)
  threads = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    np.testing.assert_array_equal(grab_cut.mask(frame, prompt), first)
  finally:
    cv2.setNumThreads(threads)


def test_holes_and_specks_are_gone():
  mask = LEFT.copy()
  mask[44:47, 38:41] = False
  frame = scene((mask, RED))
  frame[73:75, 62:64] = RED
  found = grab_cut.mask(frame, Prompt((8, 10, 70, 80)))
  assert found[44:47, 38:41].all()
  assert not found[72:76, 61:65].any()


@pytest.mark.parametrize('times', [0.2, 12])
def test_of_any_size(times):
  size = tuple(int(side * times) for side in SIZE)
  mask = cv2.resize(LEFT.astype(np.uint8), size[::-1]).view(bool)
  found = grab_cut.mask(scene((mask, RED)), Prompt(box(mask, 1)))
  assert iou(found, mask) > (0.8 if times < 1 else 0.97)


def test_an_object_that_fills_its_box_or_the_frame_ends_well():
  frame = scene((LEFT, RED))
  whole = grab_cut.mask(frame, Prompt((0, 0, 120, 90)))
  assert iou(whole, LEFT) > 0.9
  assert grab_cut.mask(frame, Prompt(inside=((0, 0),))).any()


def test_nothing_found_says_what_to_do():
  flat = np.full((*SIZE, 3), 90, np.uint8)
  with pytest.raises(errors.SavosError, match=r'30,30,60,60.*\n.*--mask'):
    grab_cut.mask(flat, Prompt((30, 30, 60, 60)))
  with pytest.raises(errors.SavosError, match=r'^object 4: the box'):
    grab_cut.labels(flat, {4: Prompt((0, 0, 300, 60))})


def test_an_object_that_others_cover_is_named():
  frame = scene((LEFT, RED))
  same = Prompt(box(LEFT))
  with pytest.raises(errors.SavosError, match='object 1: other objects cover'):
    grab_cut.labels(frame, {1: same, 2: same})
