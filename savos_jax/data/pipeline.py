"""Examples made in parallel, batched and prefetched.

With tf.data, threads or Grain's worker processes; all give the same examples in
the same order.
"""

from collections.abc import Callable
from collections.abc import Iterator
import importlib.util

import numpy as np

from savos_jax.data.loaders import grain as grain_loader
from savos_jax.data.loaders import tf as tf_loader
from savos_jax.data.loaders import threads as threads_loader
from savos_jax.foundation import errors

# Name -> the function that yields batches, and the library that it needs.
_LOADERS = {
  'tf': (tf_loader.batches, 'tensorflow'),
  'threads': (threads_loader.batches, None),
  'grain': (grain_loader.batches, 'grain'),
}
LOADERS = ('auto', *_LOADERS)


def installed_loaders() -> list[str]:
  """Returns the loaders available here, the one that 'auto' picks first."""
  return [
    name
    for name, (_, library) in _LOADERS.items()
    if library is None or importlib.util.find_spec(library)
  ]


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

  OpenCV uses a single thread per call while examples are made, because the
  workers already run in parallel. Close the iterator (`contextlib.closing`) if
  you leave it early: that restores OpenCV's threads and ends worker processes.

  At most workers + prefetch * batch_size / host_count examples are in progress
  or waiting at any time, besides the batch last yielded; with 'grain', at least
  four per worker.

  Args:
    make_example: index -> example, as `sampling.Sampler.example`; picklable for
      'grain'.
    crop_size: (height, width) of the examples, pixels.
    clip_frames: T, frames to segment in an example.
    batch_size: examples per batch, over all hosts.
    start_step: the first step.
    stop_step: one past the last.
    workers: examples made in parallel, at least 1.
    prefetch: batches to keep ready, at least 1.
    host_index: which host this is, from 0.
    host_count: number of hosts.
    loader: 'tf' (tf.data), 'threads', 'grain' (processes), or 'auto': 'tf'
      if TensorFlow is installed, else 'threads'.

  Returns:
    An iterator of the examples' arrays with a leading axis of batch_size /
    host_count.

  Raises:
    SavosError: a batch can't be divided equally among the hosts. While
      iterating: whatever `make_example` raised, unchanged, or the loader's
      library is not installed.
  """
  if batch_size % host_count:
    raise errors.SavosError(
      f'config.train.batch_size is {batch_size}, on {host_count} hosts.\n'
      f'  Expected a multiple of {host_count}: each host makes an equal share.'
    )
  share = batch_size // host_count
  first = host_index * share

  def make(number: int) -> dict[str, np.ndarray]:
    """Makes this host's example with the given number."""
    return make_example(number // share * batch_size + first + number % share)

  if loader == 'auto':
    loader = installed_loaders()[0]
  load, _ = _LOADERS[loader]
  return load(
    make,
    _shapes(crop_size, clip_frames),
    range(start_step * share, stop_step * share),
    share,
    workers,
    prefetch,
  )


def _shapes(crop_size, clip_frames) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of an example's arrays: uint8, except `index`, int64."""
  mask, clip = tuple(crop_size), (clip_frames, *crop_size)
  return {
    'index': (),
    'reference_frame': (*mask, 3),
    'reference_mask': mask,
    'frames': (*clip, 3),
    'masks': clip,
    'guidance': mask,
  }
