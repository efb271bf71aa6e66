"""A list of videos, side by side in processes."""

import argparse
import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import cores
from savos_jax.foundation import memory
from savos_jax.tools import networks
from savos_jax.tools.many import in_processes
from savos_jax.tools.many import segmenting_all
from tests import video_lists
from tests.video_lists import kill_the_process_of
from tests.video_lists import made
from tests.video_lists import results
from tests.video_lists import run
from tests.video_lists import statuses
from tests.video_lists import wait_for

LONG = 480  # Frames; it is kept every 50.
needs_binding = pytest.mark.skipif(
  not cores.can_bind(), reason='this system binds no process to cores'
)


def labels(out):
  return {name: masks.read_mask(out / name) for name in results(out)}


@needs_binding
def test_as_one_after_another(tmp_path, capsys):
  path = video_lists.write(tmp_path, {'a': 3, 'b': 3, 'c': 3})
  out, mask = tmp_path / 'out', tmp_path / 'b.png'
  right = mask.read_bytes()
  masks.write_mask(mask, np.ones((8, 8), np.uint8))
  with pytest.raises(SystemExit, match='2'):
    run(path, out, '--jobs=2')
  told = capsys.readouterr()
  assert '1 of 3 videos: failed: b.' in told.err
  assert 'b: failed, 0 frames' in told.out
  assert statuses(out) == ['a done 3', 'b failed 0', 'c done 3']
  mask.write_bytes(right)
  before = made(out, 'a/masks/00001.png')
  run(path, out, '--resume', '--jobs=2')
  assert statuses(out) == ['a done 3', 'b done 3', 'c done 3']
  assert made(out, 'a/masks/00001.png') == before
  run(path, tmp_path / 'here')
  here = labels(tmp_path / 'here')
  for name, found in labels(out).items():
    # Sums are rounded as they are divided among cores.
    assert (found == here.pop(name)).mean() > 0.99
  assert not here
  assert not multiprocessing.active_children()


@needs_binding
def test_a_killed_process_costs_nothing(tmp_path):
  path = video_lists.write(tmp_path, {'long': LONG, 'a': 2, 'b': 2})
  out, kept = tmp_path / 'out', {}

  def kill():
    kill_the_process_of(out / 'long', 60)
    kept['49'] = made(out, 'long/masks/00049.png')

  killer = threading.Thread(target=kill)
  killer.start()
  run(path, out, '--jobs=2')
  killer.join()
  assert statuses(out) == [f'long done {LONG}', 'a done 2', 'b done 2']
  assert kept['49'] == made(out, 'long/masks/00049.png')


@needs_binding
def test_interrupted(tmp_path, capsys):
  path = video_lists.write(tmp_path, {'long': LONG, 'other': LONG, 'c': 2})
  out = tmp_path / 'out'

  def interrupt():
    wait_for(out / 'long', 5)
    os.kill(os.getpid(), signal.SIGINT)

  threading.Thread(target=interrupt).start()
  with pytest.raises(SystemExit, match='130'):
    run(path, out, '--jobs=2')
  assert not multiprocessing.active_children()
  assert '--resume continues' in capsys.readouterr().err
  long, other, last = statuses(out)
  assert long.startswith('long incomplete ')
  assert other.startswith(('other incomplete ', 'other not begun '))
  assert last == 'c not begun 0'
  kept = made(out, 'long/masks/00003.png')
  run(path, out, '--resume', '--jobs=2')
  assert statuses(out) == [
    f'long done {LONG}',
    f'other done {LONG}',
    'c done 2',
  ]
  assert made(out, 'long/masks/00003.png') == kept


def test_a_second_attempt_resumes_unless_all_is_to_be_replaced():
  for overwrite in (False, True):
    asked = argparse.Namespace(overwrite=overwrite, resume=False)
    found = in_processes._for_attempts(asked)
    assert (found.overwrite, found.resume) == (overwrite, not overwrite)


def test_how_many(monkeypatch):
  monkeypatch.setattr(cores, 'can_bind', lambda: True)
  monkeypatch.setattr(cores, 'usable', lambda: [(i,) for i in range(16)])
  monkeypatch.setattr(memory, 'free_gib', lambda: 15.0)
  plain = argparse.Namespace(arguments=argparse.Namespace(online_steps=0))
  online = argparse.Namespace(arguments=argparse.Namespace(online_steps=300))

  def count(asked=None, runtime='onnx', found=(plain,) * 40):
    network = networks.Network(None, None, {}, '', runtime)
    return segmenting_all.count_jobs(
      argparse.Namespace(jobs=asked), found, network
    )

  assert [count(), count(runtime='jax')] == [16, 10]
  assert count(found=(plain,) * 3) == 3
  assert count(found=(plain, online) * 20) == 6
  assert [count(40), count(99), count(1)] == [40, 40, 1]
  monkeypatch.setattr(networks, 'is_accelerated', lambda _: True)
  assert [count(), count(4)] == [1, 4]
  monkeypatch.setattr(networks, 'is_accelerated', lambda _: False)
  monkeypatch.setattr(cores, 'can_bind', lambda: False)
  assert [count(), count(4)] == [1, 4]


@pytest.mark.parametrize(
  ('flags', 'told'),
  [
    (['--list=x.csv', '--jobs=2', '--ray'], '--jobs: of this machine'),
    (['--video=x', '--mask=y', '--jobs=2'], 'need --list'),
    (['--list=x.csv', '--jobs=0'], 'from 1 to 1024'),
  ],
)
def test_where_it_does_not_apply(flags, told, tmp_path, capsys):
  with pytest.raises(SystemExit, match='2'):
    video_lists.segment.main([*flags, f'--out={tmp_path / "out"}'])
  assert told in capsys.readouterr().err
