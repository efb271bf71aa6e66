"""Parses a list of videos: the lines of a CSV file, or the files of a pattern.

Each column is a flag of the program, and each line is parsed like a command
line. All mistakes in a list are reported together, before it starts.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import copy
import csv
import dataclasses
import difflib
import glob
import io
import os
import pathlib
import unicodedata

from savos_jax.datasets import frame_folder
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import names
from savos_jax.foundation import storage
from savos_jax.tools import command
from savos_jax.tools.many import outcomes
from savos_jax.video import mask_files

# Flags of the whole list, which can't be columns.
_OF_ALL = (
  'checkpoint', 'help', 'jobs', 'list', 'overwrite', 'ray', 'resume', 'runtime',
)  # fmt: skip
_SHOWN = 20  # Mistakes in an error.
_MAGIC = '*?['
_YES, _NO = ('yes', 'true'), ('no', 'false')

Check = Callable[[argparse.ArgumentParser, argparse.Namespace], object]


@dataclasses.dataclass(frozen=True)
class Row:
  """A video of a list.

  Attributes:
    place: its place in the list.
    name: of its results.
    arguments: the program's, for this video; `video`, `out` and those of `mask`
      that are URLs are strings.
  """

  place: str
  name: str
  arguments: argparse.Namespace


@dataclasses.dataclass(frozen=True)
class _Line:
  place: str
  cells: Mapping[str, str]  # Column -> its cell, if not ''.


def read(
  parser: argparse.ArgumentParser, asked: argparse.Namespace, check: Check
) -> list[Row]:
  """Reads a list.

  Args:
    parser: of the program.
    asked: its command line: `list` is a CSV file or a pattern; `out` is the
      folder or URL for all results.
    check: calls `parser.error` for incompatible arguments.

  Returns:
    One row per video, in the order of the list.

  Raises:
    SavosError: columns or lines are invalid, or files are missing.
  """
  lines, folder = _lines(parser, asked.list)
  if not lines:
    raise errors.SavosError(
      f'{asked.list}: no video.\n  Expected a line per video below the first.'
    )
  rows, wrong = [], []
  for line in lines:
    try:
      rows.append(_row(parser, asked, check, line, folder))
    except errors.SavosError as error:
      wrong.append(f'{line.place}: {outcomes.one_line(error)}')
  wrong += _clashes(rows)
  if wrong:
    more = f'\n    and {len(wrong) - _SHOWN} more' * (len(wrong) > _SHOWN)
    raise errors.SavosError(
      f'{asked.list}: not right:\n    '
      + '\n    '.join(wrong[:_SHOWN])
      + f'{more}\n  Nothing was started.'
    )
  return rows


def _lines(parser, text: str) -> tuple[list[_Line], pathlib.Path]:
  """Returns the lines of a list, and the folder its paths are relative to."""
  path = pathlib.Path(text)
  if any(letter in text for letter in _MAGIC) and not path.exists():
    return list(_of_pattern(text)), pathlib.Path()
  found = files.problem(path)
  if found:
    raise errors.SavosError(
      f"--list={text}: {found}.\n  Expected a CSV file, or a pattern: 'clips/"
      "*.mp4', in quotes."
    )
  return list(_of_csv(parser, path)), path.parent


def _of_pattern(pattern: str) -> Iterator[_Line]:
  """Yields videos that match, each with the masks beside it."""
  matches = sorted(map(pathlib.Path, glob.glob(pattern)), key=_order)
  pictures = frame_folder.FRAMES
  videos = {p for p in matches if p.suffix.lower() not in pictures}
  # A folder may hold the masks of another video.
  videos -= {video.with_suffix('') for video in videos if not video.is_dir()}
  if not videos:
    raise errors.SavosError(
      f'--list={pattern}: no video matches.\n  Expected video files, or '
      'folders of images.'
    )
  for video in matches:
    if video in videos:
      mask = _beside(video)
      yield _Line(
        str(video),
        {'video': str(video), **({'mask': str(mask)} if mask else {})},
      )


def _order(path: pathlib.Path):
  return str(path.parent), frame_folder.key(path.name)


def _beside(video: pathlib.Path) -> pathlib.Path | None:
  """Returns the mask of a video by its name: the first of these that exists.
  clip.png, clip_mask.png; the folder clip, if the video is a file, or
  clip_mask.
  """
  stem = video.name if video.is_dir() else video.stem
  candidates = (f'{stem}.png', f'{stem}_mask.png', stem, f'{stem}_mask')
  beside = (video.with_name(candidate) for candidate in candidates)
  return next((p for p in beside if p != video and p.exists()), None)


def _of_csv(parser, path: pathlib.Path) -> Iterator[_Line]:
  """Yields the lines of a CSV file."""
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise errors.SavosError(
      f'{path}: not UTF-8: {error}.\n  Expected a CSV file in UTF-8.'
    ) from None
  reader = csv.reader(io.StringIO(text, newline=''), strict=True)
  columns: list[str] = []
  try:
    for cells in reader:
      place = f'line {reader.line_num}'
      stripped = [cell.strip() for cell in cells]
      if not any(stripped):
        continue
      if columns:
        yield _line(place, columns, stripped)
      else:
        columns = _columns(stripped)
        _check_columns(parser, columns, f'{path}, {place}')
  except csv.Error as error:
    raise errors.SavosError(
      f'{path}, line {reader.line_num}: {error}.\n  Expected a CSV file.'
    ) from None
  if reader.line_num == 0 or not columns:
    raise errors.SavosError(
      f'{path}: empty.\n  Expected a first line with the names of columns: '
      'video,mask'
    )


def _columns(cells: list[str]) -> list[str]:
  while not cells[-1]:  # As spreadsheets write them.
    cells = cells[:-1]
  return [cell.lstrip('-') for cell in cells]


def _check_columns(parser, columns: list[str], place: str) -> None:
  known = set(_flags_of(parser)) - set(_OF_ALL)
  for index, column in enumerate(columns):
    if column in columns[:index]:
      raise errors.SavosError(
        f'{place}: two columns {column!r}.\n  Expected one: put several masks '
        "in one cell, separated by ';'."
      )
    if column not in known:
      near = difflib.get_close_matches(column, known, 1)
      meant = f' Did you mean {near[0]}?' if near else ''
      raise errors.SavosError(
        f'{place}: {column!r} is not a column.{meant}\n  Expected video, mask '
        'and flags of a single video, separated by commas; '
        f'{", ".join(f"--{name}" for name in _OF_ALL if name != "help")} are '
        'for the whole list.'
      )
  if 'video' not in columns:
    raise errors.SavosError(f'{place}: no column video.\n  Expected one.')


def _line(place: str, columns: list[str], cells: list[str]) -> _Line:
  if any(cells[len(columns) :]):
    # A mistake in this line, which does not stop the list.
    return _Line(place, {'': f'{len(cells)} cells; expected {len(columns)}'})
  named = zip(columns, cells, strict=False)
  return _Line(place, {column: cell for column, cell in named if cell})


def _flags_of(parser) -> dict[str, argparse.Action]:
  return {
    option.removeprefix('--'): action
    for action in parser._actions
    for option in action.option_strings
    if option.startswith('--')
  }


def _row(parser, asked, check, line: _Line, folder: pathlib.Path) -> Row:
  """Returns the row of a line."""
  cells = dict(line.cells)
  if '' in cells:
    raise errors.SavosError(cells[''])
  if 'video' not in cells:
    raise errors.SavosError('no video')
  video = _located(folder, cells.pop('video'))
  name = _check_name(cells.pop('out', '') or _name(video), asked.out)
  flags = _flags_of(parser)
  given = [
    flag
    for column, cell in cells.items()
    for flag in _given(flags[column], column, cell, folder)
  ]
  arguments = _parsed(parser, given, asked, video, check)
  arguments.list = arguments.ray = arguments.jobs = None
  arguments.out = _joined(asked.out, name)
  _check_there(arguments)
  return Row(line.place, name, arguments)


def _joined(out, name: str) -> str | pathlib.Path:
  if storage.is_url(out):
    return storage.join(str(out), name)
  return pathlib.Path(out).absolute() / name


def _name(video: str) -> str:
  if storage.is_url(video):
    return pathlib.PurePath(storage.name(video)).stem
  path = pathlib.Path(video)
  return path.name if path.is_dir() else path.stem


def _check_name(name: str, out) -> str:
  names.check(name, 'the name of its results')
  if name.startswith('.') or name.casefold() == outcomes.FILE:
    raise errors.SavosError(
      f'{name!r} is taken in {out}. Expected another name, in a column out.'
    )
  return name


def _located(folder: pathlib.Path, text: str) -> str:
  """Resolves a path against the list's folder; returns a URL unchanged."""
  return text if storage.is_url(text) else os.path.abspath(folder / text)


def _located_mask(folder: pathlib.Path, text: str) -> str:
  frame, equals, path = text.partition('=')
  if not equals or '/' in frame or (folder / text).exists():
    return _located(folder, text)
  return f'{frame}={_located(folder, path)}'


def _given(
  action: argparse.Action, column: str, cell: str, folder: pathlib.Path
) -> list[str]:
  """Returns the flags that a cell means."""
  if action.nargs == 0:
    known = {**dict.fromkeys(_YES, f'--{column}'), **_negated(action, column)}
    if cell.lower() not in known:
      raise errors.SavosError(
        f'{column}: {cell!r}. Expected {" or ".join(known)}, or nothing'
      )
    return [flag for flag in [known[cell.lower()]] if flag]
  several = action.nargs is not None
  if column == 'mask' and (folder / cell).exists():
    pieces = [cell]
  elif several or isinstance(action, argparse._AppendAction):
    pieces = [piece.strip() for piece in cell.split(';') if piece.strip()]
  else:
    pieces = [cell]
  if column == 'mask':
    pieces = [_located_mask(folder, piece) for piece in pieces]
  elif action.type is command.path:
    pieces = [_located(folder, piece) for piece in pieces]
  if several and len(pieces) > 1:
    return [f'--{column}', *pieces]
  return [f'--{column}={piece}' for piece in pieces]


def _negated(action: argparse.Action, column: str) -> dict[str, str]:
  negative = f'--no-{column}'
  there = negative in action.option_strings
  return dict.fromkeys(_NO, negative if there else '')


def _parsed(parser, given, asked, video: str, check) -> argparse.Namespace:
  """Returns the command line of one video."""

  def refuse(message: str):
    raise errors.SavosError(message)

  error = parser.error
  parser.error = refuse
  try:
    arguments = parser.parse_args(given, copy.copy(asked))
    arguments.video = video
    check(parser, arguments)
  finally:
    parser.error = error
  return arguments


def inputs(arguments: argparse.Namespace) -> Iterator[str]:
  """Yields the input paths and URLs of a video."""
  yield str(arguments.video)
  for group in arguments.mask or ():
    for text in group:
      yield mask_path(text)[1]


def mask_path(text: str) -> tuple[str, str]:
  """Returns the frame of a mask, '' for the first, and its path or URL."""
  if storage.is_url(text):
    return '', text
  frame, equals, path = text.partition('=')
  if equals and storage.is_url(path) and '/' not in frame:
    return frame, path
  frame, local = mask_files.split(text)
  return frame, str(local)


def _check_there(arguments: argparse.Namespace) -> None:
  """Raises SavosError if a local file is missing; URLs are not checked."""
  for path in inputs(arguments):
    if storage.is_url(path):
      storage.check(path)
      continue
    found = files.problem(path)
    if found not in ('', 'a folder'):
      raise errors.SavosError(f'{path}: {found}')


def _clashes(rows: Iterable[Row]) -> list[str]:
  """Describes rows that share a folder; on some disks A and a do."""
  by_key: dict[str, list[Row]] = {}
  for row in rows:
    key = unicodedata.normalize('NFC', row.name).casefold()
    by_key.setdefault(key, []).append(row)
  return [
    f'{", ".join(row.place for row in same)}: all write to {same[0].name!r}. '
    'Expected a folder for each: name it in a column out.'
    for same in by_key.values()
    if len(same) > 1
  ]
