"""The attributes of DAVIS' sequences, such as occlusion and fast motion.

DAVIS describes its sequences in a file `db_info`: YAML in the repositories of
2016 and 2017, with an entry {name, attributes, set, num_frames, ...} for each.
Perazzi et al., "A benchmark dataset and evaluation methodology for video object
segmentation", CVPR 2016, table 1.
"""

from collections.abc import Mapping
import os
import pathlib
import reprlib
from typing import Any

import yaml

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed

# The codes of table 1.
NAMES = {
  'AC': 'appearance change',
  'BC': 'background clutter',
  'CS': 'camera shake',
  'DB': 'dynamic background',
  'DEF': 'deformation',
  'EA': 'edge ambiguity',
  'FM': 'fast motion',
  'HO': 'heterogeneous object',
  'IO': 'interacting objects',
  'LR': 'low resolution',
  'MB': 'motion blur',
  'OCC': 'occlusion',
  'OV': 'out of view',
  'SC': 'shape complexity',
  'SV': 'scale variation',
}
# The zip of 2016 has it in Annotations, the repository of 2017 in data.
_FOLDERS = ('', 'Annotations', 'ImageSets', 'ImageSets/2016', 'ImageSets/2017',
            'data')  # fmt: skip
_EXPECTED = (
  'Expected "sequences:", a list of entries with name and attributes, as in '
  'db_info of DAVIS. Get it from there again, or remove the file to do '
  'without scores by attribute.'
)
_FILES = ('db_info.yml', 'db_info.yaml', 'db_info.json')


def read(root: str | os.PathLike) -> dict[str, tuple[str, ...]]:
  """Reads the attributes of a data set's sequences.

  Args:
    root: the folder of the data set.

  Returns:
    Sequence -> its attributes; empty if the data set has no such file.

  Raises:
    SavosError: the file is unreadable or malformed.
  """
  root = pathlib.Path(root).expanduser()
  for folder in _FOLDERS:
    for name in _FILES:
      path = root / folder / name
      if path.is_file():
        return _parse(path)
  return {}


def _parse(path: pathlib.Path) -> dict[str, tuple[str, ...]]:
  text = files.read_text(path)
  try:
    is_json = path.suffix == '.json'
    content = typed.parse(text) if is_json else yaml.safe_load(text)
  except (RecursionError, ValueError, yaml.YAMLError) as error:
    first = str(error).splitlines()[0]
    raise _error(path, f'unreadable: {first}') from None
  entries = content.get('sequences') if isinstance(content, dict) else content
  if isinstance(entries, dict):
    # JSON may have the names as keys.
    entries = [
      {'name': name, **(entry if isinstance(entry, dict) else {})}
      for name, entry in entries.items()
    ]
  if not isinstance(entries, list):
    raise _error(path, 'no list of sequences')
  return {_name(path, entry): _codes(path, entry) for entry in entries}


def _name(path: pathlib.Path, entry: Any) -> str:
  name = entry.get('name') if isinstance(entry, dict) else None
  if not isinstance(name, str | int | float):
    raise _error(path, f'an entry without a name: {reprlib.repr(entry)}')
  return str(name)


def _codes(path: pathlib.Path, entry: Mapping[str, Any]) -> tuple[str, ...]:
  codes = entry.get('attributes') or []
  if isinstance(codes, str):
    codes = codes.replace(',', ' ').split()
  # As text: what an alias repeats may be without end.
  if typed.mismatch(codes, [str]):
    raise _error(path, f'attributes of {entry["name"]}: {reprlib.repr(codes)}')
  return tuple(codes)


def _error(path: pathlib.Path, found: str) -> errors.SavosError:
  return errors.SavosError(f'{path}: {found}.\n  {_EXPECTED}')
