"""Examples made by tf.data's threads.

Nothing else in `data` imports TensorFlow.
"""

from collections.abc import Iterator
import contextlib
import importlib.util
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import threads


def _tensorflow():
  """Returns the module, which is slow to import and often not needed."""
  return extras.require(
    'tensorflow', 'tf', "config.data.loader='tf' (not 'threads')"
  )


def hide_accelerators() -> None:
  """Hides accelerators from TensorFlow, which would reserve their memory.

  Once TensorFlow has used its devices it is too late, and nothing happens.
  """
  if importlib.util.find_spec('tensorflow') is None:
    return
  tf = _tensorflow()
  for kind in ('GPU', 'TPU'):
    with contextlib.suppress(RuntimeError):
      tf.config.set_visible_devices([], kind)


def _options(workers: int) -> Any:
  tf = _tensorflow()
  options = tf.data.Options()
  # There is nothing to tune, and the sleeping tuner thread can delay the end of
  # the iteration by up to a minute.
  options.autotune.enabled = False
  # When fused, they run ahead by several times `prefetch`.
  options.experimental_optimization.map_and_batch_fusion = False
  # Otherwise parallelism is limited to the number of cores.
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
      # tf.data would wrap it in an error of its own, with a traceback.
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
