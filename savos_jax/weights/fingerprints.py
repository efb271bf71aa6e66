"""Hashes parameters, to verify that they were read as written."""

import hashlib
from typing import Any

import jax
import numpy as np


def fingerprint(tree: Any) -> str:
  """Returns a hash of the names, shapes, dtypes and bytes of a tree.

  Args:
    tree: of arrays; the order of a dictionary's entries does not matter.

  Returns:
    32 hexadecimal digits.
  """
  digest = hashlib.blake2b(digest_size=16)
  for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree)):
    array = np.asarray(leaf)
    name = jax.tree_util.keystr(path)
    digest.update(f'{name} {array.shape} {array.dtype}'.encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()
