"""Examples made by Grain's worker processes, each with its own interpreter.

Python code in an example thus runs on as many cores as there are workers, and
shares no lock with the training. A process takes seconds to start, and memory
for its libraries and its copy of what `make` holds, which cloudpickle must be
able to send.
"""

from collections.abc import Iterator
import contextlib
import functools
import multiprocessing
from multiprocessing import resource_tracker
import os
import pickle
import signal
import threading

from absl import flags
import cv2
import numpy as np

from savos_jax.data.loaders import stacking
from savos_jax.foundation import errors
from savos_jax.foundation import extras


def batches(
  make, shapes, numbers, batch_size, workers, prefetch
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of make(number) for the numbers; see `loaders`."""
  grain = extras.require(
    'grain', 'grain', "config.data.loader='grain' (not 'threads')"
  )
  if not flags.FLAGS.is_parsed():
    # Grain reads an absl flag, which not every program parses.
    flags.FLAGS.mark_as_parsed()
  # Examples waiting per worker, in the worker and again here, besides the one
  # being processed on each side.
  waiting = max(1, (prefetch * batch_size // workers - 1) // 2)
  examples = iter(
    grain.MapDataset.range(numbers.start, numbers.stop)
    .map(functools.partial(_outcome, make))
    .to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    .mp_prefetch(
      grain.MultiprocessingOptions(min(workers, len(numbers)), waiting),
      _begin_worker,
    )
  )
  with contextlib.closing(examples):
    for start in range(0, len(numbers), batch_size):
      # The first one starts the workers.
      with contextlib.nullcontext() if start else _signals_held():
        batch = [_next_example(examples) for _ in range(batch_size)]
      yield stacking.stack(batch, shapes)


def _outcome(make, number: int) -> np.ndarray:
  """Returns an example, or its error, which Grain would otherwise wrap.

  It is pickled, uint8 [...], to pass through a single block of shared memory:
  with a pipe, a worker could not end before everything in it was fetched.
  """
  try:
    outcome = make(number)
  except errors.SavosError as error:
    outcome = error
  return np.frombuffer(pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL), np.uint8)


def _next_example(examples: Iterator[np.ndarray]) -> dict[str, np.ndarray]:
  try:
    outcome = next(examples)
  except RuntimeError as error:
    # From the first line of Grain's message; errors of `make` differ.
    what, _, _ = str(error).partition('. ')
    if 'was terminated unexpectedly' not in what:
      raise
    raise errors.SavosError(
      f"config.data.loader='grain': {what}.\n  Expected memory for all worker "
      'processes (-9: the system ends one that takes too much), and for their '
      'examples in /dev/shm (-7: docker run --shm-size=1g). Make room, lower '
      "config.data.workers, or set config.data.loader='threads'."
    ) from None
  example = pickle.loads(outcome.data)
  if isinstance(example, errors.SavosError):
    raise example
  return example


def _begin_worker(index: int, count: int) -> None:
  """Runs first in each worker."""
  del index, count
  cv2.setNumThreads(1)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this process when its parent has been killed."""
  parent = multiprocessing.parent_process()
  assert parent is not None  # A worker has one.
  parent.join()
  os._exit(1)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
  """Shields processes started in the block from Ctrl-C and SIGTERM.

  These reach all processes of a terminal or a cluster job, but a training still
  finishes its step, which needs examples. This process gets them afterwards.
  """
  # A process started inside the block would not be shielded.
  resource_tracker.ensure_running()
  before = signal.pthread_sigmask(
    signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM)
  )
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
