"""Seen and unseen categories, which YouTube-VOS scores separately.

A category is seen if objects of it are in the training split. `meta.json` of a
split: {"videos": {video: {"objects": {id: {"category": name, ...}}}}}. The
final score is the mean of four: J and F of both kinds.
"""

from collections.abc import Mapping
import os
import pathlib
import re

from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from savos_jax.foundation import json_files

_FILE = 'meta.json'
_TRAIN = 'train'
_FORM = {'videos': {str: {'objects': {str: {'category?': str}}}}}


def _read(path: pathlib.Path) -> dict[tuple[str, int], str]:
  """Returns (video, id) -> category of the objects of a split."""
  expected = (
    'Expected the objects of YouTube-VOS: '
    '{"videos": {video: {"objects": {id: {"category": name}}}}}. Get it from '
    'there again, or remove the file to ignore categories.'
  )
  videos = json_files.read(path, expected, _FORM)['videos']
  found = {}
  for name, video in videos.items():
    for number, entry in video['objects'].items():
      if not re.fullmatch(r'[0-9]{1,3}', number):
        raise errors.SavosError(
          f'{path}: an object {number!r} of {name!r}.\n  {expected}'
        )
      if 'category' in entry:
        found[name, int(number)] = entry['category']
  return found


def read(folder: str | os.PathLike) -> dict[str, str]:
  """Classifies the objects of a split by whether training saw their category.

  Args:
    folder: of the split, next to `train`.

  Returns:
    Name of an object in scores -> 'seen' or 'unseen'; empty if one of the two
    files is missing.

  Raises:
    SavosError: a file is unreadable or malformed.
  """
  folder = pathlib.Path(folder).expanduser().resolve()
  own, train = folder / _FILE, folder.parent / _TRAIN / _FILE
  if not (own.is_file() and train.is_file()):
    return {}
  seen = set(_read(train).values())
  return {
    f'{video}_{number}': 'seen' if category in seen else 'unseen'
    for (video, number), category in _read(own).items()
  }


def divide(
  scores: protocol.Scores, kinds: Mapping[str, str]
) -> dict[str, protocol.Scores]:
  """Returns 'seen' and 'unseen' -> their scores; empty without kinds.

  Args:
    scores: of all objects.
    kinds: from `read`; an object that is missing is in neither.
  """
  return {
    kind: protocol.Scores(
      tuple(score for score in scores.objects if kinds.get(score.name) == kind)
    )
    for kind in ('seen', 'unseen')
    if kinds
  }
