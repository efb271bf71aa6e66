"""Dataclasses out of what a file tells, which is not believed."""

from collections.abc import Mapping
import dataclasses
import json
import reprlib
from typing import Any
from typing import ClassVar
from typing import Protocol
from typing import TypeVar


class _Dataclass(Protocol):
  __dataclass_fields__: ClassVar[dict[str, Any]]


_Kind = TypeVar('_Kind', bound=_Dataclass)
_MOST = 1 << 14  # Of a number, unless said otherwise.
_LONGEST = 16  # Of a list.
_WORDS = {
  bool: 'true or false',
  int: 'a whole number',
  float: 'a number',
  str: 'a text',
}


def from_json(text: str) -> dict[str, Any]:
  """Reads an object.

  Raises:
    ValueError: it is something else, damaged, or nested without end.
  """
  try:
    told = json.loads(text)
  except RecursionError:
    raise ValueError('nested too deeply') from None
  if not isinstance(told, dict):
    raise ValueError(f'{reprlib.repr(told)}; expected names and values')
  return told


def build(
  kind: type[_Kind], told: Any, most: Mapping[str, float] | None = None
) -> _Kind:
  """Makes a dataclass that has a default for each field.

  Args:
    kind: the dataclass.
    told: field -> value, as JSON has it: lists in place of tuples. A field that
      is not there has its default.
    most: field -> how large its numbers may be; else 16384.

  Returns:
    The dataclass. Its values are of the types of its defaults.

  Raises:
    ValueError: a field is unknown, of another type or too large, or `kind`
      refuses it.
  """
  if not isinstance(told, Mapping):
    raise ValueError(f'{reprlib.repr(told)}; expected fields and values')
  defaults = {field.name: field.default for field in dataclasses.fields(kind)}
  unknown = [name for name in told if name not in defaults]
  if unknown:
    raise ValueError(f'unknown fields: {reprlib.repr(sorted(unknown))}')
  limits = most or {}
  return kind(
    **{
      name: _typed(name, value, defaults[name], limits.get(name, _MOST))
      for name, value in told.items()
    }
  )


def _typed(name: str, value: Any, like: Any, most: float) -> Any:
  """Returns a value, or a list of some, of the type of another."""
  if isinstance(like, tuple):
    if not isinstance(value, list | tuple) or len(value) > _LONGEST:
      raise ValueError(
        f'{name} is {reprlib.repr(value)}; expected a list of at most '
        f'{_LONGEST}'
      )
    return tuple(_typed(name, item, like[0], most) for item in value)
  expected = _WORDS[type(like)]
  # Not isinstance: true is no number.
  valid = type(value) is type(like) or (
    type(like) is float and type(value) is int
  )
  if valid and type(value) in (int, float):
    expected += f' of at most {most}'
    valid = abs(value) <= most  # Nor is NaN.
  if not valid:
    raise ValueError(f'{name} is {reprlib.repr(value)}; expected {expected}')
  return value
