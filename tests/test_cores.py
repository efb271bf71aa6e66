"""How cores are counted and divided, whatever this machine has."""

import os

import pytest

from savos_jax.foundation import cgroups
from savos_jax.foundation import cores


def of(count, threads=1):
  """Cores as the system numbers them: second threads come after all first."""
  return [tuple(range(i, count * threads, count)) for i in range(count)]


@pytest.mark.parametrize(
  ('count', 'tasks', 'free', 'expected'),
  [
    (64, 30, 200.0, 30),
    (64, 300, 200.0, 64),
    (64, 300, 31.0, 20),
    (64, 300, None, 64),
    (8, 1, 200.0, 1),
    (2, 10, 0.2, 1),
  ],
)
def test_jobs(count, tasks, free, expected):
  assert cores.jobs(count, tasks, free, 1.5) == expected


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('count', [1, 3, 30, 63, 64])
def test_shares_are_disjoint_and_even_and_use_all(count, threads):
  found = cores.shares(of(64, threads), count)
  assert len(found) == count
  assert frozenset().union(*found) == set(range(64 * threads))
  assert sum(map(len, found)) == 64 * threads
  sizes = {len(share) for share in found}
  assert max(sizes) - min(sizes) <= threads


def test_both_threads_of_a_core_go_to_one_process():
  assert cores.shares(of(4, 2), 2) == [{0, 4, 1, 5}, {2, 6, 3, 7}]


def test_more_processes_than_cores_share_them():
  assert cores.shares(of(2), 5) == [{0}, {1}, {0}, {1}, {0}]


def test_what_a_process_may_use_and_what_it_starts(monkeypatch):
  if not cores.can_bind():
    pytest.skip('this system binds no process to cores')
  before = os.sched_getaffinity(0)
  one = frozenset([min(before)])
  with cores.bound(one):
    assert os.sched_getaffinity(0) == one
    assert cores.usable.__wrapped__() == ((*one,),)
  assert os.sched_getaffinity(0) == before


@pytest.fixture
def groups(tmp_path, monkeypatch):
  """A container's groups: a/b grants two and a half CPUs, a ten."""
  own = tmp_path / 'own'
  own.write_text('0::/../a/b\n')
  inner = tmp_path / 'root' / 'a' / 'b'
  inner.mkdir(parents=True)
  (tmp_path / 'root' / 'a' / 'cpu.max').write_text('1000000 100000\n')
  (inner / 'cpu.max').write_text('250000 100000\n')
  found = cgroups.folders(own, tmp_path / 'root')
  assert found == [inner, inner.parent, tmp_path / 'root']
  monkeypatch.setattr(cgroups, 'folders', lambda: found)
  return found


@pytest.mark.usefixtures('groups')
def test_a_control_group_that_grants_fewer(monkeypatch):
  monkeypatch.setattr(cores, 'can_bind', lambda: True)
  monkeypatch.setattr(
    os, 'sched_getaffinity', lambda _: set(range(16)), raising=False
  )
  monkeypatch.setattr(os, 'cpu_count', lambda: 16)
  monkeypatch.setattr(cores, '_siblings', lambda cpu: str(cpu % 8))
  usable = cores.usable.__wrapped__
  drawn = {usable() for _ in range(20)}
  assert {len(found) for found in drawn} == {2}
  assert drawn <= {(a, b) for a in of(8, 2) for b in of(8, 2)}
  assert len(drawn) > 1
  monkeypatch.setattr(cores, 'usable', usable)
  assert (cores.limit(), cores.threads()) == (2, 4)
  monkeypatch.setattr(cgroups, 'folders', list)
  assert usable() == tuple(of(8, 2))
  assert cores.limit() == 0


def test_without_control_groups(tmp_path):
  assert cgroups.folders(tmp_path / 'absent', tmp_path) == []
  (tmp_path / 'v1').write_text('4:memory:/a\n')
  assert cgroups.folders(tmp_path / 'v1', tmp_path) == []
