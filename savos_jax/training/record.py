"""The record of how a network was trained: every configuration that was used.

`config.json` in the --workdir is the current configuration. When training
resumes with another one, the earlier one is kept beside it, named after the
last step that used it, and each changed field is logged.
"""

from collections.abc import Mapping
import json
import logging
import os
import pathlib
from typing import Any

from ml_collections import config_dict

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import json_files

logger = logging.getLogger(__name__)

FILE = 'config.json'


def _leaves(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns 'a.b' -> value."""
  found: dict[str, Any] = {}
  for name, value in tree.items():
    if isinstance(value, Mapping):
      found |= _leaves(value, f'{prefix}{name}.')
    else:
      found[prefix + name] = value
  return found


def _read(path: pathlib.Path) -> dict[str, Any] | None:
  try:
    return json_files.read(path, '', {})
  except errors.SavosError:
    return None


def differences(
  earlier: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
  """Returns one line per field that differs.

  Args:
    earlier: a configuration, as nested dictionaries.
    now: another one.

  Returns:
    Lines such as 'train.batch_size 2 -> 1', sorted by name.
  """
  before, after = _leaves(earlier), _leaves(now)
  absent = '(absent)'
  return [
    f'{name} {before.get(name, absent)} -> {after.get(name, absent)}'
    for name in sorted(before.keys() | after.keys())
    if before.get(name, absent) != after.get(name, absent)
  ]


def keep(
  config: config_dict.ConfigDict, workdir: pathlib.Path, step: int
) -> None:
  """Writes the configuration of a training that is about to start.

  Args:
    config: the configuration.
    workdir: receives `config.json`; an earlier, different one becomes
      `config.until_step_<step>.json`.
    step: number of steps done.

  Raises:
    SavosError: the folder can't be written to.
  """
  path = workdir / FILE
  # Converted as JSON would be read back: tuples become lists.
  now = json.loads(json.dumps(config.to_dict()))
  earlier = _read(path)
  changed = differences(earlier, now) if earlier is not None else []
  for line in changed if step else ():
    logger.info('changed since step %d: %s', step, line)
  if changed or (earlier is None and os.path.lexists(path)):
    os.replace(path, _free(workdir, step))
  with files.replacing(path) as partial:
    partial.write_text(json.dumps(now, indent=2) + '\n', 'utf-8')


def _free(workdir: pathlib.Path, step: int) -> pathlib.Path:
  """Returns a path that is not taken."""
  path = workdir / f'config.until_step_{step}.json'
  number = 2
  while os.path.lexists(path):
    path = workdir / f'config.until_step_{step}_{number}.json'
    number += 1
  return path
