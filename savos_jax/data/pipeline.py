"""tf.data: examples made in parallel, batched, ready before they are asked for.

The only module that feeds training; TensorFlow is imported here and nowhere
else in `data` but for the TFDS source.
"""

from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from savos_jax import errors

_DTYPES = {
  'index': tf.int64,
  'reference_frame': tf.uint8,
  'reference_mask': tf.uint8,
  'frame': tf.uint8,
  'mask': tf.uint8,
  'guidance': tf.uint8,
}
_CHANNELS = {'reference_frame': (3,), 'frame': (3,)}


def hide_accelerators() -> None:
  """Keeps TensorFlow off the accelerators, whose memory it would take."""
  tf.config.set_visible_devices([], 'GPU')
  tf.config.set_visible_devices([], 'TPU')


def batches(
  make_example: Callable[[int], dict[str, np.ndarray]],
  crop_size: tuple[int, int],
  batch_size: int,
  start_step: int,
  stop_step: int,
  workers: int,
  prefetch: int,
) -> Iterator[dict[str, np.ndarray]]:
  """Iterates over the batches of steps start_step..stop_step - 1.

  Step s holds examples s * batch_size to (s + 1) * batch_size - 1, so starting
  at a later step gives the batches that an uninterrupted run would have seen.

  Args:
    make_example: index -> example, as `sampling.Sampler.example`.
    crop_size: (height, width) of the examples, pixels.
    batch_size: examples a batch.
    start_step: the first step.
    stop_step: one past the last.
    workers: examples made at once.
    prefetch: batches kept ready.

  Yields:
    The examples' arrays with a leading batch axis.

  Raises:
    SavosError: from `make_example`, as it was raised.
  """
  failures: list[errors.SavosError] = []
  fields = list(_DTYPES)

  def make(index):
    try:
      example = make_example(int(index))
    except errors.SavosError as error:
      # tf.data would wrap it into an error of its own, traceback and all.
      failures.append(error)
      raise
    return tuple(example[field] for field in fields)

  def to_example(index):
    values = tf.numpy_function(make, [index], [_DTYPES[f] for f in fields])
    example = dict(zip(fields, values, strict=True))
    for field in fields:
      shape = () if field == 'index' else crop_size + _CHANNELS.get(field, ())
      example[field].set_shape(shape)
    return example

  dataset = tf.data.Dataset.range(
    start_step * batch_size, stop_step * batch_size
  )
  dataset = dataset.map(
    to_example, num_parallel_calls=workers, deterministic=True
  )
  dataset = dataset.batch(batch_size, drop_remainder=True)
  dataset = dataset.prefetch(prefetch)
  # Nothing is left to tune, and the tuner's thread, once it sleeps, holds up
  # the end of the iteration for as much as a minute.
  options = tf.data.Options()
  options.autotune.enabled = False
  dataset = dataset.with_options(options)
  try:
    yield from dataset.as_numpy_iterator()
  except tf.errors.OpError:
    if failures:
      raise failures[0] from None
    raise
