"""Trees of arrays: nested tuples or named tuples; None is an empty tree.

A subset of `jax.tree` for code that must not import JAX.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any


def leaves(tree: Any) -> list[Any]:
  """Returns a tree's arrays in order."""
  if tree is None:
    return []
  if isinstance(tree, tuple):
    return [leaf for branch in tree for leaf in leaves(branch)]
  return [tree]


def rebuilt(tree: Any, arrays: Iterable[Any]) -> Any:
  """Returns a tree of the same structure with its arrays replaced in order."""
  return _rebuilt(tree, iter(arrays))


def _rebuilt(tree: Any, arrays: Iterator[Any]) -> Any:
  if tree is None:
    return None
  if isinstance(tree, tuple):
    branches = [_rebuilt(branch, arrays) for branch in tree]
    named = hasattr(tree, '_fields')
    return type(tree)(*branches) if named else tuple(branches)
  return next(arrays)


def mapped(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
  """Applies a function to corresponding arrays of trees of one structure."""
  columns = zip(*map(leaves, (tree, *others)), strict=True)
  return rebuilt(tree, (function(*column) for column in columns))
