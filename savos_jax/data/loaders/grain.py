"""Examples made by worker processes of Grain: each has a Python of its own.

So what is Python in an example runs in as many of them as there are cores, and
no lock is shared with the training. A process takes seconds to start, and
memory: for its libraries, and for its copy of what `make` holds, which must be
such that cloudpickle can send it.
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
    # Grain reads a flag of absl's, which not every program parses.
    flags.FLAGS.mark_as_parsed()
  # So many examples of each worker wait there, and as many here, besides one in
  # hand on each side.
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
  """Returns an example, or the error: Grain would add its own words to it.

  Pickled, uint8 [...]: so it goes through one piece of shared memory. A pipe
  would hold up the end of a worker that has put more into it than is fetched.
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
    # The first line of Grain's message; what `make` raises is another one.
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
  """Is called first in each worker."""
  del index, count
  cv2.setNumThreads(1)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this process when the one that started it was killed."""
  parent = multiprocessing.parent_process()
  assert parent is not None  # A worker has one.
  parent.join()
  os._exit(1)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
  """Keeps Ctrl-C and SIGTERM from processes that are begun in the block.

  They go to all processes of a terminal or of a cluster's job, and a training
  takes a whole step more, with examples. This process gets them afterwards.
  """
  # If it was begun in the block, it would let both signals through.
  resource_tracker.ensure_running()
  before = signal.pthread_sigmask(
    signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM)
  )
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
