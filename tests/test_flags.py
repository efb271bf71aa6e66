"""Flags of the command line that are made from fields."""

import argparse
import dataclasses

import pytest

from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import flags


@dataclasses.dataclass(frozen=True)
class Options:
  """Of each kind one."""

  count: int = ranges.field(2, ranges.whole(1, 9), 'how many')
  share: float = ranges.field(0.5, ranges.SHARE)
  name: str = ranges.field('none', ranges.Text())
  kind: str = ranges.field('a', ranges.choice('a', 'b'))
  on: bool = ranges.field(True, ranges.Switch())
  pair: tuple[int, int] = ranges.field((1, 2), ranges.ascending(0, 9))
  many: tuple[int, ...] = ranges.field(
    (1,), ranges.items(ranges.whole(0, 9), least=1)
  )

  def __post_init__(self):
    """As all of them."""
    ranges.check_fields(self)


NAMES = [field.name for field in dataclasses.fields(Options)]


def parsed(*arguments, **more):
  parser = argparse.ArgumentParser()
  for name in NAMES:
    flags.add_field(parser, Options, name, **more)
  return parser.parse_args(arguments)


def test_without_a_flag_the_default_holds():
  assert Options(**flags.values(parsed(), NAMES)) == Options()


def test_values_are_of_the_fields_types():
  found = parsed(
    *('--count=3', '--share', '1', '--name=x y', '--kind=b', '--no-on'),
    *('--pair', '3', '4.5', '--many', '7', '8', '9'),
  )
  expected = Options(3, 1.0, 'x y', 'b', False, (3, 4.5), (7, 8, 9))
  assert Options(**flags.values(found, NAMES)) == expected
  assert isinstance(found.share, float)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--count=0'], '--count: 0: expected a whole number from 1 to 9'),
    (['--count=1.5'], '--count: 1.5: expected a whole number'),
    (['--share=nan'], '--share: nan: expected a number from 0 to 1'),
    (['--share=half'], '--share: half: expected a number'),
    (['--name='], '--name: : expected a text'),
    (['--kind=c'], '--kind: invalid choice'),
    (['--pair', '1'], '--pair: expected 2 arguments'),
    (['--many', '1', '10'], '--many: 10: expected a whole number from 0 to 9'),
  ],
)
def test_what_a_field_may_not_be_is_refused(capsys, arguments, message):
  with pytest.raises(SystemExit, match='2'):
    parsed(*arguments)
  assert f'argument {message}' in capsys.readouterr().err


def test_a_flag_may_be_unset_and_called_otherwise():
  parser = argparse.ArgumentParser()
  flags.add_field(
    parser, Options, 'count', called='number', unset='as before', metavar='N'
  )
  assert '--number N how many; default: as before' in ' '.join(
    parser.format_help().split()
  )
  assert flags.values(parser.parse_args([]), ['count']) == {}
  found = parser.parse_args(['--number=4'])
  assert flags.values(found, ['count']) == {'count': 4}


def test_a_sweep_takes_several():
  parser = argparse.ArgumentParser()
  for name in ('count', 'kind'):
    flags.add_field(parser, Options, name, several=True)
  assert parser.parse_args([]) == argparse.Namespace(count=[2], kind=['a'])
  found = parser.parse_args(['--count', '1', '3', '--kind', 'b', 'a'])
  assert found == argparse.Namespace(count=[1, 3], kind=['b', 'a'])


def test_every_field_of_inference_can_be_a_flag():
  parser = argparse.ArgumentParser()
  names = [field.name for field in dataclasses.fields(options.InferenceConfig)]
  for name in names:
    flags.add_field(parser, options.InferenceConfig, name)
  found = flags.values(parser.parse_args([]), names)
  assert options.InferenceConfig(**found) == options.InferenceConfig()
