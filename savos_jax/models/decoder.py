"""Decoder: three attention modules and the prediction (SAVOS, section 4.3)."""

from collections.abc import Mapping
import functools
from typing import Any
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import attention
from savos_jax.models import convolutions
from savos_jax.models import upsampling


class Region(NamedTuple):
  """The part of a frame that is decoded finely, in cells of 8x8 pixels.

  Attributes:
    rows: consecutive rows of cells, int32 [h].
    columns: consecutive columns of cells, int32 [w].
  """

  rows: jax.Array
  columns: jax.Array


class Coarse(NamedTuple):
  """What `Decoder.fine` needs.

  Attributes:
    decoded: output of the first stage, [B, H/16, W/16, features].
    res3: encoder features, [B, H/8, W/8, C3].
    res2: encoder features, [B, H/4, W/4, C2].
  """

  decoded: jax.Array
  res3: jax.Array
  res2: jax.Array


@functools.partial(jax.jit, static_argnames='factor')
def cut(
  x: jax.Array, rows: jax.Array, columns: jax.Array, factor: int
) -> jax.Array:
  """Takes a region of a map with `factor` positions per cell and axis.

  Jitted so that it stays a separate function in the traced program, where
  `exporting.onnx_graph` recognises it by name: all sizes may be symbolic there.

  Args:
    x: [B, factor * H, factor * W, C].
    rows: of the `Region`, int32 [h].
    columns: of the `Region`, int32 [w].
    factor: at least 1.

  Returns:
    [B, factor * h, factor * w, C].
  """
  for axis, cells in ((1, rows), (2, columns)):
    steps = jnp.arange(factor, dtype=cells.dtype)
    places = (factor * cells[:, None] + steps[None]).reshape(-1)
    x = jnp.take(x, places, axis=axis, mode='clip')
  return x


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

  def setup(self):
    """Builds the three stages and the prediction."""

    def stage():
      return attention.AttentionModule(
        features=self.features,
        attention=self.attention,
        residual=self.attention_residual,
        reduction=self.attention_reduction,
        spatial_kernel_size=self.spatial_kernel_size,
        dtype=self.dtype,
      )

    self.attention_res4 = stage()
    self.attention_res3 = stage()
    self.attention_res2 = stage()
    self.predict = nn.Conv(
      2,
      (3, 3),
      dtype=self.dtype,
      conv_general_dilated=convolutions.by_products,
    )

  def coarse(
    self,
    x: jax.Array,
    skips: Mapping[str, jax.Array],
    matched: jax.Array | None = None,
  ) -> Coarse:
    """Computes the first stage, at stride 16.

    Args:
      x: output of the global convolution block, [B, H/32, W/32, features].
      skips: features 'res4', 'res3', 'res2' of the target branch.
      matched: from `matching.Matching`, [B, H/16, W/16, features]; or None.
    """
    below = upsampling.bilinear(x, 2)
    decoded = self.attention_res4(skips['res4'], below, matched)
    return Coarse(decoded, skips['res3'], skips['res2'])

  def fine(self, coarse: Coarse, region: Region | None = None) -> jax.Array:
    """Computes the stages at strides 8 and 4, and the prediction.

    Args:
      coarse: from `coarse`.
      region: computes this part only; the stages' gates then depend on it
        alone. None: the whole frame.

    Returns:
      Logits {background, object} of the region, float32 [B, h/4, w/4, 2].
    """

    def within(x, factor):
      return x if region is None else cut(x, *region, factor)

    below = within(upsampling.bilinear(coarse.decoded, 2), 1)
    x = self.attention_res3(within(coarse.res3, 1), below)
    below = upsampling.bilinear(x, 2)
    x = self.attention_res2(within(coarse.res2, 2), below)
    return self.predict(nn.relu(x)).astype(jnp.float32)
