"""Decoder: three attention modules and the prediction (SAVOS, section 4.3)."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import attention
from savos_jax.models import convolutions


class Decoder(nn.Module):
  """Decodes features at stride 32 to a prediction at stride 4.

  Attributes:
    features: channels of every module.
    attention: see `attention.AttentionModule`, as for the next three.
    attention_residual: likewise.
    attention_reduction: likewise.
    spatial_kernel_size: likewise.
    dtype: of the computation.
  """

  features: int = 256
  attention: bool = True
  attention_residual: bool = True
  attention_reduction: int = 16
  spatial_kernel_size: int = 7
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    skips: Mapping[str, jax.Array],
    matched: jax.Array | None = None,
  ) -> jax.Array:
    """Predicts logits at a quarter of the input size.

    Args:
      x: output of the global convolution block, [B, H/32, W/32, features].
      skips: features 'res4', 'res3', 'res2' of the target branch.
      matched: from `matching.Matching`, [B, H/16, W/16, features]; or None.

    Returns:
      Logits {background, object}, float32 [B, H/4, W/4, 2].
    """
    for stage in ('res4', 'res3', 'res2'):
      x = attention.AttentionModule(
        features=self.features,
        attention=self.attention,
        residual=self.attention_residual,
        reduction=self.attention_reduction,
        spatial_kernel_size=self.spatial_kernel_size,
        dtype=self.dtype,
        name=f'attention_{stage}',
      )(skips[stage], x, matched if stage == 'res4' else None)
    x = nn.Conv(
      2,
      (3, 3),
      dtype=self.dtype,
      conv_general_dilated=convolutions.by_products,
      name='predict',
    )(nn.relu(x))
    return x.astype(jnp.float32)
