"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3).

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. A
tile of 4x4 outputs takes 36 multiplications per channel pair instead of 144.
Rounding errors are ten times those of the direct sum: about 1e-5 of the largest
output.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

# Section 4.3 of the paper: transforms of the data, the kernel and the outputs.
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
# Tiles processed at once: enough for all cores, few enough for the caches.
_BLOCK = 320


def _combine(matrix: np.ndarray, parts: list[jax.Array]) -> list[jax.Array]:
  """Returns matrix @ parts, skipping multiplications by 0 and 1."""
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
  """Returns the six rows of every tile; neighbouring tiles overlap by two.

  Args:
    x: has 4 (n + 1) rows along the axis, for n tiles.
    axis: the axis to split.

  Returns:
    Six arrays with length n along the axis.
  """
  count = x.shape[axis] // _TILE
  shape = (*x.shape[:axis], count, _TILE, *x.shape[axis + 1 :])
  x = x.reshape(shape)

  def row(first, j):
    part = jax.lax.slice_in_dim(x, first, first + count - 1, axis=axis)
    return jax.lax.index_in_dim(part, j, axis + 1, keepdims=False)

  return [row(0, j) for j in range(_TILE)] + [row(1, 0), row(1, 1)]


def _data(x: jax.Array) -> jax.Array:
  """Transforms rows of tiles: [B, 4 (n + 1), 4 (m + 1), C] to [36, T, C].

  T = B * n * m is the number of tiles.
  """
  data = jnp.stack(_combine(_DATA, _tile_rows(x, 1)))
  data = jnp.stack(_combine(_DATA, _tile_rows(data, 3)), axis=1)
  return data.reshape(36, -1, x.shape[-1])


def _convolve_block(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves rows of tiles.

  Args:
    x: [B, 4 (n + 1), 4 (m + 1), C] for n x m tiles.
    kernel: transformed, [36, C, features].

  Returns:
    [B, 4 n, 4 m, features].
  """
  batch, height, width, _ = x.shape
  rows, columns = height // _TILE - 1, width // _TILE - 1
  product = jnp.einsum('ptc,pcf->ptf', _data(x), kernel)
  product = product.reshape(6, 6, batch, rows, columns, -1)
  result = jnp.stack(_combine(_RESULT, list(product)))
  result = jnp.stack(_combine(_RESULT, [result[:, j] for j in range(6)]), 4)
  # [4, B, rows, columns, 4, features].
  result = result.transpose(1, 2, 0, 3, 4, 5)
  return result.reshape(batch, _TILE * rows, _TILE * columns, -1)


@dataclasses.dataclass(frozen=True)
class _Blocks:
  """How a map is divided into blocks, rows of tiles that are processed at once.

  Attributes:
    count: blocks per image.
    rows: rows of tiles per block.
    columns: columns of tiles.
  """

  count: int
  rows: int
  columns: int

  @classmethod
  def of(cls, height: int, width: int) -> '_Blocks':
    """Divides a map."""
    columns, rows = -(-width // _TILE), -(-height // _TILE)
    count = max(1, round(rows * columns / _BLOCK))
    return cls(count, -(-rows // count), columns)

  def pad(self, x: jax.Array, before: int, after: int) -> jax.Array:
    """Pads with `before` pixels, then to whole tiles and `after` more tiles."""
    height, width = x.shape[1:3]
    bottom = _TILE * (self.count * self.rows + after) - height - before
    right = _TILE * (self.columns + after) - width - before
    return jnp.pad(x, ((0, 0), (before, bottom), (before, right), (0, 0)))

  def take(self, x: jax.Array, index: jax.Array, after: int) -> jax.Array:
    """Returns one block of a map padded by `pad`: [1, rows, columns, C]."""
    image, block = index // self.count, index % self.count
    size = (1, _TILE * (self.rows + after), *x.shape[2:])
    start = (image, block * _TILE * self.rows, 0, 0)
    return jax.lax.dynamic_slice(x, start, size)


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves with zero padding ("SAME").

  Args:
    x: float32 [B, H, W, C].
    kernel: float32 [3, 3, C, features].

  Returns:
    [B, H, W, features].
  """
  batch, height, width, channels = x.shape
  blocks = _Blocks.of(height, width)
  x = blocks.pad(x, 1, 1)
  kernel = jnp.kron(_KERNEL, _KERNEL) @ kernel.reshape(9, -1)
  kernel = kernel.reshape(36, channels, -1)

  def block(index):
    return _convolve_block(blocks.take(x, index, 1), kernel)

  result = jax.lax.map(block, jnp.arange(batch * blocks.count))
  shape = (batch, -1, _TILE * blocks.columns, result.shape[-1])
  return result.reshape(shape)[:, :height, :width]


def kernel_gradient(x: jax.Array, gradient: jax.Array) -> jax.Array:
  """Returns the gradient of `convolve` with respect to its kernel.

  Args:
    x: the convolution's input, float32 [B, H, W, C].
    gradient: with respect to the output, float32 [B, H, W, features].

  Returns:
    [3, 3, C, features].
  """
  batch, height, width, channels = x.shape
  features = gradient.shape[-1]
  blocks = _Blocks.of(height, width)
  x, gradient = blocks.pad(x, 1, 1), blocks.pad(gradient, 0, 0)

  def add(total, index):
    tiles = blocks.take(gradient, index, 0).reshape(
      blocks.rows, _TILE, blocks.columns, _TILE, features
    )
    tiles = _combine(_RESULT.T, [tiles[:, j] for j in range(_TILE)])
    tiles = jnp.stack(tiles)
    tiles = _combine(_RESULT.T, [tiles[:, :, :, j] for j in range(_TILE)])
    tiles = jnp.stack(tiles, axis=1).reshape(36, -1, features)
    data = _data(blocks.take(x, index, 1))
    return total + jnp.einsum('ptc,ptf->pcf', data, tiles), None

  zeros = jnp.zeros((36, channels, features), x.dtype)
  total, _ = jax.lax.scan(add, zeros, jnp.arange(batch * blocks.count))
  kernel = jnp.kron(_KERNEL, _KERNEL).T @ total.reshape(36, -1)
  return kernel.reshape(3, 3, channels, features)
