"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3).

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. A
tile of 4x4 results takes 36 products a channel pair in place of 144. Rounding
is ten times that of the plain sum: about 1e-5 of the largest result.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Section 4.3 of the paper: of the data, of the kernel, of the results.
_DATA = np.array(
  [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  np.float32,
)
_KERNEL = np.array(
  [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  np.float32,
)
_RESULT = np.array(
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
  np.float32,
)
_TILE = 4
# Tiles that are worked on at once: what they need fits in a core's cache.
_BLOCK = 160


def _combine(matrix: np.ndarray, parts: list[jax.Array]) -> list[jax.Array]:
  """Returns matrix @ parts, without the products with 0 and 1."""
  combined = []
  for row in matrix:
    terms = [
      part if factor == 1 else float(factor) * part
      for factor, part in zip(row, parts, strict=True)
      if factor
    ]
    combined.append(sum(terms[1:], terms[0]))
  return combined


def _tile_rows(x: jax.Array, axis: int) -> list[jax.Array]:
  """Returns the six rows of every tile: they overlap by two.

  Args:
    x: its axis is of 4 (n + 1) rows, for n tiles.
    axis: which one.

  Returns:
    Six arrays, of n along the axis.
  """
  count = x.shape[axis] // _TILE
  shape = (*x.shape[:axis], count, _TILE, *x.shape[axis + 1 :])
  x = x.reshape(shape)

  def row(first, j):
    part = jax.lax.slice_in_dim(x, first, first + count - 1, axis=axis)
    return jax.lax.index_in_dim(part, j, axis + 1, keepdims=False)

  return [row(0, j) for j in range(_TILE)] + [row(1, 0), row(1, 1)]


def _convolve_block(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves some rows of tiles.

  Args:
    x: [B, 4 (n + 1), 4 (m + 1), C] for n x m tiles.
    kernel: transformed, [36, C, features].

  Returns:
    [B, 4 n, 4 m, features].
  """
  batch, height, width, channels = x.shape
  rows, columns = height // _TILE - 1, width // _TILE - 1
  data = jnp.stack(_combine(_DATA, _tile_rows(x, 1)))
  data = jnp.stack(_combine(_DATA, _tile_rows(data, 3)), axis=1)
  data = data.reshape(36, batch * rows * columns, channels)
  product = jnp.einsum('ptc,pcf->ptf', data, kernel)
  product = product.reshape(6, 6, batch, rows, columns, -1)
  result = jnp.stack(_combine(_RESULT, list(product)))
  result = jnp.stack(_combine(_RESULT, [result[:, j] for j in range(6)]), 4)
  # [4, B, rows, columns, 4, features].
  result = result.transpose(1, 2, 0, 3, 4, 5)
  return result.reshape(batch, _TILE * rows, _TILE * columns, -1)


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves with zeros beyond the border ("SAME").

  Args:
    x: float32 [B, H, W, C].
    kernel: float32 [3, 3, C, features].

  Returns:
    [B, H, W, features].
  """
  batch, height, width, channels = x.shape
  columns, all_rows = -(-width // _TILE), -(-height // _TILE)
  blocks = max(1, round(all_rows * columns / _BLOCK))
  rows = -(-all_rows // blocks)
  x = jnp.pad(
    x,
    (
      (0, 0),
      (1, _TILE * (blocks * rows + 1) - height - 1),
      (1, _TILE * (columns + 1) - width - 1),
      (0, 0),
    ),
  )
  kernel = jnp.einsum('ia,jb,abcf->ijcf', _KERNEL, _KERNEL, kernel)
  kernel = kernel.reshape(36, channels, -1)

  # Computed again in the backward pass: the transformed data are large.
  @jax.checkpoint
  def block(index):
    start = (index // blocks, index % blocks * _TILE * rows, 0, 0)
    size = (1, _TILE * (rows + 1), *x.shape[2:])
    return _convolve_block(jax.lax.dynamic_slice(x, start, size), kernel)

  result = jax.lax.map(block, jnp.arange(batch * blocks))
  shape = (batch, blocks * _TILE * rows, _TILE * columns, result.shape[-1])
  return result.reshape(shape)[:, :height, :width]
