"""Segments a list of videos on a Ray cluster, one task per video.

Ray schedules the tasks, and retries one whose worker or machine was lost; each
attempt resumes in the folder of the one before. The network is sent once to
each machine, and a worker reuses what it has compiled.
"""

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import logging
import platform
import warnings

import jax

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files
from savos_jax.foundation import storage
from savos_jax.tools import networks
from savos_jax.tools.many import one
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows

_RETRIES = 5  # A video fails when its worker was lost more often than this.
_PATIENCE = 60.0  # Seconds that interrupted tasks get to finish.


@contextlib.contextmanager
def _no_bar(length: int | None) -> Iterator[Callable[[int], object]]:
  yield lambda done: None


def _task(
  arguments: argparse.Namespace, network: networks.Network
) -> outcomes.Outcome:
  """Segments a video in a Ray worker."""
  out = arguments.out
  if not storage.is_url(out) and not out.parent.is_dir():
    return outcomes.Outcome(
      outcomes.FAILED,
      message=f'{out.parent}: no such folder on {platform.node()}. Expected '
      'one that all machines share, or a URL as --out.',
    )
  return one.segment(arguments, one.prepare(network), _no_bar)


def leave_devices() -> None:
  """Makes this process use the CPU: accelerators are for the workers."""
  # JAX defines its settings at run time, so they have no types.
  jax.config.update('jax_platforms', 'cpu')


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Silences warnings about forks and Ray's own changes while Ray starts."""
  with warnings.catch_warnings():
    # JAX warns of every fork, but Ray's forks exec another program at once.
    warnings.filterwarnings('ignore', '.*fork', RuntimeWarning)
    warnings.simplefilter('ignore', FutureWarning)  # Of Ray's own changes.
    yield


@contextlib.contextmanager
def _cluster(ray, address: str) -> Iterator[None]:
  """Connects to a cluster, or starts one on this machine."""
  if ray.is_initialized():
    yield
    return
  try:
    with quiet():
      ray.init(address=address or None, logging_level=logging.WARNING)
  except Exception as error:  # Of many kinds.
    raise errors.SavosError(
      f'--ray={address}: {outcomes.one_line(error)}.\n  Expected the address '
      'of a running cluster: HOST:PORT, or auto.'
    ) from None
  try:
    yield
  finally:
    ray.shutdown()


def _for_attempts(arguments: argparse.Namespace) -> argparse.Namespace:
  """Returns the arguments of a task, which may take several attempts.

  Attempts in a folder resume, so earlier results that are to be replaced are
  removed before the first one.
  """
  if storage.is_url(arguments.out):
    return arguments
  if arguments.overwrite and not arguments.resume:
    with files.claimed(arguments.out, rows.inputs(arguments)) as manifest:
      manifest.clear()
  changed = {'resume': True, 'overwrite': False}
  return argparse.Namespace(**{**vars(arguments), **changed})


def segmented(
  found: Iterable[rows.Row], network: networks.Network, address: str
) -> Generator[tuple[rows.Row, outcomes.Outcome], None, None]:
  """Segments videos.

  Args:
    found: the rows.
    network: the network.
    address: of the cluster; '': the one that Ray finds, else this machine.

  Yields:
    Each row with its outcome, in the order in which they finish.

  Raises:
    SavosError: Ray is not installed, or there is no such cluster.
  """
  ray = extras.require('ray', 'ray', '--ray')
  asked = [(row, _for_attempts(row.arguments)) for row in found]
  with _cluster(ray, address):
    gpus = 1 if ray.cluster_resources().get('GPU') else 0
    task = ray.remote(max_retries=_RETRIES, num_gpus=gpus)(_task)
    shared = ray.put(networks.on_host(network))
    running = {task.remote(each, shared): row for row, each in asked}
    try:
      while running:
        [ended], _ = ray.wait(list(running))
        row = running.pop(ended)
        yield row, _outcome(ray, ended, row)
    except KeyboardInterrupt:
      _cancel(ray, running)
      yield from _begun(running.values())
      raise
    except GeneratorExit:
      _cancel(ray, running)
      raise


def _outcome(ray, ended, row: rows.Row) -> outcomes.Outcome:
  """Returns the outcome that a task reported, or why there is none."""
  try:
    return ray.get(ended)
  except ray.exceptions.RayTaskError as error:
    why = str(error).strip().rpartition('\n')[2]  # Of the traceback.
  except ray.exceptions.RayError as error:
    told = str(error).strip().partition('\n')[0]
    why = f'its worker was lost {_RETRIES + 1} times: {told}'
  return outcomes.Outcome(
    outcomes.FAILED, one.held(row.arguments), message=outcomes.one_line(why)
  )


def _cancel(ray, running) -> None:
  """Ends tasks as Ctrl-C does: their results so far are kept."""
  for task in running:
    ray.cancel(task)
  if running:
    ray.wait(list(running), num_returns=len(running), timeout=_PATIENCE)


def _begun(
  found: Iterable[rows.Row],
) -> Iterator[tuple[rows.Row, outcomes.Outcome]]:
  """Yields the outcomes of interrupted videos that have masks."""
  for row in found:
    outcome = one.interrupted(row.arguments)
    if outcome.frames:
      yield row, outcome
