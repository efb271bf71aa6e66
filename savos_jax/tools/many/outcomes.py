"""The outcome of each video of a list: a line, a table, and summary.csv."""

from collections.abc import Mapping
import csv
import dataclasses
import io
import math

from savos_jax.foundation import errors
from savos_jax.foundation import spreadsheets

FILE = 'summary.csv'
DONE = 'done'
INCOMPLETE = 'incomplete'
FAILED = 'failed'
NOT_BEGUN = 'not begun'
_COLUMNS = ('video', 'status', 'frames', 'seconds', 'message')
_NAMED = 5  # Videos in the last message.


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The outcome of a video.

  Attributes:
    status: 'done'; 'incomplete': interrupted, or frames of a damaged file are
      missing; 'failed'; 'not begun'.
    frames: number of frames with a mask.
    seconds: time over all runs.
    message: one line that says why it is not done.
  """

  status: str = NOT_BEGUN
  frames: int = 0
  seconds: float = 0.0
  message: str = ''

  def after(self, before: 'Outcome') -> 'Outcome':
    """Returns the outcome with the time of an earlier run added."""
    return dataclasses.replace(self, seconds=self.seconds + before.seconds)


def one_line(text: object) -> str:
  """Joins the lines of a message."""
  return ' '.join(str(text).split())


def line(name: str, outcome: Outcome) -> str:
  """Returns the line printed when a video ends."""
  why = outcome.message and f': {outcome.message}'
  return errors.shown(
    f'{name}: {outcome.status}, {outcome.frames} frames, '
    f'{outcome.seconds:.1f} s{why}'
  )


def _rows(outcomes: Mapping[str, Outcome]) -> list[tuple[str, ...]]:
  return [
    (name, o.status, str(o.frames), f'{o.seconds:.1f}', o.message)
    for name, o in outcomes.items()
  ]


def table(outcomes: Mapping[str, Outcome]) -> str:
  """Returns a table to read."""
  rows = [_COLUMNS, *_rows(outcomes)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  aligned = ('<', '<', '>', '>')
  return '\n'.join(
    errors.shown(
      '  '.join(
        f'{cell:{align}{width}}'
        for cell, align, width in zip(row, aligned, widths, strict=False)
      )
      + f'  {row[-1]}'
    ).rstrip()
    for row in rows
  )


def to_csv(outcomes: Mapping[str, Outcome]) -> str:
  """Returns the content of summary.csv."""
  return spreadsheets.to_csv([_COLUMNS, *_rows(outcomes)])


def from_csv(text: str, names: list[str]) -> dict[str, Outcome]:
  """Reads a summary.csv of an earlier run.

  Args:
    text: its content; lines that are not understood are ignored.
    names: of the videos to look for.

  Returns:
    Name -> outcome, for all of them.
  """
  # Names as they are in the file, where some begin with an apostrophe.
  found = {spreadsheets.to_csv([[name]]).strip(): name for name in names}
  outcomes = dict.fromkeys(names, Outcome())
  for row in csv.reader(io.StringIO(text, newline='')):
    name = row and found.get(spreadsheets.to_csv([row[:1]]).strip())
    if name and len(row) == len(_COLUMNS):
      outcomes[name] = _outcome(*row[1:]) or Outcome()
  return outcomes


def _outcome(status, frames, seconds, message) -> Outcome | None:
  try:
    read = Outcome(status, int(frames), float(seconds), message)
  except ValueError:
    return None
  known = status in (DONE, INCOMPLETE, FAILED)
  return read if known and math.isfinite(read.seconds) else None


def raise_if_not_whole(outcomes: Mapping[str, Outcome], where: str) -> None:
  """Raises if any video of the list is not done.

  Raises:
    Incomplete: some videos are incomplete.
    SavosError: some failed.
  """
  for kind, status, then in (
    (errors.SavosError, FAILED, 'tries them again'),
    (errors.Incomplete, INCOMPLETE, 'continues those that can be completed'),
  ):
    names = [name for name, o in outcomes.items() if o.status == status]
    if names:
      more = ', ...' if len(names) > _NAMED else ''
      raise kind(
        f'{len(names)} of {len(outcomes)} videos: {status}: '
        f'{", ".join(names[:_NAMED])}{more}.\n'
        f'  {where} says why; the same command with --resume {then}.'
      )
