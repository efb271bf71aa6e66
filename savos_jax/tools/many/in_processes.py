"""Segments a list of videos side by side, in processes of this machine.

The next video goes to the first process that is free. A process that is lost is
replaced, and its video goes on where it was.
"""

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import functools
import time

from savos_jax.foundation import cores
from savos_jax.foundation import workers
from savos_jax.tools import networks
from savos_jax.tools.many import one
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows


def _begin(network: networks.Network) -> workers.Handle:
  """Prepares a process; returns what segments a video in it."""
  return functools.partial(_segment, one.prepare(network))


def _segment(
  network: networks.Network,
  arguments: argparse.Namespace,
  report: workers.Report,
) -> outcomes.Outcome:
  @contextlib.contextmanager
  def part(length: int | None) -> Iterator[Callable[[int], object]]:
    yield lambda done: report(done / length if length else 0.0)

  return one.segment(arguments, network, part)


def _for_attempts(arguments: argparse.Namespace) -> argparse.Namespace:
  """Returns the arguments of a task, of which the second attempt resumes.

  With --overwrite it starts again: the first may not have removed anything.
  """
  if arguments.overwrite:
    return arguments
  return argparse.Namespace(**{**vars(arguments), 'resume': True})


def segmented(
  found: Sequence[rows.Row],
  network: networks.Network,
  jobs: int,
  advance: Callable[[rows.Row, float], object],
) -> Generator[tuple[rows.Row, outcomes.Outcome]]:
  """Segments videos.

  Args:
    found: the rows.
    network: the network.
    jobs: number of processes.
    advance: called with a row and the share of its video that was done since
      the last call.

  Yields:
    Each row with its outcome, in the order in which they finish.

  Raises:
    SavosError: processes can't be started.
  """
  tasks = [_for_attempts(row.arguments) for row in found]
  shares = cores.shares(cores.usable(), jobs)
  began: dict[int, float] = {}  # Those that are running.
  events = workers.run(_begin, networks.on_host(network), tasks, shares)

  def ended(index: int, outcome: outcomes.Outcome):
    del began[index]
    return found[index], outcome

  try:
    with contextlib.closing(events):
      for event in events:
        match event:
          case workers.Begun(index):
            began.setdefault(index, time.monotonic())
          case workers.Told(index, share):
            advance(found[index], share)
          case workers.Ended(index, outcome):
            yield ended(index, outcome)
          case workers.Lost(index, why):
            seconds = time.monotonic() - began[index]
            frames = one.held(found[index].arguments)
            yield ended(
              index, outcomes.Outcome(outcomes.FAILED, frames, seconds, why)
            )
  except KeyboardInterrupt:
    for index, start in began.items():
      row = found[index]
      yield row, one.interrupted(row.arguments, time.monotonic() - start)
    raise
