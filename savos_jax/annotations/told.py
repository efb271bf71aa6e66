"""Checked access to values from untrusted files.

Each value knows its place in the file, so that errors can name it.
"""

from collections.abc import Iterator
import os
import pathlib
import reprlib
from typing import Any
from xml.etree import ElementTree

import defusedxml
from defusedxml import ElementTree as safe

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed

_MOST_BYTES = 1 << 26  # Of a file. In memory it is some ten times as much.
_LARGEST = 1e15  # Of numbers, where nothing tells more.
_NO_NUMBER = 'NaN, Infinity: not numbers in JSON'


def error(path, found: str, hint: str) -> errors.SavosError:
  """Returns the error about a file."""
  return errors.SavosError(f'{path}: {found}\n  {hint}')


def read_bytes(path: str | os.PathLike) -> bytes:
  """Reads a file.

  Raises:
    SavosError: it is missing, not a file, or too large.
  """
  found = files.problem(path)
  if found:
    raise error(path, f'{found}.', 'Expected a file of annotations.')
  path = pathlib.Path(path)
  size = path.stat().st_size
  if size > _MOST_BYTES:
    raise error(
      path,
      f'{size / 1e6:.0f} MB.',
      f'Expected annotations of at most {_MOST_BYTES / 1e6:.0f} MB: export '
      'only those of this video, and of the frames to start from.',
    )
  return path.read_bytes()


class Told:
  """A value of a JSON file.

  Attributes:
    path: of the file.
    place: in the file, such as 'images[3].id'; '' for the whole file.
    value: as parsed from JSON.
  """

  def __init__(self, path, value: Any, place: str = ''):
    """See the attributes."""
    self.path, self.value, self.place = path, value, place

  def error(self, expected: str) -> errors.SavosError:
    """Returns the error for a value other than the expected one."""
    found = 'missing' if self.value is None else reprlib.repr(self.value)
    return error(
      self.path, f'{self.place or "it"} is {found}.', f'Expected {expected}.'
    )

  def has(self, name: str) -> bool:
    """Whether a field is present and not null."""
    return isinstance(self.value, dict) and self.value.get(name) is not None

  def field(self, name: str) -> 'Told':
    """Returns a field; its value is None if it is absent.

    Raises:
      SavosError: this is not an object.
    """
    if not isinstance(self.value, dict):
      raise self.error('names and values')
    place = f'{self.place}.{name}' if self.place else name
    return Told(self.path, self.value.get(name), place)

  def items(self) -> Iterator['Told']:
    """Yields the items of a list.

    Raises:
      SavosError: this is not a list.
    """
    if not isinstance(self.value, list):
      raise self.error('a list')
    for number, item in enumerate(self.value):
      yield Told(self.path, item, f'{self.place}[{number}]')

  def text(self) -> str:
    """Returns a string.

    Raises:
      SavosError: this is not a string.
    """
    if not isinstance(self.value, str):
      raise self.error('a text')
    return self.value

  def whole(self, least: int, most: int) -> int:
    """Returns an integer from `least` to `most`.

    Raises:
      SavosError: this is not such an integer.
    """
    value = self.value
    if isinstance(value, float) and value.is_integer():
      value = int(value)
    if type(value) is not int or not least <= value <= most:
      raise self.error(f'a whole number from {least} to {most}')
    return value

  def numbers(self) -> list[float]:
    """Returns a list of finite numbers of plausible size.

    Raises:
      SavosError: this is not such a list.
    """
    value = self.value
    if not isinstance(value, list) or not all(map(_is_number, value)):
      raise self.error('a list of numbers')
    return value

  def size(self, height: str, width: str) -> tuple[int, int]:
    """Returns the size of a picture from the named fields.

    Raises:
      SavosError: a field is missing or too large.
    """
    rows = self.field(height).whole(1, masks.MOST_PIXELS)
    columns = self.field(width).whole(1, masks.MOST_PIXELS // rows)
    return rows, columns


def _is_number(value: Any) -> bool:
  return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST


def _refuse(constant: str) -> None:
  raise ValueError(_NO_NUMBER)


def read_json(path: str | os.PathLike) -> Told:
  """Reads a JSON file.

  Raises:
    SavosError: it cannot be read, is too large, or is not JSON.
  """
  data = read_bytes(path)
  try:
    return Told(path, typed.parse(data, parse_constant=_refuse))
  except ValueError as problem:
    found = f'no JSON: {problem}'
  raise error(path, f'{found}.', 'Expected a JSON file of annotations.')


def read_xml(path: str | os.PathLike) -> ElementTree.Element:
  """Reads an XML file, without entities or a document type.

  Raises:
    SavosError: it cannot be read, is too large, or is not XML.
  """
  data = read_bytes(path)
  try:
    return safe.fromstring(data, forbid_dtd=True)
  except defusedxml.DefusedXmlException:
    found = 'an XML with a document type or entities'
  except (ElementTree.ParseError, ValueError, LookupError) as problem:
    found = f'no XML: {problem}'
  raise error(path, f'{found}.', 'Expected an XML file of CVAT, as exported.')
