"""Boxes and points: how they are written, and what they may not be."""

import pytest

from savos_jax.foundation import errors
from savos_jax.video import prompts
from savos_jax.video.prompts import Prompt

SIZE = (40, 60)


def test_boxes_and_points_as_they_are_written():
  assert prompts.of_box('1,2,30,40.5') == prompts.Given(
    Prompt((1, 2, 30, 40.5))
  )
  assert prompts.of_box('3:1,2,30,40@cat_007') == prompts.Given(
    Prompt((1, 2, 30, 40)), 3, 'cat_007'
  )
  assert prompts.of_points('2:5,6+7,8-9,10-1.5,2@30') == prompts.Given(
    Prompt(inside=((5, 6), (7, 8)), outside=((9, 10), (1.5, 2))), 2, '30'
  )
  assert prompts.of_points('-5,6').prompt.outside == ((5, 6),)


@pytest.mark.parametrize(
  ('read', 'text', 'expected'),
  [
    (prompts.of_box, '', 'not a box'),
    (prompts.of_box, '1,2,3', 'not a box'),
    (prompts.of_box, '-1,2,3,4', 'not a box'),
    (prompts.of_box, 'nan,2,3,4', 'not a box'),
    (prompts.of_box, '1,2,3,4,5', 'not a box'),
    (prompts.of_box, '1,2,3,4@', 'not a box'),
    (prompts.of_box, '5,2,3,4', 'the box 5,2,3,4 has no area'),
    (prompts.of_box, '3,4,5,4', 'no area'),
    (prompts.of_box, '0:1,2,3,4', 'object 0.*\n.*1 to 254'),
    (prompts.of_box, '255:1,2,3,4', 'object 255'),
    (prompts.of_points, '1,2;3,4', 'not points'),
    (prompts.of_points, '1,2+3', 'not points'),
    (prompts.of_points, '1 2', 'not points'),
    (prompts.of_points, 'inf,2', 'not points'),
  ],
)
def test_what_is_written_wrongly(read, text, expected):
  with pytest.raises(errors.SavosError, match=expected):
    read(text)


@pytest.mark.parametrize(
  ('prompt', 'expected'),
  [
    (lambda: Prompt((0, 0, 61, 40)), '0,0,61,40 extends beyond.*\n.*60x40'),
    (lambda: Prompt((0, -1, 60, 40)), 'extends beyond'),
    (lambda: Prompt((70, 50, 80, 60)), 'extends beyond'),
    (lambda: Prompt(inside=((60, 5),)), 'point 60,5 is outside'),
    (lambda: Prompt(inside=((6, 5),), outside=((6, -1),)), 'point 6,-1'),
    (lambda: Prompt(outside=((6, 5),)), 'no box and no point on the object'),
    (lambda: Prompt((0, 0, float('nan'), 40)), 'not a number'),
    (lambda: Prompt(inside=((float('inf'), 4),)), 'not a number'),
  ],
)
def test_what_is_not_in_the_frame(prompt, expected):
  with pytest.raises(errors.SavosError, match=expected):
    prompt().check(SIZE)
  Prompt((0, 0, 60, 40), ((59, 39),), ((0, 0),)).check(SIZE)


def test_objects_are_numbered_in_order_and_what_is_of_one_is_joined():
  given = [
    prompts.of_box('0,0,9,9'),
    prompts.of_points('1:2,2-3,3@0'),
    prompts.of_points('1,1@7'),
    prompts.of_box('9:0,0,9,9@7'),
  ]
  found = prompts.by_frame(given, lambda name: int(name or 0))
  assert found == {
    0: {1: Prompt((0, 0, 9, 9), ((2, 2),), ((3, 3),))},
    7: {2: Prompt(inside=((1, 1),)), 9: Prompt((0, 0, 9, 9))},
  }
  with pytest.raises(errors.SavosError, match='two boxes of one object'):
    prompts.by_frame([given[0], prompts.of_box('1:0,0,5,5')], lambda name: 0)
