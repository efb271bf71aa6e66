"""Rules for the fields of a configuration: type, range and choices.

A rule decides whether a value is allowed and describes what is. Dataclasses
attach one to each field (`field`) and check it in `__post_init__`
(`check_fields`); command line flags are made from the same rules
(`savos_jax.tools.flags`).
"""

from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import Protocol

from savos_jax.foundation import names


class Rule(Protocol):
  """The values that a field may have."""

  @property
  def expected(self) -> str:
    """What is allowed, in words that continue 'Expected'."""

  def allows(self, value: Any) -> bool:
    """Whether a field may have this value, of any type."""


@dataclasses.dataclass(frozen=True)
class Number:
  """A finite number in a range; see `number` and `whole`.

  Attributes:
    low: the lowest.
    high: the highest.
    whole: must be an int.
    odd: must be odd.
    above: excludes `low` itself.
    below: excludes `high` itself.
    of: the unit, in the plural.
    zero: what 0 means if it is allowed in addition to the range; '': 0 has no
      special meaning.
  """

  low: float
  high: float
  whole: bool = False
  odd: bool = False
  above: bool = False
  below: bool = False
  of: str = ''
  zero: str = ''

  @property
  def expected(self) -> str:
    """See `Rule`."""
    kind = 'a whole number' if self.whole else 'a number'
    kind = 'an odd number' if self.odd else kind
    of = f' of {self.of}' if self.of else ''
    low = f'{"above" if self.above else "from"} {_text(self.low)}'
    high = f'below {_text(self.high)}' if self.below else _text(self.high)
    join = ', ' if self.below else ', at most ' if self.above else ' to '
    zero = f', or 0 for {self.zero}' if self.zero else ''
    return f'{kind}{of} {low}{join}{high}{zero}'

  def allows(self, value: Any) -> bool:
    """See `Rule`. A bool is no number."""
    kinds = int if self.whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
      return False
    if self.zero and value == 0:
      return True
    if self.odd and value % 2 != 1:
      return False
    # Neither holds for what is not a number.
    over = value > self.low if self.above else value >= self.low
    return over and (value < self.high if self.below else value <= self.high)


def _text(bound: float) -> str:
  """Writes a bound as Python reads it: 10_000_000, 0.25."""
  return f'{int(bound):_}' if bound > 9999 else f'{bound:g}'


def number(low: float, high: float, **more: Any) -> Number:
  """Returns the rule for a number in a range; `more`: see `Number`."""
  return Number(low, high, **more)


def whole(low: int, high: int, **more: Any) -> Number:
  """Returns the rule for an int from `low` to `high`; `more`: see `Number`."""
  return Number(low, high, whole=True, **more)


# A share or a probability.
SHARE = number(0, 1)


@dataclasses.dataclass(frozen=True)
class Choice:
  """One of a few values.

  Attributes:
    values: the allowed values.
  """

  values: tuple[Any, ...]

  @property
  def expected(self) -> str:
    """See `Rule`."""
    return f'one of {", ".join(map(repr, self.values))}'

  def allows(self, value: Any) -> bool:
    """See `Rule`."""
    # (True, 1.0) == (1, 1), but it isn't what was meant.
    return repr(value) in map(repr, self.values)


def choice(*values: Any) -> Choice:
  """Returns the rule for one of these values."""
  return Choice(values)


@dataclasses.dataclass(frozen=True)
class Switch:
  """On or off."""

  @property
  def expected(self) -> str:
    """See `Rule`."""
    return 'True or False'

  def allows(self, value: Any) -> bool:
    """See `Rule`."""
    return isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Text:
  """A string, such as a path or a name.

  Attributes:
    empty: what '' means if it is allowed.
    none: whether it may be None, which means not set.
    name: whether it must be usable as a path component.
  """

  empty: str = ''
  none: bool = False
  name: bool = False

  @property
  def expected(self) -> str:
    """See `Rule`."""
    none = ', or None' if self.none else ''
    empty = f", or '' for {self.empty}" if self.empty else ''
    kind = 'a name without / and \\' if self.name else 'a text'
    return f'{kind}{empty}{none}'

  def allows(self, value: Any) -> bool:
    """See `Rule`."""
    if value is None:
      return self.none
    if not isinstance(value, str):
      return False
    if not value:
      return bool(self.empty)
    return names.is_name(value) if self.name else bool(value.strip())


@dataclasses.dataclass(frozen=True)
class Items:
  """A tuple; see `items` and `ascending`.

  Attributes:
    each: the rule for each value.
    least: smallest number of values.
    most: largest number of values; None: no limit.
    rising: whether values must not decrease.
  """

  each: Rule
  least: int
  most: int | None = None
  rising: bool = False

  @property
  def expected(self) -> str:
    """See `Rule`."""
    count = f'{self.least} or more' if self.least else 'any number of'
    count = f'{self.least}' if self.least == self.most else count
    rising = ' ascending' if self.rising else ''
    return f'a tuple of {count}{rising} values, each {self.each.expected}'

  def allows(self, value: Any) -> bool:
    """See `Rule`."""
    if not isinstance(value, tuple) or len(value) < self.least:
      return False
    if self.most is not None and len(value) > self.most:
      return False
    if not all(map(self.each.allows, value)):
      return False
    return not self.rising or list(value) == sorted(value)


def items(each: Rule, count: int | None = None, least: int = 0) -> Items:
  """Returns the rule for a tuple.

  Args:
    each: the rule for each value.
    count: exact number of values; None: any number.
    least: smallest number of values without `count`.
  """
  return Items(each, least if count is None else count, count)


def ascending(low: float, high: float, **more: Any) -> Items:
  """Returns the rule for a pair (lowest, highest); see `Number`."""
  return Items(number(low, high, **more), 2, 2, rising=True)


def field(default: Any, rule: Rule, help: str = '') -> Any:
  """Returns a dataclass field with a rule.

  Args:
    default: the default value.
    rule: the rule for its value.
    help: describes it in the help of the flag of this name.
  """
  metadata = {'rule': rule, 'help': help}
  return dataclasses.field(default=default, metadata=metadata)


def rules_of(options: Any) -> dict[str, Rule]:
  """Returns name -> rule for the fields of a dataclass that have one."""
  return {
    field.name: field.metadata['rule']
    for field in dataclasses.fields(options)
    if 'rule' in field.metadata
  }


def check(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> None:
  """Checks values.

  Args:
    rules: name -> rule.
    values: name -> value, for at least the names with a rule.

  Raises:
    ValueError: describes the first value that its rule does not allow.
  """
  for name, rule in rules.items():
    if not rule.allows(values[name]):
      raise ValueError(
        f'{name} is {values[name]!r}.\n  Expected {rule.expected}.'
      )


def check_fields(options: Any) -> None:
  """Checks the fields of a dataclass; call it in `__post_init__`.

  Args:
    options: the instance.

  Raises:
    ValueError: describes the first field whose value its rule does not allow.
  """
  check(rules_of(options), vars(options))
