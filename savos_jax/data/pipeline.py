"""Examples made in parallel, batched, ready before they are asked for.

By tf.data, or by the standard library's threads: the same examples in the same
order. TensorFlow is imported here and nowhere else in `data` but for the TFDS
source.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import concurrent.futures
import importlib.util
import itertools
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import threads

LOADERS = ('auto', 'tf', 'threads')


def _tensorflow():
  """Returns the module: slow to import, and not needed by everybody."""
  return extras.require(
    'tensorflow', 'tf', "config.data.loader='tf' (not 'threads')"
  )


def installed_loaders() -> list[str]:
  """Returns the loaders that are to be had here, that of 'auto' first."""
  installed = importlib.util.find_spec('tensorflow') is not None
  return ['tf', 'threads'] if installed else ['threads']


def hide_accelerators() -> None:
  """Keeps TensorFlow off the accelerators, whose memory it would take."""
  if importlib.util.find_spec('tensorflow') is None:
    return
  tf = _tensorflow()
  tf.config.set_visible_devices([], 'GPU')
  tf.config.set_visible_devices([], 'TPU')


def batches(
  make_example: Callable[[int], dict[str, np.ndarray]],
  crop_size: tuple[int, int],
  clip_frames: int,
  batch_size: int,
  start_step: int,
  stop_step: int,
  workers: int,
  prefetch: int,
  host_index: int = 0,
  host_count: int = 1,
  loader: str = 'auto',
) -> Iterator[dict[str, np.ndarray]]:
  """Iterates over this host's share of the batches start_step..stop_step - 1.

  The batch of step s is made of examples s * batch_size to (s + 1) * batch_size
  - 1, so starting at a later step gives the batches that an uninterrupted run
  would have seen. Host h has the h-th of host_count equal slices of each.

  While it iterates, OpenCV computes on one thread a call: the workers are what
  runs in parallel. Close the iterator (`contextlib.closing`) if it is left
  early, and OpenCV's threads are as they were.

  At most workers + prefetch * batch_size / host_count examples are in the
  making or waiting at any time, beside the batch that was given last.

  Args:
    make_example: index -> example, as `sampling.Sampler.example`.
    crop_size: (height, width) of the examples, pixels.
    clip_frames: T, frames to segment in an example.
    batch_size: examples a batch, of all hosts together.
    start_step: the first step.
    stop_step: one past the last.
    workers: examples made at once, at least 1.
    prefetch: batches kept ready, at least 1.
    host_index: which host this is, from 0.
    host_count: number of hosts.
    loader: 'tf', 'threads', or 'auto': 'tf' where TensorFlow is installed.

  Returns:
    An iterator of the examples' arrays with a leading axis of batch_size /
    host_count.

  Raises:
    SavosError: the hosts can't share a batch equally; while iterating, from
      `make_example`, as it was raised.
  """
  if batch_size % host_count:
    raise errors.SavosError(
      f'config.train.batch_size is {batch_size}, on {host_count} hosts.\n'
      f'  Expected a multiple of {host_count}: each host makes an equal share.'
    )
  share = batch_size // host_count
  first = host_index * share

  def to_index(i: int) -> int:
    """From the number of an example of this host to its index."""
    return i // share * batch_size + first + i % share

  if loader == 'auto':
    loader = installed_loaders()[0]
  return (_by_tf if loader == 'tf' else _by_threads)(
    lambda i: make_example(to_index(int(i))),
    _shapes(crop_size, clip_frames),
    range(start_step * share, stop_step * share),
    share,
    workers,
    prefetch,
  )


def _shapes(crop_size, clip_frames) -> dict[str, tuple[int, ...]]:
  """Returns an example's arrays' shapes; all are uint8 but `index`, int64."""
  mask, clip = tuple(crop_size), (clip_frames, *crop_size)
  return {
    'index': (),
    'reference_frame': (*mask, 3),
    'reference_mask': mask,
    'frames': (*clip, 3),
    'masks': clip,
    'guidance': mask,
  }


def _by_threads(
  make, shapes, numbers, batch_size, workers, prefetch
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of make(number) for the numbers, in their order."""
  most = workers + prefetch * batch_size
  left = iter(numbers)
  waiting: collections.deque[concurrent.futures.Future] = collections.deque()
  with (
    threads.one_opencv_thread(),
    concurrent.futures.ThreadPoolExecutor(workers) as pool,
  ):

    def begin(count):
      waiting.extend(
        pool.submit(make, number) for number in itertools.islice(left, count)
      )

    begin(most)
    try:
      while waiting:
        examples = [waiting.popleft().result() for _ in range(batch_size)]
        batch = {name: _stack(name, s, examples) for name, s in shapes.items()}
        begin(batch_size)
        yield batch
    finally:
      for future in waiting:
        future.cancel()


def _stack(name, shape, examples) -> np.ndarray:
  arrays = [np.asarray(example[name]) for example in examples]
  for array in arrays:
    if array.shape != shape:
      expected = str(list(shape)).replace(' ', '')
      raise ValueError(f'{name}: {array.shape}, expected {expected}')
  return np.stack(arrays)


def _options(workers: int) -> Any:
  tf = _tensorflow()
  options = tf.data.Options()
  # Nothing is left to tune, and the tuner's thread, once it sleeps, holds up
  # the end of the iteration for as much as a minute.
  options.autotune.enabled = False
  # Fused, they run ahead by several times what `prefetch` says.
  options.experimental_optimization.map_and_batch_fusion = False
  # Otherwise no more run at once than there are cores.
  options.threading.private_threadpool_size = workers
  return options


def _by_tf(
  make, shapes, numbers, batch_size, workers, prefetch
) -> Iterator[dict[str, np.ndarray]]:
  """As `_by_threads`."""
  tf = _tensorflow()
  failures: list[errors.SavosError] = []

  def make_arrays(number):
    try:
      example = make(number)
    except errors.SavosError as error:
      # tf.data would wrap it into an error of its own, traceback and all.
      failures.append(error)
      raise
    return tuple(example[name] for name in shapes)

  def to_example(number):
    dtypes = [tf.int64 if name == 'index' else tf.uint8 for name in shapes]
    values = tf.numpy_function(make_arrays, [number], dtypes)
    return {
      name: tf.ensure_shape(value, shape)
      for (name, shape), value in zip(shapes.items(), values, strict=True)
    }

  dataset = tf.data.Dataset.range(numbers.start, numbers.stop)
  dataset = dataset.map(
    to_example, num_parallel_calls=workers, deterministic=True
  )
  dataset = dataset.batch(batch_size, drop_remainder=True)
  dataset = dataset.prefetch(prefetch)
  dataset = dataset.with_options(_options(workers))
  with threads.one_opencv_thread():
    try:
      yield from dataset.as_numpy_iterator()
    except tf.errors.OpError:
      if failures:
        raise failures[0] from None
      raise
