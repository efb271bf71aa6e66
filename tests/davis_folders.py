"""Paths and errors of a small DAVIS folder, for the tests that break one."""

import pytest

from savos_jax.datasets import davis
from savos_jax.foundation import errors


def images(root, name='train0', resolution='480p'):
  return root / 'JPEGImages' / resolution / name


def annotations(root, name='train0', resolution='480p'):
  return root / 'Annotations' / resolution / name


def load_error(*args, **kwargs) -> str:
  with pytest.raises(errors.SavosError) as caught:
    davis.load(*args, **kwargs)
  return str(caught.value)
