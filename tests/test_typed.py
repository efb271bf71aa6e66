"""What a file tells is of the right names, types and sizes, or refused."""

import dataclasses

import pytest

from savos_jax.foundation import typed


@dataclasses.dataclass(frozen=True)
class Kind:
  count: int = 1
  share: float = 0.5
  name: str = 'a'
  wanted: bool = False
  sizes: tuple[int, ...] = (1,)

  def __post_init__(self):
    if self.name == 'refused':
      raise ValueError('name is refused')


def test_what_is_right_is_taken():
  told = {'count': 3, 'share': 1, 'wanted': True, 'sizes': [4, 5]}
  assert typed.build(Kind, told) == Kind(3, 1, 'a', True, (4, 5))
  assert typed.build(Kind, {'count': 20_000}, {'count': 20_000}).count == 20_000


@pytest.mark.parametrize(
  ('told', 'message'),
  [
    ([1], r'\[1\]; expected fields and values'),
    (None, 'None; expected'),
    ({'other': 1}, "unknown fields: .'other'"),
    ({'count': True}, 'count is True; expected a whole number'),
    ({'count': 1.0}, 'count is 1.0; expected a whole number'),
    ({'count': 10**9}, 'count is 1000000000; expected .* at most 16384'),
    ({'count': -(10**400)}, 'count is -1000.*; expected .* at most 16384'),
    ({'count': '1'}, "count is '1'"),
    ({'share': float('nan')}, 'share is nan; expected a number'),
    ({'share': float('-inf')}, 'share is -inf'),
    ({'share': None}, 'share is None'),
    ({'wanted': 1}, 'wanted is 1; expected true or false'),
    ({'name': ['a']}, 'name is .*; expected a text'),
    ({'name': 'refused'}, 'name is refused'),
    ({'sizes': 3}, 'sizes is 3; expected a list of at most 16'),
    ({'sizes': [1] * 17}, 'sizes is .*; expected a list of at most 16'),
    ({'sizes': [1, [1]]}, 'sizes is .1.; expected a whole number'),
    ({'x' * 10**6: 1}, 'unknown fields'),
  ],
)
def test_what_is_wrong_is_named(told, message):
  with pytest.raises(ValueError, match=message) as caught:
    typed.build(Kind, told)
  assert len(str(caught.value)) < 200


def test_json_of_something_else():
  assert typed.from_json('{"a": [1]}') == {'a': [1]}
  for text in ('[]', '3', '', '{"a"', '[' * 10**5, '{"a":' * 10**5):
    with pytest.raises(ValueError):
      typed.from_json(text)


_FORM = {'a': float, 'b?': [(float, None)], 'c?': {str: {'d': str}}, 'e?': int}


@pytest.mark.parametrize(
  ('told', 'found'),
  [
    ({'a': 1}, ''),
    ({'a': 1.5, 'b': [2, None], 'c': {'x': {'d': ''}}, 'other': []}, ''),
    ([], 'it is []'),
    ({}, "it has no 'a'"),
    ({'a': True}, 'a is True'),
    ({'a': None}, 'a is None'),
    ({'a': float('nan')}, 'a is nan'),
    ({'a': 10**400}, 'a is 1000'),
    ({'a': 0, 'b': [1, 'x']}, "b[1] is 'x'"),
    ({'a': 0, 'b': {}}, 'b is {}'),
    ({'a': 0, 'c': {'x': {}}}, "c.x has no 'd'"),
    ({'a': 0, 'c': {'x': {'d': 1}}}, 'c.x.d is 1'),
    ({'a': 0, 'e': 1.0}, 'e is 1.0'),
  ],
)
def test_what_is_not_of_a_form_is_told_with_its_place(told, found):
  assert typed.mismatch(told, _FORM).startswith(found)
  assert bool(typed.mismatch(told, _FORM)) == bool(found)
