"""A list of videos on a Ray cluster: a video a task.

Ray places the tasks, and repeats one whose worker or machine was lost; each
attempt goes on in the folder of the one before. The network travels once to
each machine; what a worker has compiled serves its next video.
"""

import argparse
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import logging
import platform
import warnings

import jax

from savos_jax.foundation import allocation
from savos_jax.foundation import compilation_cache
from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files
from savos_jax.foundation import storage
from savos_jax.tools import networks
from savos_jax.tools import segmenting
from savos_jax.tools.many import one
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows

_RETRIES = 5  # After a video's worker was lost so often, it has failed.
_PATIENCE = 60.0  # Seconds in which tasks end that are interrupted.


@contextlib.contextmanager
def _no_bar(length: int | None) -> Iterator[Callable[[int], object]]:
  yield lambda done: None


def _task(
  arguments: argparse.Namespace, network: networks.Network
) -> outcomes.Outcome:
  """Segments a video, in a worker of Ray."""
  allocation.keep()
  compilation_cache.enable()
  out = arguments.out
  if not storage.is_url(out) and not out.parent.is_dir():
    return outcomes.Outcome(
      outcomes.FAILED,
      message=f'{out.parent}: no such folder on {platform.node()}. Expected '
      'one that all machines share, or a URL as --out.',
    )
  return one.segment(arguments, network, _no_bar)


def leave_devices() -> None:
  """Has this process compute on the CPU: accelerators are the workers'."""
  # JAX defines its settings as it runs: their types are not known.
  jax.config.update('jax_platforms', 'cpu')


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Lets Ray start: what it forks becomes another program at once."""
  with warnings.catch_warnings():
    # JAX warns of every fork.
    warnings.filterwarnings('ignore', '.*fork', RuntimeWarning)
    warnings.simplefilter('ignore', FutureWarning)  # Of Ray's own changes.
    yield


@contextlib.contextmanager
def _cluster(ray, address: str) -> Iterator[None]:
  """Connects with a cluster, or starts one of this machine."""
  if ray.is_initialized():
    yield
    return
  try:
    with quiet():
      ray.init(address=address or None, logging_level=logging.WARNING)
  except Exception as error:  # Of many kinds.
    raise errors.SavosError(
      f'--ray={address}: {outcomes.one_line(error)}.\n  Expected the address '
      'of a cluster that is running: HOST:PORT, or auto.'
    ) from None
  try:
    yield
  finally:
    ray.shutdown()


def _for_attempts(arguments: argparse.Namespace) -> argparse.Namespace:
  """Returns the arguments of a task, which may be tried several times.

  In a folder every attempt goes on, so earlier results that are to be replaced
  are removed before the first.
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
    A row and what became of it, in the order in which they end.

  Raises:
    SavosError: Ray is not installed, or there is no such cluster.
  """
  ray = extras.require('ray', 'ray', '--ray')
  asked = [(row, _for_attempts(row.arguments)) for row in found]
  with _cluster(ray, address):
    gpus = 1 if ray.cluster_resources().get('GPU') else 0
    task = ray.remote(max_retries=_RETRIES, num_gpus=gpus)(_task)
    on_host = dataclasses.replace(
      network, params=jax.device_get(network.params)
    )
    shared = ray.put(on_host)
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
  """Returns what a task has told, or why it could not."""
  try:
    return ray.get(ended)
  except ray.exceptions.RayTaskError as error:
    why = str(error).strip().rpartition('\n')[2]  # Of the traceback.
  except ray.exceptions.RayError as error:
    told = str(error).strip().partition('\n')[0]
    why = f'its worker was lost {_RETRIES + 1} times: {told}'
  return outcomes.Outcome(
    outcomes.FAILED, _held(row), message=outcomes.one_line(why)
  )


def _held(row: rows.Row) -> int:
  """Returns how many masks a video has; none in a store, before it ends."""
  out = row.arguments.out
  return 0 if storage.is_url(out) else segmenting.held(out)


def _cancel(ray, running) -> None:
  """Has tasks end as after Ctrl-C: what they have done is kept."""
  for task in running:
    ray.cancel(task)
  if running:
    ray.wait(list(running), num_returns=len(running), timeout=_PATIENCE)


def _begun(
  found: Iterable[rows.Row],
) -> Iterator[tuple[rows.Row, outcomes.Outcome]]:
  """Yields those of interrupted videos that have masks."""
  for row in found:
    frames = _held(row)
    if frames:
      outcome = outcomes.Outcome(
        outcomes.INCOMPLETE, frames, message='interrupted'
      )
      yield row, outcome
