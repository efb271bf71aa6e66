"""Examples made by the standard library's threads.

NumPy, OpenCV and the decoders release the GIL while they compute; Python code
itself runs in one thread at a time.
"""

import collections
from collections.abc import Iterator
import concurrent.futures
import itertools

import numpy as np

from savos_jax.data.loaders import stacking
from savos_jax.foundation import threads


def batches(
  make, shapes, numbers, batch_size, workers, prefetch
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of make(number) for the numbers; see `loaders`."""
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
        batch = stacking.stack(examples, shapes)
        begin(batch_size)
        yield batch
    finally:
      for future in waiting:
        future.cancel()
