"""Reading ahead and writing behind."""

import itertools
import threading
import time

import pytest

from savos_jax.video import overlapped


def test_read_ahead_keeps_the_order_and_does_not_run_away():
  made = []

  def numbers():
    for i in itertools.count():
      made.append(i)
      yield i

  items = overlapped.read_ahead(numbers(), depth=3)
  assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
  time.sleep(0.05)
  # The five, and at most three more.
  assert 5 <= len(made) <= 8
  items.close()
  count = len(made)
  time.sleep(0.05)
  assert len(made) <= count + 1


def test_read_ahead_raises_where_the_iterator_does():
  def numbers():
    yield from (1, 2)
    raise ValueError('damaged')

  items = overlapped.read_ahead(numbers())
  assert [next(items), next(items)] == [1, 2]
  with pytest.raises(ValueError, match='damaged'):
    next(items)


def test_read_ahead_ends():
  assert list(overlapped.read_ahead(iter('abc'), depth=5)) == list('abc')


def test_write_behind_calls_in_order_and_waits_at_the_end():
  done = []

  def slow(i):
    time.sleep(0.01)
    done.append((i, threading.current_thread() is threading.main_thread()))

  with overlapped.write_behind(depth=2) as writer:
    for i in range(5):
      writer.submit(slow, i)
  assert done == [(i, False) for i in range(5)]


def fail():
  raise OSError('disk full')


def test_write_behind_raises_what_a_write_raised():
  with (
    pytest.raises(OSError, match='disk full'),
    overlapped.write_behind() as writer,
  ):
    writer.submit(fail)
  assert writer.failed


def test_an_exception_waits_for_what_was_submitted_and_goes_on():
  done = []

  def slow():
    time.sleep(0.05)
    done.append(1)

  def interrupted():
    with overlapped.write_behind() as writer:
      writer.submit(slow)
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    interrupted()
  assert done == [1]
