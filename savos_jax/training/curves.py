"""The curves of a training run, as a table and as a picture."""

from collections.abc import Mapping
import math
import os
import pathlib

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import spreadsheets
from savos_jax.report import charts
from savos_jax.training import event_files

# Name in the picture -> curve.
_DRAWN = {
  'IoU, training': 'iou',
  'J, validation': 'validation/J',
  'F, validation': 'validation/F',
}


def read(folder: str | os.PathLike) -> dict[str, dict[int, float]]:
  """Reads all curves of a training.

  Args:
    folder: the --workdir of the training, or a folder with a copy of its
      `logs`.

  Returns:
    Curve -> step -> value. Of steps that a resumed training repeated, the last
    value counts.

  Raises:
    SavosError: there are no curves.
  """
  folder = pathlib.Path(folder).expanduser()
  curves: dict[str, dict[int, float]] = {}
  scalars = (
    scalar
    for path in (folder / 'logs').glob(event_files.PATTERN)
    for scalar in event_files.read_scalars(path)
  )
  for _, step, tag, value in sorted(scalars, key=lambda scalar: scalar.time):
    curve = curves.setdefault(tag, {})
    while curve and next(reversed(curve)) >= step:
      curve.popitem()
    curve[step] = value
  if not curves:
    raise errors.SavosError(
      f'{folder}: no curves.\n  Expected the --workdir of a training run, with '
      f'{event_files.PATTERN} in its logs.'
    )
  return curves


def write_csv(
  path: str | os.PathLike, curves: Mapping[str, Mapping[int, float]]
) -> None:
  """Writes one row per step and one column per curve; missing values are empty.

  Raises:
    SavosError: the file can't be written.
  """
  steps = sorted({step for values in curves.values() for step in values})
  rows: list[list[object]] = [['step', *curves]]
  for step in steps:
    row = [values.get(step) for values in curves.values()]
    rows.append([step, *('' if v is None else f'{v:.6g}' for v in row)])
  with files.replacing(path) as partial:
    partial.write_text(spreadsheets.to_csv(rows), 'utf-8', newline='\n')


def chart(curves: Mapping[str, Mapping[int, float]]) -> charts.Chart:
  """Plots IoU, J and F over the training steps.

  Raises:
    SavosError: none of them was recorded.
  """
  drawn = {name: curves[tag] for name, tag in _DRAWN.items() if tag in curves}
  steps = sorted({step for values in drawn.values() for step in values})
  if not steps:
    raise errors.SavosError(
      f'none of {", ".join(_DRAWN.values())} among the curves.\n'
      '  Expected the --workdir of a training of savos_jax.'
    )
  # Curves have values at different steps: interpolate between them.
  series = [
    charts.Series(
      name,
      np.interp(
        steps, list(values), list(values.values()), math.nan, math.nan
      ).tolist(),
    )
    for name, values in drawn.items()
  ]
  return charts.lines('Training', series, steps, unit='step')
