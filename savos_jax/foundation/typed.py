"""Builds values and dataclasses from untrusted JSON."""

from collections.abc import Iterator
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
_DEEPEST = 64  # Lists and names in each other.
_LARGEST = 1e18  # Of any number.
_WORDS = {
  bool: 'true or false',
  int: 'a whole number',
  float: 'a number',
  str: 'a text',
}


def parse(text: str | bytes, **options: Any) -> Any:
  """Reads JSON.

  Args:
    text: the JSON text.
    **options: of `json.loads`.

  Raises:
    ValueError: it is malformed, has a lone surrogate in a string, or is nested
      more than 64 levels deep.
  """
  try:
    told = json.loads(text, **options)
  except RecursionError:
    raise ValueError('nested too deeply') from None
  level: list[Any] = [[told]]
  for _ in range(_DEEPEST):
    held = [part for v in level for part in _parts(v)]
    for part in held:
      if isinstance(part, str):
        part.encode()  # Half a character can't be written again.
    level = [v for v in held if isinstance(v, dict | list)]
    if not level:
      return told
  raise ValueError('nested too deeply')


def _parts(value: Any) -> Iterator[Any]:
  yield from value
  if isinstance(value, dict):
    yield from value.values()


def from_json(text: str) -> dict[str, Any]:
  """Reads a JSON object.

  Raises:
    ValueError: it is something else, or as `parse`.
  """
  told = parse(text)
  if not isinstance(told, dict):
    raise ValueError(f'{reprlib.repr(told)}; expected names and values')
  return told


def mismatch(value: Any, form: Any, name: str = '') -> str:
  """Finds where a value deviates from a structure.

  Args:
    value: from `parse`.
    form: a type, where float accepts any finite number; (form, None): nullable;
      [form]: a list; {str: form}: any names; {name: form}: these names, of
      which those with '?' are optional, and any others.
    name: of the value; '' for the root.

  Returns:
    A description of the first deviation; '' if there is none.
  """
  if isinstance(form, tuple):
    return '' if value is None else mismatch(value, form[0], name)
  kind = form if isinstance(form, type) else type(form)
  valid = type(value) is kind or (kind is float and type(value) is int)
  if kind is float and valid:
    valid = abs(value) <= _LARGEST  # Nor is NaN.
  if not valid:
    return f'{name or "it"} is {reprlib.repr(value)}'
  start = f'{name}.' if name else ''
  if isinstance(form, list):
    inside = [(f'{name}[{i}]', item, form[0]) for i, item in enumerate(value)]
  elif not isinstance(form, dict):
    return ''
  elif str in form:
    inside = [(f'{start}{key}', value[key], form[str]) for key in value]
  else:
    names = {key.removesuffix('?'): key for key in form}
    lacking = [n for n, key in names.items() if n == key and n not in value]
    if lacking:
      return f'{name or "it"} has no {lacking[0]!r}'
    inside = [
      (f'{start}{n}', value[n], form[k]) for n, k in names.items() if n in value
    ]
  found = (mismatch(item, part, where) for where, item, part in inside)
  return next(filter(None, found), '')


def build(
  kind: type[_Kind], told: Any, most: Mapping[str, float] | None = None
) -> _Kind:
  """Builds a dataclass, all of whose fields have defaults.

  Args:
    kind: the dataclass.
    told: field -> value as in JSON, with lists for tuples. Missing fields keep
      their defaults.
    most: field -> limit of its numbers; otherwise 16384.

  Returns:
    The dataclass, with values of the types of its defaults.

  Raises:
    ValueError: a field is unknown, of another type or too large, or rejected by
      `kind`.
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
