"""Two files of `inference --json` or `training --json`, row by row.

A row for each that both files have: the same in all columns in front of
compile_s. Columns:

  old_s, new_s    the medians
  ratio           old over new: above 1 the new one is faster
  least, most     the ratio at worst and at best: of the fastest of old and the
                  slowest of new, and the other way round
  to_limit        the ratio of the shares of the limit, which was measured in
                  the process of each: a slower machine changes it less; "-"
                  where it is not known

With --least a row whose ratio is lower ends the program with status 2.
"""

import argparse

from savos_jax.tools import command


def _ratio(text: str) -> float:
  value = float(text)
  if not 0 < value < float('inf'):
    raise argparse.ArgumentTypeError(f'{text}: expected a number above 0')
  return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds this command's flags."""
  for name in ('old', 'new'):
    parser.add_argument(
      name, type=command.path, metavar=f'{name.upper()}.json', help='measured'
    )
  parser.add_argument(
    '--least',
    type=_ratio,
    metavar='RATIO',
    help='lowest ratio of a row that is no failure, such as 0.9',
  )
