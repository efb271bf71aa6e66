"""Writers for the curves and pictures of training and evaluation."""

from collections.abc import Mapping
import importlib.util
import pathlib
from typing import Any
from typing import Protocol

import jax
import numpy as np

from savos_jax.data.loaders import tf as tf_loader
from savos_jax.training import event_files


class Writer(Protocol):
  """The interface that training and evaluation write to."""

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes scalars for a step."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes pictures for a step, RGB uint8 [H, W, 3]."""

  def close(self) -> None:
    """Ends it."""


class NoWriter:
  """A writer that does nothing, for all processes but the first."""

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes nothing."""

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes nothing."""

  def close(self) -> None:
    """Does nothing."""


def _installed(*modules: str) -> bool:
  return all(importlib.util.find_spec(name) for name in modules)


def open_writer(folder: pathlib.Path, step: int = 0) -> Writer:
  """Returns clu's writer if it is installed, else this package's own.

  Both write the same.

  Args:
    folder: receives a new TensorBoard file.
    step: from which training resumes; what was logged for it and later steps is
      removed. 0: nothing is removed.

  Raises:
    SavosError: the file can't be written.
  """
  if step:
    event_files.drop_from(folder, step)
  if _installed('clu', 'tensorflow', 'tensorboard'):
    # Slow to import, so only when something is written.
    tf_loader.hide_accelerators()
    from clu import metric_writers

    return metric_writers.SummaryWriter(str(folder))
  return event_files.Writer(folder)


def parameter_table(params: Any) -> str:
  """Returns one line per array: name, shape, number of values."""
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
