"""Curves of a training: for TensorBoard, or where it is missing as lines.

clu writes what TensorBoard shows; it needs TensorFlow, and TensorBoard itself.
Where one of the three is missing, `metrics.jsonl` holds the same numbers, a
JSON object a line.
"""

from collections.abc import Mapping
import importlib.util
import json
import pathlib
from typing import Any
from typing import Protocol

import jax
import numpy as np

FILE = 'metrics.jsonl'


class Writer(Protocol):
  """What training and evaluation write to."""

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes numbers of a step."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes pictures of a step, RGB uint8 [H, W, 3] or [N, H, W, 3]."""

  def close(self) -> None:
    """Ends it."""


class NoWriter:
  """Writes nothing: for processes other than the first."""

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes nothing."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes nothing."""

  def close(self) -> None:
    """Does nothing."""


class LinesWriter(NoWriter):
  """Writes numbers as lines of JSON; pictures have no place there."""

  def __init__(self, folder: pathlib.Path):
    """Goes on at the end of the folder's file, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    self._file = (folder / FILE).open('a')

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes a line at once, so that it is there after an end of any kind."""
    values = {name: float(value) for name, value in scalars.items()}
    self._file.write(json.dumps({'step': step, **values}) + '\n')
    self._file.flush()

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


def _installed(*modules: str) -> bool:
  return all(importlib.util.find_spec(name) for name in modules)


def open_writer(folder: pathlib.Path) -> Writer:
  """Returns clu's writer where it is installed, else one of lines.

  Args:
    folder: gets the event files or `metrics.jsonl`.
  """
  if _installed('clu', 'tensorflow', 'tensorboard'):
    # Slow to import: not for who writes nothing.
    from clu import metric_writers

    return metric_writers.SummaryWriter(str(folder))
  return LinesWriter(folder)


def parameter_table(params: Any) -> str:
  """Returns a line for each array: name, shape, number of values."""
  rows = [
    (jax.tree_util.keystr(path, simple=True, separator='/'), leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params)
  ]
  longest = max(len(name) for name, _ in rows)
  lines = [
    f'{name:<{longest}}  {"x".join(map(str, leaf.shape)):<16} {leaf.size:>10}'
    for name, leaf in rows
  ]
  total = sum(leaf.size for _, leaf in rows)
  return '\n'.join([*lines, f'{total} values in {len(rows)} arrays'])
