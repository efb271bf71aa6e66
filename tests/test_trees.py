"""Trees of arrays, without JAX."""

from typing import NamedTuple

import jax
import numpy as np

from savos_jax.foundation import trees


class Pair(NamedTuple):
  """Two branches."""

  first: object
  second: object


TREE = (Pair(np.arange(2), None), (np.arange(3), Pair(None, np.arange(4))))


def test_leaves_are_jaxs():
  found, expected = trees.leaves(TREE), jax.tree.leaves(TREE)
  assert [x.size for x in found] == [x.size for x in expected] == [2, 3, 4]


def test_mapped_keeps_the_form():
  doubled = trees.mapped(np.add, TREE, TREE)
  assert jax.tree.structure(doubled) == jax.tree.structure(TREE)
  assert doubled[0].first.tolist() == [0, 2]
  assert doubled[0].second is None


def test_rebuilt_has_other_arrays():
  found = trees.rebuilt(TREE, ['a', 'b', 'c'])
  assert found == (Pair('a', None), ('b', Pair(None, 'c')))
