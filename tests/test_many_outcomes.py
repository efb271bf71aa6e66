"""What is told of the videos of a list."""

import pytest

from savos_jax.foundation import errors
from savos_jax.tools.many import outcomes

Outcome = outcomes.Outcome
SOME = {
  '=1+1': Outcome('done', 12, 3.25),
  'a, b': Outcome('failed', 2, 0.5, 'b.png: "no", such; file'),
  '\u2028': Outcome('incomplete', 7, 100.0, '+x'),
  'new': Outcome(),
}


def test_the_table_is_read_again():
  text = outcomes.to_csv(SOME)
  assert text.startswith("video,status,frames,seconds,message\n'=1+1,done,12,")
  found = outcomes.from_csv(text, [*SOME, 'another'])
  assert found['=1+1'] == Outcome('done', 12, 3.2)
  assert found['a, b'] == SOME['a, b']
  assert found['\u2028'].frames == 7
  assert found['new'] == found['another'] == Outcome()
  damaged = text.replace(',12,', ',twelve,').replace('0.5', 'nan')
  assert outcomes.from_csv(damaged, ['=1+1', 'a, b']) == {
    '=1+1': Outcome(), 'a, b': Outcome(),
  }  # fmt: skip


def test_seconds_are_of_all_runs():
  found = Outcome('done', 5, 2.0).after(Outcome('incomplete', 3, 1.5, 'x'))
  assert found == Outcome('done', 5, 3.5)


def test_what_is_printed_steers_no_terminal():
  line = outcomes.line('a\x1b[2J', Outcome('failed', 0, 1.0, 'b\x07'))
  assert line == 'a\\x1b[2J: failed, 0 frames, 1.0 s: b\\x07'
  table = outcomes.table(SOME).split('\n')
  assert len({line.find('  ', 12) for line in table[:1]}) == 1
  assert table[0].split() == ['video', 'status', 'frames', 'seconds', 'message']
  assert len(table) == 1 + len(SOME)


def test_how_a_list_ends():
  done = {'a': SOME['=1+1']}
  outcomes.raise_if_not_whole(done, 'summary.csv')
  with pytest.raises(errors.Incomplete, match='1 of 2 videos: incomplete: b'):
    outcomes.raise_if_not_whole({**done, 'b': SOME['\u2028']}, 'summary.csv')
  with pytest.raises(
    errors.SavosError, match='1 of 4 videos: failed: a, b'
  ) as told:
    outcomes.raise_if_not_whole(SOME, 'summary.csv')
  assert not isinstance(told.value, errors.Incomplete)
