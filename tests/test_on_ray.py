"""A list of videos on a local Ray."""

import argparse
import sys
import threading
from unittest import mock

import jax
import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.tools.many import on_ray
from savos_jax.tools.many import rows
from tests import video_lists
from tests.video_lists import kill_the_process_of
from tests.video_lists import made
from tests.video_lists import results
from tests.video_lists import run
from tests.video_lists import statuses
from tests.video_lists import wait_for

# Ray lets go of files and processes without closing them.
pytestmark = pytest.mark.filterwarnings('ignore::ResourceWarning')
_WITHOUT = "needs Ray: 'savos_jax[ray]'"
LONG = 160  # Frames: it is killed after 60, and goes on from 50.


def test_the_extra_is_named(tmp_path, monkeypatch, capsys):
  path = video_lists.write(tmp_path, {'a': 1})
  monkeypatch.setitem(sys.modules, 'ray', None)
  with pytest.raises(SystemExit, match='2'):
    run(path, tmp_path / 'out', '--ray')
  assert "pip install 'savos_jax[ray]'" in capsys.readouterr().err


@pytest.fixture(scope='module')
def ray():
  ray = pytest.importorskip('ray', reason=_WITHOUT)
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    with on_ray.quiet():
      ray.init(address='local', num_cpus=2, include_dashboard=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(ray, tmp_path):
  path = video_lists.write(tmp_path, {'a': 2, 'long': LONG, 'b': 2, 'c': 2})
  masks.write_mask(tmp_path / 'b.png', np.ones((8, 8), np.uint8))
  kept = {}

  def kill():
    kill_the_process_of(tmp_path / 'out' / 'long', 60)
    kept['49'] = made(tmp_path / 'out', 'long/masks/00049.png')

  killer = threading.Thread(target=kill)
  killer.start()
  with pytest.raises(SystemExit, match='2'):
    run(path, tmp_path / 'out', '--ray')
  killer.join()
  assert statuses(tmp_path / 'out') == [
    'a done 2', f'long done {LONG}', 'b failed 0', 'c done 2',
  ]  # fmt: skip
  # It went on from where it was kept last, and made what is made in peace.
  assert kept['49'] == made(tmp_path / 'out', 'long/masks/00049.png')
  with pytest.raises(SystemExit, match='2'):
    run(path, tmp_path / 'here')
  assert results(tmp_path / 'out') == results(tmp_path / 'here')
  masks.write_mask(tmp_path / 'b.png', np.eye(*video_lists.SIZE, dtype='u1'))
  run(path, tmp_path / 'out', '--ray', '--resume')
  assert statuses(tmp_path / 'out')[2] == 'b done 2'


@pytest.mark.slow
def test_interrupted_on_ray(ray, tmp_path, monkeypatch):
  path = video_lists.write(tmp_path, {'long': LONG, 'a': 2})
  out, wait = tmp_path / 'out', ray.wait

  def interrupted(*arguments, **more):
    if more:  # For those that end by themselves.
      return wait(*arguments, **more)
    wait_for(out / 'long', 5)
    raise KeyboardInterrupt

  monkeypatch.setattr(ray, 'wait', interrupted)
  with pytest.raises(SystemExit, match='130'):
    run(path, out, '--ray')
  monkeypatch.setattr(ray, 'wait', wait)
  assert statuses(out)[0].startswith('long incomplete ')
  kept = made(out, 'long/masks/00002.png')
  run(path, out, '--ray', '--resume')
  assert statuses(out) == [f'long done {LONG}', 'a done 2']
  assert made(out, 'long/masks/00002.png') == kept


@pytest.mark.slow
def test_into_a_store_on_ray(ray, tmp_path):
  path = video_lists.write(tmp_path, {'a': 2, 'b': 2})
  run(path, f'file://{tmp_path}/store', '--ray')
  assert statuses(tmp_path / 'store') == ['a done 2', 'b done 2']
  run(path, tmp_path / 'here')
  assert results(tmp_path / 'store') == results(tmp_path / 'here')


def test_an_address_where_nothing_is(tmp_path, monkeypatch, capsys):
  ray = pytest.importorskip('ray', reason=_WITHOUT)

  def refuse(**_):
    raise ConnectionError('nothing there')

  monkeypatch.setattr(ray, 'is_initialized', lambda: False)
  monkeypatch.setattr(ray, 'init', refuse)
  with (
    pytest.raises(errors.SavosError, match='--ray=host:1: nothing there'),
    on_ray._cluster(ray, 'host:1'),
  ):
    pass


def test_accelerators_are_left_to_the_workers():
  before = jax.config.jax_platforms
  try:
    jax.config.update('jax_platforms', None)
    on_ray.leave_devices()
    assert jax.config.jax_platforms == 'cpu'
  finally:
    jax.config.update('jax_platforms', before)


def test_what_is_said_of_a_task_that_tells_nothing(tmp_path, monkeypatch):
  ray = pytest.importorskip('ray', reason=_WITHOUT)
  arguments = argparse.Namespace(out=tmp_path / 'absent' / 'a')
  row = rows.Row('line 2', 'a', arguments)
  broken = ray.exceptions.RayTaskError('_task', 'trace\nValueError: x', None)
  for error, expected in (
    (ray.exceptions.WorkerCrashedError(), 'lost 6 times: The worker died'),
    (broken, 'ValueError: x'),
  ):
    monkeypatch.setattr(ray, 'get', mock.Mock(side_effect=error))
    found = on_ray._outcome(ray, None, row)
    assert found.status == 'failed'
    assert expected in found.message
  # On a machine that does not see the folder.
  found = on_ray._task(arguments, None)
  assert 'absent: no such folder on' in found.message
