"""Segments the videos of a list, for the program segment.

One after another: the network uses all cores, while frames are decoded ahead
and results written behind; or side by side, in processes here or on Ray.
"""

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import pathlib
import sys
import time

import tqdm

from savos_jax.foundation import allocation
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import storage
from savos_jax.tools import networks
from savos_jax.tools import segmenting
from savos_jax.tools.many import in_processes
from savos_jax.tools.many import one
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows
from savos_jax.video import jobs

_BAR = (
  '{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} [{elapsed}<{remaining}]'
)


def run(
  parser: argparse.ArgumentParser, asked: argparse.Namespace, check: rows.Check
) -> None:
  """Segments a list of videos.

  Args:
    parser: of the program.
    asked: what it parsed.
    check: see `rows.read`.

  Raises:
    Incomplete: a video is incomplete; all others are done.
    SavosError: a video failed; or the list is invalid and nothing was started.
  """
  allocation.keep()
  found = rows.read(parser, asked, check)
  if asked.ray is not None:
    from savos_jax.tools.many import on_ray

    on_ray.leave_devices()
  network = networks.load(asked, [row.arguments for row in found])
  with _claimed(asked, found):
    told = _before(asked, [row.name for row in found])
    try:
      _segment(asked, found, network, told)
    except KeyboardInterrupt:
      print(
        f'\nresults are in {asked.out}; the same command with --resume '
        'continues.',
        file=sys.stderr,
      )
      raise
    finally:
      print(outcomes.table(told))
  print(f'results are in {asked.out}')
  outcomes.raise_if_not_whole(told, f'{asked.out}/{outcomes.FILE}')


class _Shown:
  """Shows how much of a list is done, parts of videos included."""

  def __init__(self, bar: tqdm.tqdm):
    self._bar = bar
    self._done: dict[str, float] = {}

  def advance(self, row: rows.Row, share: float) -> None:
    self._set(row, min(1.0, self._done.get(row.name, 0.0) + share))

  def end(self, row: rows.Row) -> None:
    self._set(row, 1.0)
    self._bar.refresh()

  def _set(self, row: rows.Row, share: float) -> None:
    before = self._done.get(row.name, 0.0)
    self._done[row.name] = share
    self._bar.update(share - before)


def count_jobs(
  asked: argparse.Namespace,
  found: Sequence[rows.Row],
  network: networks.Network,
) -> int:
  """Returns how many processes are to segment a list."""
  if asked.jobs is not None:
    return min(asked.jobs, len(found))
  if len(found) == 1 or networks.is_accelerated(network):
    return 1
  learns = any(row.arguments.online_steps for row in found)
  kind = jobs.LEARNING if learns else network.runtime
  return jobs.fitting(len(found), jobs.GIB[kind])


def _segment(asked, found, network, told: dict[str, outcomes.Outcome]) -> None:
  """Segments the videos; adds each outcome to `told` as it finishes."""
  _write(asked.out, told)
  with tqdm.tqdm(
    total=len(found), desc='segmenting', bar_format=_BAR, disable=None
  ) as bar:
    shown = _Shown(bar)
    if asked.ray is not None:
      # It imports JAX, which need not be there.
      from savos_jax.tools.many import on_ray

      ended = on_ray.segmented(found, network, asked.ray)
    elif (count := count_jobs(asked, found, network)) > 1:
      ended = in_processes.segmented(found, network, count, shown.advance)
    else:
      ended = _segmented(found, network, shown)
    with contextlib.closing(ended):
      for row, outcome in ended:
        told[row.name] = outcome.after(told[row.name])
        _write(asked.out, told)
        bar.write(outcomes.line(row.name, told[row.name]))
        shown.end(row)


def _segmented(
  found: Iterable[rows.Row], network: networks.Network, shown: _Shown
) -> Generator[tuple[rows.Row, outcomes.Outcome], None, None]:
  """Yields each video with its outcome, one after another."""
  for row in found:
    began = time.monotonic()

    @contextlib.contextmanager
    def part(length: int | None, row=row) -> Iterator[Callable[[int], object]]:
      yield lambda done: shown.advance(row, done / length if length else 0.0)

    try:
      outcome = one.segment(row.arguments, network, part)
    except KeyboardInterrupt:
      seconds = time.monotonic() - began
      yield row, one.interrupted(row.arguments, seconds)
      raise
    yield row, outcome


@contextlib.contextmanager
def _claimed(asked, found: Iterable[rows.Row]) -> Iterator[None]:
  """Locks the folder for all results; refuses one that has results."""
  goes_on = asked.resume or asked.overwrite
  if storage.is_url(asked.out):
    if not goes_on and storage.listed(asked.out):
      raise _earlier(asked.out)
    yield
    return
  if asked.out.exists() and not asked.out.is_dir():
    raise errors.SavosError(
      f'{asked.out}: a file.\n  Expected a folder for the results, or a new '
      'path.'
    )
  with files.claimed(asked.out, [asked.list]) as manifest:
    summary = asked.out / outcomes.FILE
    manifest.check([summary])
    outs = (row.arguments.out for row in found)
    if not goes_on and (summary.exists() or any(map(segmenting.held, outs))):
      raise _earlier(asked.out)
    yield


def _earlier(out) -> errors.SavosError:
  return errors.SavosError(
    f'{out}: holds results of an earlier run.\n  --resume continues it, '
    '--overwrite starts from scratch; or name another --out.'
  )


def _before(asked, names: list[str]) -> dict[str, outcomes.Outcome]:
  """Returns the outcomes of the run that is being resumed."""
  text = _read(asked.out) if asked.resume else None
  return outcomes.from_csv(text or '', names)


def _read(out: str | pathlib.Path) -> str | None:
  if storage.is_url(out):
    return storage.read(storage.join(str(out), outcomes.FILE))
  path = pathlib.Path(out) / outcomes.FILE
  return path.read_text('utf-8', 'replace') if path.is_file() else None


def _write(
  out: str | pathlib.Path, told: Mapping[str, outcomes.Outcome]
) -> None:
  """Replaces the table of all videos."""
  text = outcomes.to_csv(told)
  if storage.is_url(out):
    storage.write(storage.join(str(out), outcomes.FILE), text)
    return
  with files.replacing(pathlib.Path(out) / outcomes.FILE) as partial:
    partial.write_text(text, 'utf-8', newline='\n')
