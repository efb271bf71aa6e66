"""A look back at remembered frames: space-time memory attention.

Oh et al., "Video Object Segmentation using Space-Time Memory Networks", 2019,
with the similarity of Cheng et al., "Rethinking Space-Time Networks" (STCN),
2021. An addition to the paper, disabled in its configurations.

The global convolution compares a frame with the reference at stride 32, at
corresponding positions. Here each position of a frame, at stride 16, attends to
every position of the remembered frames and reads from similar ones whether they
belonged to the object.
"""

from typing import Any
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

STRIDE = 16
# A position's mask is encoded as the means of this many cells along each axis.
_CELLS = 4


class Trace(NamedTuple):
  """A frame's features for the memory, before its mask is known.

  Attributes:
    keys: appearance at each position, [B, h, w, Ck].
    features: further features at each position, [B, h, w, Cv].
  """

  keys: jax.Array
  features: jax.Array


class Remembered(NamedTuple):
  """A remembered frame with its mask.

  Attributes:
    keys: appearance at each position, [B, h, w, Ck].
    values: features and mask at each position, [B, h, w, Cv].
  """

  keys: jax.Array
  values: jax.Array


class Memory(NamedTuple):
  """Up to M remembered frames.

  Attributes:
    keys: [B, M, h, w, Ck].
    values: [B, M, h, w, Cv].
    valid: which frames are present, bool [B, M].
  """

  keys: jax.Array
  values: jax.Array
  valid: jax.Array


def together(
  reference: Remembered, memory: Memory | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
  """Joins the reference, which is always valid, with the memory.

  Args:
    reference: [B, h, w, C].
    memory: M more frames of the same size, or None.

  Returns:
    Keys [B, N, Ck] and values [B, N, Cv] of all N = (M + 1) * h * w positions,
    and which of them are valid, bool [B, N], or None if all are.
  """
  batch, height, width, _ = reference.keys.shape
  keys, values, valid = reference.keys[:, None], reference.values[:, None], None
  if memory is not None:
    keys = jnp.concatenate([keys, memory.keys.astype(keys.dtype)], axis=1)
    values = jnp.concatenate(
      [values, memory.values.astype(values.dtype)], axis=1
    )
    always = jnp.ones((batch, 1), bool)
    valid = jnp.concatenate([always, memory.valid], axis=1)
    valid = jnp.repeat(valid, height * width, axis=1)
  places = keys.shape[1] * height * width
  return (
    keys.reshape(batch, places, keys.shape[-1]),
    values.reshape(batch, places, values.shape[-1]),
    valid,
  )


def read(
  query: jax.Array,
  keys: jax.Array,
  values: jax.Array,
  valid: jax.Array | None,
) -> jax.Array:
  """Averages the values, weighted by the similarity of their keys.

  The similarity is -|q - k|^2 / sqrt(Ck) (STCN, Eq. 3); |q|^2 is the same for
  all keys and therefore omitted.

  Args:
    query: keys of the frame's positions, [B, Q, Ck].
    keys: of the remembered positions, [B, N, Ck].
    values: of the remembered positions, [B, N, Cv].
    valid: bool [B, N], at least one True per example; None: all are valid.

  Returns:
    [B, Q, Cv], float32, the dtype of the softmax.
  """
  scale = 1.0 / jnp.sqrt(jnp.float32(query.shape[-1]))
  products = jnp.einsum(
    'bqc,bnc->bqn', query, keys, preferred_element_type=jnp.float32
  )
  lengths = jnp.square(keys.astype(jnp.float32)).sum(axis=-1)
  similarity = (2.0 * products - lengths[:, None]) * scale
  if valid is not None:
    similarity = jnp.where(valid[:, None], similarity, -jnp.inf)
  weights = jax.nn.softmax(similarity, axis=-1).astype(values.dtype)
  return jnp.einsum(
    'bqn,bnv->bqv', weights, values, preferred_element_type=jnp.float32
  )


def cells(mask: jax.Array) -> jax.Array:
  """Reduces a mask to stride 16, keeping the means of 4x4 cells per position.

  Args:
    mask: float32 [B, H, W], H and W multiples of 16.

  Returns:
    float32 [B, H/16, W/16, 16].
  """
  batch, height, width = mask.shape
  side = STRIDE // _CELLS
  rows, columns = height // side, width // side
  # One axis at a time: libraries for phones limit the rank of an array.
  x = mask.reshape(batch, rows, side, width).mean(axis=2)
  x = x.reshape(batch, rows, columns, side).mean(axis=3)
  x = x.reshape(batch, rows // _CELLS, _CELLS, columns // _CELLS, _CELLS)
  x = x.transpose(0, 1, 3, 2, 4)
  return x.reshape(*x.shape[:3], _CELLS * _CELLS)


class Matching(nn.Module):
  """Computes keys, values and the memory read from the encoder's res4.

  Attributes:
    keys: Ck, channels of the keys.
    values: Cv, channels of the values.
    features: output channels, added to the decoder's input.
    dtype: of the computation; the softmax is computed in float32.
  """

  keys: int = 64
  values: int = 128
  features: int = 256
  dtype: Any = jnp.float32

  def setup(self):
    """Builds the projections; the last one is initialised to zero.

    Adding the look back to a trained network thus leaves its output unchanged
    at first.
    """

    def conv(features, size, name, init=None):
      return nn.Conv(
        features,
        (size, size),
        dtype=self.dtype,
        kernel_init=init or nn.initializers.lecun_normal(),
        name=name,
      )

    self.key = conv(self.keys, 3, 'key')
    self.feature = conv(self.values, 1, 'feature')
    self.mask = conv(self.values, 1, 'mask')
    self.value = conv(self.values, 1, 'value')
    self.mix = conv(self.values, 3, 'mix')
    self.join = conv(self.features, 3, 'join', nn.initializers.zeros)

  def trace(self, features: jax.Array) -> Trace:
    """Computes a frame's trace from its res4 features [B, h, w, C]."""
    return Trace(self.key(features), self.feature(features))

  def remember(self, trace: Trace, mask: jax.Array) -> Remembered:
    """Combines a frame with its mask.

    Args:
      trace: the frame's trace, at stride 16.
      mask: the frame's mask, float32 [B, 16 h, 16 w], in [0, 1].

    Returns:
      Keys and values for later frames to attend to.
    """
    known = nn.relu(trace.features + self.mask(cells(mask).astype(self.dtype)))
    return Remembered(trace.keys, self.value(known))

  def __call__(
    self, trace: Trace, reference: Remembered, memory: Memory | None
  ) -> jax.Array:
    """Attends to the reference and the memory.

    Args:
      trace: the current frame's trace.
      reference: the remembered first frame.
      memory: further remembered frames, or None.

    Returns:
      Features to add to the decoder's input at stride 16, [B, h, w, features].
    """
    batch, height, width, _ = trace.keys.shape
    query = trace.keys.reshape(batch, height * width, -1)
    found = read(query, *together(reference, memory)).astype(self.dtype)
    found = found.reshape(batch, height, width, -1)
    mixed = self.mix(jnp.concatenate([found, trace.features], axis=-1))
    return self.join(nn.relu(mixed))
