"""Global convolution block (SAVOS, section 4.2).

Peng et al., "Large Kernel Matters", 2017: a k x k receptive field at the cost
of 1 x k and k x 1 convolutions.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import convolutions


def conv3x3(features: int, dtype: Any, name: str) -> nn.Conv:
  """Makes a 3x3 convolution as used in the decoder."""
  return nn.Conv(
    features,
    (3, 3),
    dtype=dtype,
    conv_general_dilated=convolutions.convolve_3x3,
    name=name,
  )


class ResidualPair(nn.Module):
  """x + conv3x3(relu(conv3x3(relu(x))))."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to [B, H, W, C]."""
    y = conv3x3(x.shape[-1], self.dtype, 'conv1')(nn.relu(x))
    y = conv3x3(x.shape[-1], self.dtype, 'conv2')(nn.relu(y))
    return x + y


class LineConvolution(nn.Module):
  """A 1 x k or k x 1 convolution with bias, of one part of its input channels.

  It is linear, so the contribution of one part of the channels can be computed
  once and kept. Its parameters are those of `nn.Conv`.

  Attributes:
    features: output channels.
    kernel_size: (k, 1) or (1, k), k odd.
    parts: number of equal parts of the input channels.
    dtype: of the computation.
  """

  features: int
  kernel_size: tuple[int, int]
  parts: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, part: int, with_bias: bool) -> jax.Array:
    """Convolves one part.

    Args:
      x: [B, H, W, C / parts].
      part: index of the part, from 0.
      with_bias: whether to add the bias, which the sum of all parts has once.

    Returns:
      [B, H, W, features].
    """
    channels = x.shape[-1]
    shape = (*self.kernel_size, channels * self.parts, self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    kernel = kernel[:, :, part * channels : (part + 1) * channels]
    y = convolutions.by_products(
      x.astype(self.dtype), kernel.astype(self.dtype)
    )
    if with_bias:
      y += bias.astype(self.dtype).reshape(1, 1, 1, -1)
    return y


class GlobalConvolutionBlock(nn.Module):
  """Matches the target with the reference over a large neighbourhood.

  Its two branches are linear up to their sum, so the reference's contribution
  is the same for all frames of a video: `of_reference`.

  Attributes:
    features: channels, internal and output.
    kernel_size: k, odd.
    dtype: of the computation.
  """

  features: int = 256
  kernel_size: int = 7
  dtype: Any = jnp.float32

  def setup(self):
    """Builds two branches, whose input parts are the target and reference."""
    row, column = (1, self.kernel_size), (self.kernel_size, 1)

    def line(kernel_size, parts):
      return LineConvolution(self.features, kernel_size, parts, self.dtype)

    self.left_1xk, self.left_kx1 = line(row, 2), line(column, 1)
    self.right_kx1, self.right_1xk = line(column, 2), line(row, 1)
    self.refine = ResidualPair(self.dtype)

  def of_reference(self, reference: jax.Array) -> jax.Array:
    """Returns the reference's contribution to the sum of both branches.

    Args:
      reference: res5 of the reference frame, [B, H, W, C].

    Returns:
      [B, H, W, features].
    """
    return self._branches(reference, 1)

  def __call__(self, target: jax.Array, share: jax.Array) -> jax.Array:
    """Matches a frame with the reference.

    Args:
      target: res5 of the current frame, [B, H, W, C].
      share: from `of_reference`.

    Returns:
      [B, H, W, features].
    """
    return self.refine(self._branches(target, 0) + share)

  def _branches(self, x, part):
    # Only the target's part adds the bias.
    first, second = (part, part == 0), (0, part == 0)
    left = self.left_kx1(self.left_1xk(x, *first), *second)
    right = self.right_1xk(self.right_kx1(x, *first), *second)
    return left + right
