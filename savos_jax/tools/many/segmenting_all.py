"""Segments the videos of a list, for the program segment.

They are processed one after another: the network uses all cores, while frames
are decoded ahead and results written behind. Ray processes several at once.
"""

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import functools
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
from savos_jax.tools.many import one
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows

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


def _segment(asked, found, network, told: dict[str, outcomes.Outcome]) -> None:
  """Segments the videos; adds each outcome to `told` as it finishes."""
  _write(asked.out, told)
  with tqdm.tqdm(
    total=len(found), desc='segmenting', bar_format=_BAR, disable=None
  ) as bar:
    if asked.ray is None:
      ended = _segmented(found, network, functools.partial(_part, bar))
    else:
      # It imports JAX, which need not be there.
      from savos_jax.tools.many import on_ray

      ended = on_ray.segmented(found, network, asked.ray)
    with contextlib.closing(ended):
      for count, (row, outcome) in enumerate(ended, 1):
        told[row.name] = outcome.after(told[row.name])
        _write(asked.out, told)
        bar.write(outcomes.line(row.name, told[row.name]))
        bar.n = count
        bar.refresh()


@contextlib.contextmanager
def _part(bar, length: int | None) -> Iterator[Callable[[int], object]]:
  """Shows the progress of a video as part of the list."""
  yield lambda done: bar.update(done / length if length else 0)


def _segmented(
  found: Iterable[rows.Row], network: networks.Network, bar: segmenting.Bar
) -> Generator[tuple[rows.Row, outcomes.Outcome], None, None]:
  """Yields each video with its outcome, one after another."""
  for row in found:
    began = time.monotonic()
    try:
      outcome = one.segment(row.arguments, network, bar)
    except KeyboardInterrupt:
      out = row.arguments.out
      frames = 0 if storage.is_url(out) else segmenting.held(out)
      seconds = time.monotonic() - began
      yield (
        row,
        outcomes.Outcome(outcomes.INCOMPLETE, frames, seconds, 'interrupted'),
      )
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
