"""Global convolution block (SAVOS, section 4.2).

Peng et al., "Large Kernel Matters", 2017: a k x k receptive field at the price
of 1 x k and k x 1 convolutions.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import convolutions


def conv3x3(features: int, dtype: Any, name: str) -> nn.Conv:
  """Makes the 3x3 convolution of the decoder."""
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

  It is linear: what one part of the channels adds can be computed once and
  kept. Parameters as `nn.Conv` has them.

  Attributes:
    features: channels out.
    kernel_size: (k, 1) or (1, k), k odd.
    parts: into how many equal parts the input's channels are divided.
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
      part: which one it is, from 0.
      with_bias: whether the bias is added; once in the sum of all parts.

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

  Its two branches are linear up to where they meet, so the reference's share of
  them is the same for all frames of a video: `of_reference`.

  Attributes:
    features: channels inside and out.
    kernel_size: k, odd.
    dtype: of the computation.
  """

  features: int = 256
  kernel_size: int = 7
  dtype: Any = jnp.float32

  def setup(self):
    """Builds two branches; target and reference are parts of their input."""
    row, column = (1, self.kernel_size), (self.kernel_size, 1)

    def line(kernel_size, parts):
      return LineConvolution(self.features, kernel_size, parts, self.dtype)

    self.left_1xk, self.left_kx1 = line(row, 2), line(column, 1)
    self.right_kx1, self.right_1xk = line(column, 2), line(row, 1)
    self.refine = ResidualPair(self.dtype)

  def of_reference(self, reference: jax.Array) -> jax.Array:
    """Returns the reference's share of both branches' sum.

    Args:
      reference: res5 of the reference frame, [B, H, W, C].

    Returns:
      [B, H, W, features].
    """
    return self._branches(reference, 1)

  def __call__(self, target: jax.Array, share: jax.Array) -> jax.Array:
    """Matches a frame.

    Args:
      target: res5 of the current frame, [B, H, W, C].
      share: from `of_reference`.

    Returns:
      [B, H, W, features].
    """
    return self.refine(self._branches(target, 0) + share)

  def _branches(self, x, part):
    # The reference's share has no bias: the target's has it.
    first, second = (part, part == 0), (0, part == 0)
    left = self.left_kx1(self.left_1xk(x, *first), *second)
    right = self.right_1xk(self.right_kx1(x, *first), *second)
    return left + right
