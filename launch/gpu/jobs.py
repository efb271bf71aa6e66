"""Shared by the jobs: a growing table, a time limit, reports of failures."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import pathlib
import statistics
import sys
import time
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / 'tests' / 'golden')]

from savos_jax.models import savos_config
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared

# Name -> the encoder's width and the decoder's channels.
WIDTHS = {'full': (1.0, 256), 'half': (0.5, 128), 'tiny': (1 / 16, 8)}


def parser(description: str, seconds: int) -> argparse.ArgumentParser:
  """Returns a parser with the flags that jobs have.

  Args:
    description: the job's docstring.
    seconds: for the job, where nothing else is said.
  """
  made = argparse.ArgumentParser(
    description=description,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  shared.add_output_arguments(made)
  made.add_argument(
    '--seconds',
    type=float,
    default=seconds,
    help='no row is begun after so many (default %(default)s)',
  )
  made.add_argument(
    '--quick',
    action='store_true',
    help='a tiny network and tiny frames: whether the job runs here',
  )
  return made


def architecture(width: str, dtype: str) -> savos_config.SavosConfig:
  """Returns a network by its name in `WIDTHS`."""
  multiplier, features = WIDTHS[width]
  return savos_config.SavosConfig(
    width_multiplier=multiplier, decoder_features=features, compute_dtype=dtype
  )


def run(
  arguments: argparse.Namespace,
  cases: Iterable[Any],
  measure: Callable[[Any], Mapping[str, Any] | list[Mapping[str, Any]]],
  **about: Mapping[str, Any],
) -> int:
  """Measures one case after the other, as long as there is time.

  Args:
    arguments: the flags.
    cases: the most important first.
    measure: case -> a row, or several. What it raises is told, and the next
      case begun.
    **about: told above the table.

  Returns:
    The exit status: 1 if a case failed.
  """
  begun, failed = time.monotonic(), 0
  out = output.Output(arguments, **about)
  for case in cases:
    if time.monotonic() - begun > arguments.seconds:
      print(f'not started, the {arguments.seconds:g} s are over: {case}')
      continue
    try:
      found = measure(case)
      for row in found if isinstance(found, list) else [found]:
        out.add(row)
    except Exception as error:  # Whatever it is, the next case may run.
      failed += 1
      told = f'{type(error).__name__}: {error}'.splitlines()[0]
      print(f'failed: {case}: {told}', flush=True)
      out.fail(str(case), told)
  return 1 if failed else 0


def in_turn(
  programs: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, float]:
  """Times programs, one call of each in turn: what slows one slows all.

  Args:
    programs: name -> a call that waits for the device.
    rounds: that are timed, after two that are not.

  Returns:
    Median seconds of each.
  """
  seconds: dict[str, list[float]] = {name: [] for name in programs}
  for number in range(rounds + 2):
    for name, once in programs.items():
      started = time.perf_counter()
      once()
      if number >= 2:
        seconds[name].append(time.perf_counter() - started)
  return {name: statistics.median(found) for name, found in seconds.items()}
