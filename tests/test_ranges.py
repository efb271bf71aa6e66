"""Rules of fields: what they allow, and how they say it."""

import dataclasses

import pytest

from savos_jax.foundation import ranges

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
  ('rule', 'allowed', 'refused', 'expected'),
  [
    (
      ranges.whole(1, 20_000, of='steps'),
      [1, 20_000],
      [0, 20_001, -1, 1.0, True, '1', None, NAN, (1,), 10**400],
      'a whole number of steps from 1 to 20_000',
    ),
    (
      ranges.number(0, 0.5),
      [0, 0.0, 0.5, 1e-300],
      [-1e-9, 0.5001, 1, NAN, INF, -INF, False, '0.1', None, 10**400],
      'a number from 0 to 0.5',
    ),
    (
      ranges.number(0, 1, above=True, below=True),
      [0.5, 1e-9],
      [0, 1, 0.0, NAN],
      'a number above 0, below 1',
    ),
    (
      ranges.number(1, 4, zero='the frame'),
      [0, 0.0, 1, 4.0],
      [0.5, -1, False, 5],
      'a number from 1 to 4, or 0 for the frame',
    ),
    (
      ranges.whole(1, 7, odd=True),
      [1, 3, 7],
      [0, 2, 9, -1],
      'an odd number from 1 to 7',
    ),
    (
      ranges.choice('a', 'b'),
      ['a', 'b'],
      ['c', '', 'ab', None, 0],
      "one of 'a', 'b'",
    ),
    (
      ranges.choice((1, 1), (0, 1)),
      [(1, 1)],
      [(1.0, 1), (True, True), [1, 1], (1, 0), 1],
      'one of (1, 1), (0, 1)',
    ),
    (ranges.Switch(), [True, False], [0, 1, 'True', None], 'True or False'),
    (ranges.Text(), ['a', 'a/b c'], ['', ' ', None, 1, b'a'], 'a text'),
    (
      ranges.Text(empty='none of them', none=True, name=True),
      ['', None, 'ä b', '480p'],
      ['a/b', 'a\\b', '..', 'a\n', ' '],
      "a name without / and \\, or '' for none of them, or None",
    ),
    (
      ranges.items(ranges.whole(1, 9), 2),
      [(1, 9), (9, 1)],
      [(1,), (1, 2, 3), (0, 1), (1.0, 1), [1, 2], 1, None, ('1', 2)],
      'a tuple of 2 values, each a whole number from 1 to 9',
    ),
    (
      ranges.items(ranges.Text()),
      [(), ('a',), ('a', 'a')],
      ['a', ('',), (None,), [], {'a'}],
      'a tuple of any number of values, each a text',
    ),
    (
      ranges.items(ranges.choice('a'), least=1),
      [('a',), ('a', 'a')],
      [(), ('b',)],
      "a tuple of 1 or more values, each one of 'a'",
    ),
    (
      ranges.ascending(0, 2, above=True),
      [(0.1, 0.1), (1, 2)],
      [(2, 1), (0, 1), (1, 3), (1,), (1, NAN), (NAN, 1), (True, 2)],
      'a tuple of 2 ascending values, each a number above 0, at most 2',
    ),
  ],
)
def test_rules(rule, allowed, refused, expected):
  assert [value for value in allowed if not rule.allows(value)] == []
  assert [value for value in refused if rule.allows(value)] == []
  assert rule.expected == expected


@dataclasses.dataclass(frozen=True)
class Options:
  """Of a test."""

  share: float = ranges.field(0.5, ranges.SHARE, 'of the whole')
  count: int = ranges.field(1, ranges.whole(1, 3))
  any_thing: object = None

  def __post_init__(self):
    """As all of them."""
    ranges.check_fields(self)


def test_a_dataclass_checks_its_fields():
  assert set(ranges.rules_of(Options)) == {'share', 'count'}
  assert Options(share=1, any_thing=NAN).share == 1
  with pytest.raises(ValueError) as caught:
    Options(share=2.0)
  assert str(caught.value) == 'share is 2.0.\n  Expected a number from 0 to 1.'
  with pytest.raises(ValueError, match=r"^count is '1'\.\n"):
    dataclasses.replace(Options(), count='1')
