"""Free memory, as the system and control groups tell of it."""

import pytest

from savos_jax.foundation import cgroups
from savos_jax.foundation import memory


@pytest.fixture
def told(tmp_path, monkeypatch):
  """A system with 8 GiB free, and a control group below the root of all."""
  path = tmp_path / 'meminfo'
  path.write_text(
    f'MemTotal: {16 << 20} kB\nMemFree: 1 kB\nMemAvailable: {8 << 20} kB\n'
  )
  group = tmp_path / 'group'
  group.mkdir()
  monkeypatch.setattr(memory, '_MEMINFO', path)
  monkeypatch.setattr(cgroups, 'folders', lambda: [group, tmp_path])
  return path, group


def test_the_system_alone(told):
  assert memory.free_gib() == 8


def test_a_container_has_less(told):
  _, group = told
  (group / 'memory.max').write_text(f'{4 << 30}\n')
  (group / 'memory.current').write_text(f'{3 << 30}\n')
  (group / 'memory.stat').write_text(f'anon 5\ninactive_file {1 << 29}\n')
  assert memory.free_gib() == 1.5
  (group / 'memory.max').write_text('max\n')
  assert memory.free_gib() == 8


def test_a_system_that_does_not_tell(told):
  told[0].write_text('MemTotal: 5 kB\n')
  assert memory.free_gib() is None
  told[0].unlink()
  assert memory.free_gib() is None
