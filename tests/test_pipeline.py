"""The pipeline: the right examples in order, for each host, a few ahead."""

import contextlib
import threading
import time

import cv2
import numpy as np
import pytest

from savos_jax.data import pipeline
from savos_jax.foundation import errors

SIZE, FRAMES = (6, 8), 3
SETTINGS = {'workers': 2, 'prefetch': 2}


def make_example(index):
  """Every array is filled with the index and its place in the dictionary."""
  return {
    'index': np.int64(index),
    'reference_frame': np.full((*SIZE, 3), index, np.uint8),
    'reference_mask': np.full(SIZE, index + 1, np.uint8),
    'frames': np.full((FRAMES, *SIZE, 3), index + 2, np.uint8),
    'masks': np.full((FRAMES, *SIZE), index + 3, np.uint8),
    'guidance': np.full(SIZE, index + 4, np.uint8),
  }


@pytest.fixture(params=['tf', 'threads'], autouse=True)
def loader(request, monkeypatch):
  """Each test is of both loaders."""
  monkeypatch.setitem(SETTINGS, 'loader', request.param)


def batches(make=make_example, batch_size=4, start=0, stop=5, **changes):
  settings = SETTINGS | changes
  return pipeline.batches(
    make, SIZE, FRAMES, batch_size, start, stop, **settings
  )


def indices(iterator):
  return [batch['index'].tolist() for batch in iterator]


def test_a_batch_stacks_its_examples():
  (batch,) = batches(batch_size=2, start=3, stop=4)
  expected = [make_example(6), make_example(7)]
  assert batch.keys() == expected[0].keys()
  for name, array in batch.items():
    np.testing.assert_array_equal(
      array, np.stack([example[name] for example in expected]), strict=True
    )


def test_a_later_start_gives_the_batches_of_an_uninterrupted_run():
  whole = indices(batches(stop=5))
  assert whole == [list(range(4 * s, 4 * s + 4)) for s in range(5)]
  assert indices(batches(start=3, stop=5)) == whole[3:]


@pytest.mark.parametrize('workers', [1, 2, 5])
def test_the_order_is_that_of_the_indices_whichever_is_ready_first(workers):
  def uneven(index):
    time.sleep(0.02 if index % 3 == 0 else 0.0)
    return make_example(index)

  found = indices(batches(uneven, workers=workers))
  assert found == [list(range(4 * s, 4 * s + 4)) for s in range(5)]


def test_hosts_share_each_batch():
  shares = [
    indices(batches(batch_size=6, start=2, host_index=h, host_count=3))
    for h in range(3)
  ]
  assert shares[1][0] == [14, 15]
  together = [[*a, *b, *c] for a, b, c in zip(*shares, strict=True)]
  assert together == indices(batches(batch_size=6, start=2))


def test_hosts_that_cannot_share_are_refused_at_once():
  with pytest.raises(errors.SavosError, match=r'batch_size is 4, on 3 hosts'):
    batches(host_count=3)


@pytest.mark.parametrize(('workers', 'prefetch'), [(1, 1), (3, 2)])
def test_few_examples_are_made_ahead(workers, prefetch):
  made, batch_size = [], 4

  def counted(index):
    made.append(index)
    return make_example(index)

  iterator = batches(
    counted, batch_size, stop=1000, workers=workers, prefetch=prefetch
  )
  with contextlib.closing(iterator):
    for taken in range(1, 4):
      next(iterator)
      ready = (taken + prefetch) * batch_size
      deadline = time.monotonic() + 20
      while len(made) < ready and time.monotonic() < deadline:
        time.sleep(0.01)
      time.sleep(0.2)  # For what should not be made.
      assert ready <= len(made) <= ready + workers


def test_as_many_workers_run_at_once_as_were_asked_for():
  """Each waits for the others, however few cores there are."""
  barrier = threading.Barrier(4, timeout=20)

  def together(index):
    barrier.wait()
    return make_example(index)

  assert indices(batches(together, stop=1, workers=4)) == [[0, 1, 2, 3]]


def test_opencv_has_one_thread_while_it_iterates():
  threads = []

  def observed(index):
    threads.append(cv2.getNumThreads())
    return make_example(index)

  before = cv2.getNumThreads()
  cv2.setNumThreads(3)
  try:
    indices(batches(observed))
    assert cv2.getNumThreads() == 3
    with contextlib.closing(batches(observed)) as iterator:
      next(iterator)
      assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 3
  finally:
    cv2.setNumThreads(before)
  assert set(threads) == {1}


def test_the_reader_s_own_error_is_raised():
  def broken(index):
    if index == 6:
      raise errors.SavosError('mask.png: damaged.')
    return make_example(index)

  iterator = batches(broken)
  assert next(iterator)['index'].tolist() == [0, 1, 2, 3]
  with pytest.raises(errors.SavosError, match=r'^mask\.png: damaged\.$'):
    next(iterator)


def test_an_example_of_another_size_is_an_error():
  def wrong(index):
    return make_example(index) | {'masks': np.zeros((2, *SIZE), np.uint8)}

  with pytest.raises(Exception, match=r'\[3,6,8\]'):
    next(batches(wrong))


def test_without_tensorflow_threads_make_the_examples(monkeypatch):
  monkeypatch.setattr(pipeline.importlib.util, 'find_spec', lambda _: None)
  monkeypatch.setattr(pipeline, '_tensorflow', None)
  assert indices(batches(stop=1, loader='auto')) == [[0, 1, 2, 3]]
