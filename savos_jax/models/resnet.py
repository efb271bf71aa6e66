"""ResNet-50 encoder for a frame and a mask (SAVOS, section 4.1).

Residual networks: He et al., "Deep Residual Learning for Image Recognition",
2016. BatchNorm is frozen: its statistics and affine are folded into one scale
and one bias per channel.
"""

from collections.abc import Sequence
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import convolutions

STAGES = ('res2', 'res3', 'res4', 'res5')
# Kernels that are followed by a ReLU, as torchvision initialises them.
_he_normal = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def _first_kernel_init(key, shape, dtype=jnp.float32):
  """Initialises RGB filters as usual, the mask's uniform ±1/sqrt(fan_in)."""
  height, width, channels, features = shape
  rgb_key, mask_key = jax.random.split(key)
  rgb = _he_normal(rgb_key, (height, width, channels - 1, features), dtype)
  bound = 1.0 / math.sqrt(height * width)
  mask = jax.random.uniform(
    mask_key, (height, width, 1, features), dtype, -bound, bound
  )
  return jnp.concatenate([rgb, mask], axis=2)


class FrozenBatchNorm(nn.Module):
  """y = scale * x + bias per channel: a BatchNorm with frozen statistics.

  Attributes:
    scale_init: initial scale, where no weights are imported.
    dtype: of the computation.
  """

  scale_init: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to [B, H, W, C]."""
    shape = (x.shape[-1],)
    scale = self.param(
      'scale', nn.initializers.constant(self.scale_init), shape
    )
    bias = self.param('bias', nn.initializers.zeros, shape)
    broadcast = (1, 1, 1, -1)
    return x * scale.astype(self.dtype).reshape(broadcast) + bias.astype(
      self.dtype
    ).reshape(broadcast)


def _conv(features, size, stride, dtype, name):
  """A square convolution without bias, padded as torch pads it.

  The padding is explicit because 'SAME' at stride 2 pads on the other side.
  """
  convolve = None
  if size == 1:
    convolve = convolutions.by_products
  elif (size, stride) == (3, 1):
    convolve = convolutions.convolve_3x3
  return nn.Conv(
    features,
    (size, size),
    strides=(stride, stride),
    padding=[(size // 2, size // 2)] * 2,
    use_bias=False,
    dtype=dtype,
    kernel_init=_he_normal,
    conv_general_dilated=convolve,
    name=name,
  )


class FirstConvolution(nn.Module):
  """7x7 at stride 2 over RGB and a mask.

  It is linear, so the RGB part is computed once for a frame with the masks of K
  objects.

  Attributes:
    features: output channels.
    dtype: of the computation.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, frames: jax.Array, masks: jax.Array) -> jax.Array:
    """Maps frames [B or 1, H, W, 3], masks [B, H, W, 1]: [B, H/2, W/2, C]."""
    shape = (7, 7, 4, self.features)
    kernel = self.param('kernel', _first_kernel_init, shape)
    kernel = kernel.astype(self.dtype)

    def convolve(x, part):
      return convolutions.convolve_7x7_stride_2(x.astype(self.dtype), part)

    if frames.shape[0] == masks.shape[0]:
      return convolve(jnp.concatenate([frames, masks], axis=-1), kernel)
    shared = convolve(frames, kernel[:, :, :3])
    own = convolve(masks, kernel[:, :, 3:])
    return jnp.broadcast_to(shared, own.shape) + own


class Bottleneck(nn.Module):
  """1x1, 3x3, 1x1 residual block.

  Attributes:
    features: inner channels; the output has four times as many.
    stride: of the block.
    stride_variant: 'v1' has the stride in the first 1x1 convolution, 'v1.5'
      (torchvision) in the 3x3.
    residual_scale_init: initial scale of the residual branch, if no weights are
      imported. Without active BatchNorm, 1 would double the variance at each
      block.
    dtype: of the computation.
  """

  features: int
  stride: int
  stride_variant: str
  residual_scale_init: float
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to [B, H/stride, W/stride, 4*features]."""
    first, second = (
      (self.stride, 1) if self.stride_variant == 'v1' else (1, self.stride)
    )
    outer = 4 * self.features
    y = _conv(self.features, 1, first, self.dtype, 'conv1')(x)
    y = nn.relu(FrozenBatchNorm(dtype=self.dtype, name='bn1')(y))
    y = _conv(self.features, 3, second, self.dtype, 'conv2')(y)
    y = nn.relu(FrozenBatchNorm(dtype=self.dtype, name='bn2')(y))
    y = _conv(outer, 1, 1, self.dtype, 'conv3')(y)
    y = FrozenBatchNorm(self.residual_scale_init, self.dtype, name='bn3')(y)
    if self.stride != 1 or x.shape[-1] != outer:
      x = _conv(outer, 1, self.stride, self.dtype, 'downsample_conv')(x)
      x = FrozenBatchNorm(dtype=self.dtype, name='downsample_bn')(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """A bottleneck ResNet with four input channels: RGB and a mask.

  Attributes:
    block_counts: blocks in res2..res5; (3, 4, 6, 3) is ResNet-50.
    width_multiplier: scales every channel count; 1 gives 256..2048.
    stride_variant: 'v1' or 'v1.5', see `Bottleneck`.
    stem_features: channels of the first convolution; 0: 64, scaled likewise.
    stem_pool_padding: of the max-pooling, pixels before and after, on both
      axes: (1, 1) as in PyTorch, (0, 1) as in Caffe and TensorFlow.
    dtype: of the computation.
  """

  block_counts: Sequence[int] = (3, 4, 6, 3)
  width_multiplier: float = 1.0
  stride_variant: str = 'v1.5'
  stem_features: int = 0
  stem_pool_padding: tuple[int, int] = (1, 1)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, frames: jax.Array, masks: jax.Array
  ) -> dict[str, jax.Array]:
    """Encodes normalised frames with masks.

    Args:
      frames: [B, H, W, 3], H and W multiples of 32; or [1, H, W, 3], the same
        frame for all masks.
      masks: [B, H, W, 1].

    Returns:
      {'stem', 'res2', 'res3', 'res4', 'res5'}: features at strides 4 (stem,
      after the pooling), 4, 8, 16, 32.
    """
    width = round(64 * self.width_multiplier)
    stem = self.stem_features or width
    x = FirstConvolution(stem, self.dtype, name='conv1')(frames, masks)
    x = nn.relu(FrozenBatchNorm(dtype=self.dtype, name='bn1')(x))
    x = convolutions.max_pool_3x3_stride_2(x, self.stem_pool_padding)
    features = {'stem': x}
    residual_scale_init = 1.0 / math.sqrt(sum(self.block_counts))
    for number, (stage, blocks) in enumerate(
      zip(STAGES, self.block_counts, strict=True)
    ):
      for block in range(blocks):
        x = Bottleneck(
          features=width * 2**number,
          stride=2 if number > 0 and block == 0 else 1,
          stride_variant=self.stride_variant,
          residual_scale_init=residual_scale_init,
          dtype=self.dtype,
          name=f'{stage}_{block}',
        )(x)
      features[stage] = x
    return features
