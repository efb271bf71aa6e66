"""A table with one row for each frame and object, as CSV or Parquet."""

import io
from typing import Any

import numpy as np

from savos_jax.annotations import clip as clip_lib
from savos_jax.foundation import extras
from savos_jax.foundation import spreadsheets

# Of a row, and their Arrow types. Boxes and middles are in pixels: the picture
# begins at (0, 0), and the middle of its first pixel is (0.5, 0.5).
COLUMNS = {
  'frame': 'int32',
  'name': 'string',
  'time': 'float64',
  'object': 'int32',
  'label': 'string',
  'seen': 'bool_',
  'area': 'int32',
  'x': 'int32',
  'y': 'int32',
  'width': 'int32',
  'height': 'int32',
  'center_x': 'float64',
  'center_y': 'float64',
  'confidence': 'float64',
}


def _rounded(value: float | None, digits: int) -> float | None:
  return None if value is None else round(float(value), digits)


def row(
  clip: clip_lib.Clip, frame: clip_lib.Frame, object_id: int
) -> tuple[Any, ...]:
  """Returns a row; unknown values are None."""
  mask = frame.labels == object_id
  area = int(np.count_nonzero(mask))
  box, middle = (None,) * 4, (None, None)
  if area:
    box = clip_lib.box(mask)
    rows, columns = mask.sum(1), mask.sum(0)
    middle = (
      _rounded(columns @ np.arange(mask.shape[1]) / area + 0.5, 2),
      _rounded(rows @ np.arange(mask.shape[0]) / area + 0.5, 2),
    )
  return (
    frame.index,
    clip_lib.printable(frame.name),
    _rounded(frame.seconds, 6),
    object_id,
    clip.objects[object_id],
    area > 0,
    area,
    *box,
    *middle,
    _rounded(frame.confidence.get(object_id), 4),
  )


def to_csv(rows: list[tuple[Any, ...]]) -> bytes:
  """Returns rows as CSV; None becomes an empty cell."""
  cells = (['' if cell is None else cell for cell in told] for told in rows)
  return spreadsheets.to_csv([COLUMNS, *cells]).encode()


def to_parquet(rows: list[tuple[Any, ...]]) -> bytes:
  """Returns rows as Parquet.

  Raises:
    SavosError: pyarrow is not installed.
  """
  arrow = extras.require('pyarrow', 'parquet', 'a Parquet table')
  parquet = extras.require('pyarrow.parquet', 'parquet', 'a Parquet table')
  columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
  types = [(name, getattr(arrow, kind)()) for name, kind in COLUMNS.items()]
  named = dict(zip(COLUMNS, columns, strict=True))
  table = arrow.table(named, arrow.schema(types))
  file = io.BytesIO()
  parquet.write_table(table, file)
  return file.getvalue()


class Writer(clip_lib.Writer):
  """Writes one file for the whole video."""

  def __init__(self, clip: clip_lib.Clip, name: str, encode):
    """Sets the name of the file and the function that encodes the rows."""
    super().__init__(clip)
    self._name, self._encode = name, encode
    self._rows: list[tuple[Any, ...]] = []

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Adds a row for each object."""
    for object_id in sorted(self.clip.objects):
      self._rows.append(row(self.clip, frame, object_id))
    return {}

  def end(self) -> clip_lib.Files:
    """Returns the file."""
    return {self._name: [self._encode(self._rows)]}


def csv(clip: clip_lib.Clip) -> Writer:
  """Makes a writer of table.csv."""
  return Writer(clip, 'table.csv', to_csv)


def parquet(clip: clip_lib.Clip) -> Writer:
  """Makes a writer of table.parquet.

  Raises:
    SavosError: pyarrow is not installed.
  """
  extras.require('pyarrow', 'parquet', 'a Parquet table')
  return Writer(clip, 'table.parquet', to_parquet)
