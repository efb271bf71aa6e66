"""Tasks side by side in processes."""

import contextlib
import logging
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from savos_jax import checkpoints
from savos_jax.foundation import cores
from savos_jax.foundation import errors
from savos_jax.foundation import workers
from tests import worker_tasks

pytestmark = pytest.mark.skipif(
  not cores.can_bind(), reason='this system binds no process to cores'
)
CORES = cores.usable()


def run(tasks, count=2, setup=''):
  shares = [frozenset(CORES[i % len(CORES)]) for i in range(count)]
  events = workers.run(worker_tasks.begin, setup, tasks, shares)
  return contextlib.closing(events)


def ended(tasks, **more):
  """Returns what became of each task."""
  with run(tasks, **more) as events:
    found = [e for e in events if isinstance(e, workers.Ended | workers.Lost)]
  assert not multiprocessing.active_children()
  return dict(
    (e.task, e.result if isinstance(e, workers.Ended) else e.why) for e in found
  )


def test_each_process_has_its_own_cores(tmp_path):
  found = ended([('where', tmp_path, 2)] * 4)
  assert set(found) == {0, 1, 2, 3}
  shares, pids = map(set, zip(*found.values(), strict=True))
  assert shares == set(map(frozenset, CORES[:2]))
  assert len(pids) == 2


def test_libraries_start_one_thread_a_core():
  network = checkpoints.find('default').parent
  found = ended([('count_threads', network)] * 2)
  assert set(found.values()) == {(1, 1, 1)}


def test_more_processes_than_cores_all_work(tmp_path):
  found = ended([('where', tmp_path, 8)] * 24, count=8)
  assert len(found) == 24
  assert len({pid for _, pid in found.values()}) == 8


def test_no_more_processes_than_tasks(tmp_path):
  with run([('where', tmp_path, 1)], count=2) as events:
    assert [type(event).__name__ for event in events] == [
      'Begun', 'Told', 'Ended',
    ]  # fmt: skip
  assert len(list(tmp_path.iterdir())) == 1


def test_a_lost_process_is_replaced_and_its_task_tried_once_more(tmp_path):
  for name in 'ab':
    (tmp_path / name).mkdir()
  tasks = [('die', tmp_path / 'a', 1), ('die', tmp_path / 'b', 2)]
  found = ended([*tasks, ('say', 'a'), ('say', 'b')])
  assert found[0] == 1
  assert found[1] == 'its process ended with status 3, 2 times'
  assert len(found) == 4


def test_what_a_task_raises_ends_all(capfd):
  with (
    pytest.raises(errors.SavosError, match=r'^wrong\.\n  Expected right\.'),
    run([('fail', 'users'), ('say', 'a')]) as events,
  ):
    list(events)
  for kind, expected in (('own', ZeroDivisionError), ('odd', RuntimeError)):
    with pytest.raises(expected) as caught, run([('fail', kind)]) as events:
      list(events)
    told = ''.join([str(caught.value), *getattr(caught.value, '__notes__', ())])
    assert 'worker_tasks.py' in told
  assert not multiprocessing.active_children()
  assert not capfd.readouterr().err


def test_processes_that_cannot_begin():
  with (
    pytest.raises(errors.SavosError, match='refused'),
    run([('say', 'a')] * 2, setup='refuse') as events,
  ):
    list(events)
  with (
    pytest.raises(errors.SavosError, match=r'no process .* status 7'),
    run([('say', 'a')] * 2, setup='die') as events,
  ):
    list(events)


def test_logs_come_in_order(caplog):
  with caplog.at_level(logging.INFO, 'savos_jax'):
    ended([('say', text) for text in 'abc'], count=1)
  assert [record.getMessage() for record in caplog.records] == ['a', 'b', 'c']


def _kept(folder: pathlib.Path) -> set[int]:
  return {int(path.name) for path in folder.iterdir()}


def test_interrupted_once_each_keeps_what_it_has(tmp_path):
  pids = set()

  def interrupt_when_all_wait():
    with run([('wait', tmp_path)] * 2) as events:
      for event in events:
        if isinstance(event, workers.Told):
          pids.add(event.value)
        if len(pids) == 2:
          for pid in pids:  # As a terminal does, to all of a group.
            os.kill(pid, signal.SIGINT)
          raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    interrupt_when_all_wait()
  assert _kept(tmp_path) == pids
  assert not multiprocessing.active_children()


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_none_is_left_when_the_parent_is_killed(tmp_path, number):
  code = f'from tests import worker_tasks; worker_tasks.main({str(tmp_path)!r})'
  parent = subprocess.Popen(
    [sys.executable, '-c', code],
    stdout=subprocess.PIPE, text=True, cwd=pathlib.Path(__file__).parents[1],
  )  # fmt: skip
  with parent:
    pids = {int(parent.stdout.readline()) for _ in range(2)}
    parent.send_signal(number)
  end = time.monotonic() + 30
  while any(pathlib.Path(f'/proc/{pid}').exists() for pid in pids):
    assert time.monotonic() < end
    time.sleep(0.02)
  assert _kept(tmp_path) == pids
