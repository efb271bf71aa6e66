"""Global convolution block (SAVOS, section 4.2).

Peng et al., "Large Kernel Matters", 2017: a k x k receptive field at the price
of 1 x k and k x 1 convolutions.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp


class ResidualPair(nn.Module):
  """x + conv3x3(relu(conv3x3(relu(x))))."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to [B, H, W, C]."""
    features = x.shape[-1]
    y = nn.Conv(features, (3, 3), dtype=self.dtype, name='conv1')(nn.relu(x))
    y = nn.Conv(features, (3, 3), dtype=self.dtype, name='conv2')(nn.relu(y))
    return x + y


class GlobalConvolutionBlock(nn.Module):
  """Matches the target with the reference over a large neighbourhood.

  Attributes:
    features: channels inside and out.
    kernel_size: k, odd.
    dtype: of the computation.
  """

  features: int = 256
  kernel_size: int = 7
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, target: jax.Array, reference: jax.Array) -> jax.Array:
    """Maps two [B, H, W, C] feature maps to [B, H, W, features].

    Args:
      target: res5 of the current frame.
      reference: res5 of the reference frame.
    """
    x = jnp.concatenate([target, reference], axis=-1).astype(self.dtype)
    row, column = (1, self.kernel_size), (self.kernel_size, 1)

    def conv(kernel, name):
      return nn.Conv(self.features, kernel, dtype=self.dtype, name=name)

    left = conv(column, 'left_kx1')(conv(row, 'left_1xk')(x))
    right = conv(row, 'right_1xk')(conv(column, 'right_kx1')(x))
    return ResidualPair(self.dtype, name='refine')(left + right)
