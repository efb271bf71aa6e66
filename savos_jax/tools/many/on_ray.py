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

from savos_jax import network
from savos_jax.foundation import compilation_cache
from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files
from savos_jax.foundation import storage
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
  arguments: argparse.Namespace, trained: network.Trained
) -> outcomes.Outcome:
  """Segments a video, in a worker of Ray."""
  compilation_cache.enable()
  out = arguments.out
  if not storage.is_url(out) and not out.parent.is_dir():
    return outcomes.Outcome(
      outcomes.FAILED,
      message=f'{out.parent}: no such folder on {platform.node()}. Expected '
      'one that all machines share, or a URL as --out.',
    )
  return one.segment(arguments, trained, _no_bar)


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
  found: Iterable[rows.Row], trained: network.Trained, address: str
) -> Generator[tuple[rows.Row, outcomes.Outcome], None, None]:
  """Segments videos.

  Args:
    found: the rows.
    trained: the network.
    address: of the cluster; '': the one that Ray finds, else this machine.

  Yields:
    A row and what became of it, in the order in which they end.

  Raises:
    SavosError: Ray is not installed, or there is no such cluster.
  """
  ray = extras.require('ray', 'ray', '--ray')
  with _cluster(ray, address):
    gpus = 1 if ray.cluster_resources().get('GPU') else 0
    task = ray.remote(max_retries=_RETRIES, num_gpus=gpus)(_task)
    on_host = dataclasses.replace(
      trained, params=jax.device_get(trained.params)
    )
    shared = ray.put(on_host)
    running = {
      task.remote(_for_attempts(row.arguments), shared): row for row in found
    }
    try:
      while running:
        [ended], _ = ray.wait(list(running))
        yield running.pop(ended), _outcome(ray, ended)
    except KeyboardInterrupt:
      yield from _interrupted(ray, running)
      raise


def _outcome(ray, ended) -> outcomes.Outcome:
  try:
    return ray.get(ended)
  except ray.exceptions.RayError as error:
    message = outcomes.one_line(f'lost {_RETRIES + 1} times: {error}')
    return outcomes.Outcome(outcomes.FAILED, message=message)


def _interrupted(ray, running):
  """Has tasks end as after Ctrl-C; yields those that were begun."""
  for task in running:
    ray.cancel(task)
  ray.wait(list(running), num_returns=len(running), timeout=_PATIENCE)
  for row in running.values():
    out = row.arguments.out
    frames = 0 if storage.is_url(out) else segmenting.held(out)
    if frames:
      yield (
        row,
        outcomes.Outcome(outcomes.INCOMPLETE, frames, message='interrupted'),
      )
