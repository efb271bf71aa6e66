"""The curves of a training, read back: as a table and as a picture."""

from collections.abc import Iterable
from collections.abc import Mapping
import json
import math
import os
import pathlib

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files
from savos_jax.foundation import spreadsheets
from savos_jax.report import charts
from savos_jax.training import metric_writing

# Name in the picture -> curve.
_DRAWN = {
  'IoU, training': 'iou',
  'J, validation': 'validation/J',
  'F, validation': 'validation/F',
}


def read(path: str | os.PathLike) -> dict[str, dict[int, float]]:
  """Reads all curves of a training.

  Args:
    path: the --workdir of the training, or its metrics.jsonl.

  Returns:
    Curve -> step -> value. Where a training was resumed, the steps that it
    took again count as the last time.

  Raises:
    SavosError: no curves there, or a line that is none.
  """
  path = pathlib.Path(path).expanduser()
  folder = path / 'logs'
  lines = folder / metric_writing.FILE if path.is_dir() else path
  runs = list(_read_lines(lines)) if lines.is_file() else []
  if path.is_dir():
    events = sorted(folder.glob('events.out.tfevents.*'))
    runs += [run for file in events for run in _read_events(file)]
  curves: dict[str, dict[int, float]] = {}
  for run in runs:
    for tag, values in run.items():
      kept = {s: v for s, v in curves.get(tag, {}).items() if s < min(values)}
      curves[tag] = kept | values
  if not curves:
    raise errors.SavosError(
      f'{path}: no curves.\n  Expected the --workdir of a training, with '
      f'events.out.tfevents.* or {metric_writing.FILE} in its logs, or that '
      'file.'
    )
  return curves


def _read_events(path: pathlib.Path) -> Iterable[dict[str, dict[int, float]]]:
  """Yields each curve of a file for TensorBoard."""
  event_accumulator = extras.require(
    'tensorboard.backend.event_processing.event_accumulator', 'tf', str(path)
  )
  tensor_util = extras.require('tensorboard.util.tensor_util', 'tf', str(path))
  events = event_accumulator.EventAccumulator(
    str(path), size_guidance={event_accumulator.TENSORS: 0}
  ).Reload()
  for tag in events.Tags()['tensors']:
    values = {
      event.step: tensor_util.make_ndarray(event.tensor_proto)
      for event in events.Tensors(tag)
    }
    # Pictures have a dimension.
    if all(value.ndim == 0 for value in values.values()):
      yield {tag: {step: float(value) for step, value in values.items()}}


def _read_lines(path: pathlib.Path) -> Iterable[dict[str, dict[int, float]]]:
  """Yields the curves of lines of JSON; anew where a step follows a later one.

  There the training was resumed.
  """
  run: dict[str, dict[int, float]] = {}
  last = 0
  for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
    try:
      scalars = json.loads(line)
      step = int(scalars.pop('step'))
      values = {tag: float(value) for tag, value in scalars.items()}
    except (
      ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
      ValueError,
    ):  # fmt: skip
      raise errors.SavosError(
        f'{path}, line {number}: no numbers of a step.\n  Expected a '
        f'{metric_writing.FILE} of a training, as {{"step": 20, "loss": 0.5}}.'
      ) from None
    if step < last:
      yield run
      run = {}
    last = step
    for tag, value in values.items():
      run.setdefault(tag, {})[step] = value
  yield run


def write_csv(
  path: str | os.PathLike, curves: Mapping[str, Mapping[int, float]]
) -> None:
  """Writes a row a step, a column a curve; empty where it has no value.

  Raises:
    SavosError: it can't be written.
  """
  steps = sorted({step for values in curves.values() for step in values})
  rows = [['step', *curves]]
  for step in steps:
    row = [values.get(step) for values in curves.values()]
    rows.append([step, *('' if v is None else f'{v:.6g}' for v in row)])
  with files.replacing(path) as partial:
    partial.write_text(spreadsheets.to_csv(rows), 'utf-8', newline='\n')


def chart(curves: Mapping[str, Mapping[int, float]]) -> charts.Chart:
  """Draws IoU, J and F over the steps at which they were written.

  Raises:
    SavosError: none of them is there.
  """
  drawn = {name: curves[tag] for name, tag in _DRAWN.items() if tag in curves}
  steps = sorted({step for values in drawn.values() for step in values})
  if not steps:
    raise errors.SavosError(
      f'none of {", ".join(_DRAWN.values())} among the curves.\n'
      '  Expected the --workdir of a training of savos_jax.'
    )
  # From one value to the next goes a line, whatever lies at the steps between.
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
