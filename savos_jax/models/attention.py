"""Channel and spatial attention (SAVOS, Fig. 4, Eq. 1-4).

The gates are CBAM's (Woo et al., "CBAM: Convolutional Block Attention Module",
2018), between two convolutions of the decoder's refinement module.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import global_convolution


@jax.jit
def spatial_mean(x: jax.Array) -> jax.Array:
  """Averages [B, H, W, C] over height and width, to [B, C].

  Jitted so that it stays a separate function in the traced program, where
  `exporting.onnx_graph` recognises it by name: H and W may be symbolic there.
  """
  return x.mean(axis=(1, 2))


class ChannelGate(nn.Module):
  """Eq. 2: Mc = sigmoid(MLP(avgpool F') + MLP(maxpool F')).

  Attributes:
    reduction: r; the hidden layer has C/r channels, at least one.
    dtype: of the computation.
  """

  reduction: int = 16
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps features [B, H, W, C] to weights [B, 1, 1, C] in (0, 1)."""
    channels = x.shape[-1]
    hidden = nn.Dense(
      max(1, channels // self.reduction), dtype=self.dtype, name='hidden'
    )
    out = nn.Dense(channels, dtype=self.dtype, name='out')
    average = out(nn.relu(hidden(spatial_mean(x))))
    maximum = out(nn.relu(hidden(x.max(axis=(1, 2)))))
    return nn.sigmoid(average + maximum)[:, None, None, :]


class SpatialGate(nn.Module):
  """Eq. 4: Ms = sigmoid(conv([mean_c F''; max_c F''])).

  Attributes:
    kernel_size: of the convolution, odd.
    dtype: of the computation.
  """

  kernel_size: int = 7
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps features [B, H, W, C] to weights [B, H, W, 1] in (0, 1)."""
    pooled = jnp.concatenate(
      [x.mean(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)], axis=-1
    )
    kernel = (self.kernel_size, self.kernel_size)
    return nn.sigmoid(nn.Conv(1, kernel, dtype=self.dtype, name='conv')(pooled))


class AttentionModule(nn.Module):
  """One decoder stage: gates the skip features and adds those from below.

  Attributes:
    features: internal and output channels.
    attention: False replaces the gates with the plain residual pair of RGMP's
      refinement module ("basic version", Table 3).
    residual: whether the gated branch is added to its input or stands alone.
    reduction: r of the channel gate.
    spatial_kernel_size: of the spatial gate.
    dtype: of the computation.
  """

  features: int = 256
  attention: bool = True
  residual: bool = True
  reduction: int = 16
  spatial_kernel_size: int = 7
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    skip: jax.Array,
    below: jax.Array,
    matched: jax.Array | None = None,
  ) -> jax.Array:
    """Refines the features at the resolution of the skip connection.

    Args:
      skip: F1, encoder features [B, H, W, C1].
      below: F2, enlarged to the same resolution, [B, H, W, features].
      matched: added to conv3x3(F1), [B, H, W, features]; or None.

    Returns:
      F, [B, H, W, features].
    """
    conv = global_convolution.conv3x3
    a = conv(self.features, self.dtype, 'conv1')(skip)
    if matched is not None:
      a += matched
    if self.attention:
      f = conv(self.features, self.dtype, 'conv2')(nn.relu(a))
      f = f * ChannelGate(self.reduction, self.dtype, name='channel_gate')(f)
      f = f * SpatialGate(
        self.spatial_kernel_size, self.dtype, name='spatial_gate'
      )(f)
      s = a + f if self.residual else f
    else:
      s = global_convolution.ResidualPair(self.dtype, name='skip_refine')(a)
    return global_convolution.ResidualPair(self.dtype, name='refine')(s + below)
