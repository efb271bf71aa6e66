"""What is made of a file is counted before it is made."""

import pytest

from savos_jax.foundation import errors
from savos_jax.weights import bounds


def test_bytes_are_counted(tmp_path, monkeypatch):
  monkeypatch.setattr(bounds, '_ANY', 100)
  path = tmp_path / 'file'
  path.write_bytes(bytes(50))
  budget = bounds.Budget(path)
  budget.take(150, 'a')
  budget.take(50, 'b')
  with pytest.raises(errors.SavosError, match=f'{path}: c is said to take 1 b'):
    budget.take(1, 'c')


def test_a_small_file_may_hold_zeros_and_nothing_takes_less_than_none(tmp_path):
  path = tmp_path / 'file'
  path.touch()
  bounds.Budget(path).take(64 << 20, 'zeros')
  with pytest.raises(errors.SavosError, match='is said to take -1 bytes'):
    bounds.Budget(path).take(-1, 'a')


def test_a_second_file_counts_too(tmp_path, monkeypatch):
  monkeypatch.setattr(bounds, '_ANY', 0)
  path = tmp_path / 'file'
  path.write_bytes(bytes(10))
  budget = bounds.Budget(path)
  budget.add(path)
  budget.take(80, 'a')
  with pytest.raises(errors.SavosError, match='of a file of 20'):
    budget.take(1, 'b')
