"""Examples made by tf.data's threads.

TensorFlow is imported here and nowhere else in `data`.
"""

from collections.abc import Iterator
import importlib.util
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import threads


def _tensorflow():
  """Returns the module: slow to import, and not needed by everybody."""
  return extras.require(
    'tensorflow', 'tf', "config.data.loader='tf' (not 'threads')"
  )


def hide_accelerators() -> None:
  """Keeps TensorFlow off the accelerators, whose memory it would take."""
  if importlib.util.find_spec('tensorflow') is None:
    return
  tf = _tensorflow()
  tf.config.set_visible_devices([], 'GPU')
  tf.config.set_visible_devices([], 'TPU')


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


def batches(
  make, shapes, numbers, batch_size, workers, prefetch
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of make(number) for the numbers; see `loaders`."""
  tf = _tensorflow()
  failures: list[errors.SavosError] = []

  def make_arrays(number):
    try:
      example = make(int(number))
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
