"""A Ctrl-C that a callback of the garbage collection would swallow."""

import gc
import os
import signal
import sys
import time

import pytest

from savos_jax.foundation import interrupts


@pytest.fixture
def callback():
  """Has a Ctrl-C arrive during the next garbage collection, as JAX's would."""

  def interrupt(*_):
    gc.callbacks.remove(interrupt)
    os.kill(os.getpid(), signal.SIGINT)

  gc.callbacks.append(interrupt)
  yield
  if interrupt in gc.callbacks:
    gc.callbacks.remove(interrupt)


def test_it_is_raised_after_the_collection(callback):
  before = sys.unraisablehook
  collected = []

  def work():
    collected.append(gc.collect())
    time.sleep(60)

  with pytest.raises(KeyboardInterrupt), interrupts.kept():
    work()
  assert collected
  assert sys.unraisablehook is before


def test_what_else_is_dropped_is_told_as_before(monkeypatch):
  told = []
  monkeypatch.setattr(sys, 'unraisablehook', told.append)

  class Failing:
    def __del__(self):
      raise RuntimeError('dropped')

  with interrupts.kept():
    Failing()
    gc.collect()
  assert [str(dropped.exc_value) for dropped in told] == ['dropped']
