"""Runs of several processes: joining them and telling them apart.

Every process runs the same program with the same flags. All of them compute;
only the first (`is_first`) writes files and logs.
"""

from collections.abc import Iterator
import contextlib
import os
import sys

import jax
from jax.experimental import multihost_utils

from savos_jax.foundation import errors

_COORDINATOR = 'JAX_COORDINATOR_ADDRESS'
_COUNT = 'JAX_NUM_PROCESSES'
_INDEX = 'JAX_PROCESS_ID'
# Seconds for the others to appear, and for a lost one to be noticed.
_START_TIMEOUT = 300
_HEARTBEAT_TIMEOUT = 100


def _number(name: str) -> int | None:
  text = os.environ.get(name)
  if text is None:
    return None
  try:
    return int(text)
  except ValueError:
    raise errors.SavosError(
      f'the environment variable {name} is {text!r}.\n  Expected a number.'
    ) from None


@contextlib.contextmanager
def joined() -> Iterator[None]:
  """Joins the other processes of this run; call it before any computation.

  JAX detects SLURM, Open MPI, Kubernetes (GKE) and Cloud TPU. Elsewhere, set
  JAX_COORDINATOR_ADDRESS (host:port of the first process), JAX_NUM_PROCESSES
  and JAX_PROCESS_ID.

  Raises:
    SavosError: no setting was found, or the others cannot be reached.
  """
  # On CPUs; other platforms have collectives of their own.
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  try:
    jax.distributed.initialize(
      os.environ.get(_COORDINATOR),
      _number(_COUNT),
      _number(_INDEX),
      initialization_timeout=_START_TIMEOUT,
      heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT,
    )
  except (ValueError, RuntimeError) as error:
    raise errors.SavosError(
      f'--distributed: the other processes were not found: {error}\n'
      '  Expected a job of SLURM, Open MPI, Kubernetes or Cloud TPU, or the '
      f'environment variables {_COORDINATOR} (host:port of the first process), '
      f'{_COUNT} and {_INDEX}. See launch/.'
    ) from None
  try:
    yield
  except errors.SavosError as error:
    # The others wait for this process. To leave in good order would be to wait
    # for them: end at once, and the launcher ends them.
    print(f'error: {error}', file=sys.stderr, flush=True)
    os._exit(2)
  jax.distributed.shutdown()


def is_first() -> bool:
  """Whether this is the process that writes files and logs."""
  return jax.process_index() == 0


def wait_for_all(name: str) -> None:
  """Waits until every process has reached this point.

  Args:
    name: of the point, the same in every process.
  """
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
