"""YouTube-VOS scores objects of seen and of unseen categories apart.

A category is seen if the training split has objects of it. `meta.json` of a
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
    'Expected the objects of YouTube-VOS: {"videos": {video: {"objects": {id: '
    '{"category": name}}}}}. Take it from there again, or remove the file: '
    'then categories are not told apart.'
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
  """Tells which objects of a split are of categories of the training split.

  Args:
    folder: of the split; `train` is beside it.

  Returns:
    Name of an object in scores -> 'seen' or 'unseen'; empty where one of the
    two files is not there.

  Raises:
    SavosError: a file is unreadable or has another form.
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
  """Returns 'seen' and 'unseen' -> their scores; nothing without kinds.

  Args:
    scores: of all objects.
    kinds: as `read`; an object may be missing, and is in neither.
  """
  return {
    kind: protocol.Scores(
      tuple(score for score in scores.objects if kinds.get(score.name) == kind)
    )
    for kind in ('seen', 'unseen')
    if kinds
  }
