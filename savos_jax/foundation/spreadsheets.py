"""Writes CSV in which a spreadsheet finds no formulas.

Spreadsheets execute text that looks like a formula. As OWASP recommends
(https://owasp.org/www-community/attacks/CSV_Injection), such cells are prefixed
with an apostrophe.
"""

from collections.abc import Iterable
import csv
import io
import re

# Full-width signs, too: some spreadsheets take them for the plain ones.
_FORMULA = re.compile('[=+\\-@\t\r\n＝＋－＠]')
_NUMBER = re.compile(r'[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|inf)')
# Elsewhere a cell ends here: the separator is not a comma everywhere.
_SEPARATORS = re.compile('[;\t\r\n]')


def _cell(value: object) -> str:
  text = str(value)
  if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
    return f"'{text}"
  return text


def to_csv(rows: Iterable[Iterable[object]]) -> str:
  """Returns a table as CSV text.

  Args:
    rows: lists of cells. Text that does not look like a formula is written
      unchanged, quoted if necessary.
  """
  text = io.StringIO()
  for row in rows:
    cells = list(map(_cell, row))
    split = any(map(_SEPARATORS.search, cells))
    csv.writer(
      text,
      lineterminator='\n',
      quoting=csv.QUOTE_ALL if split else csv.QUOTE_MINIMAL,
    ).writerow(cells)
  return text.getvalue()
