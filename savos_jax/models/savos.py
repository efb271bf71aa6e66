"""The SAVOS network (section 4): siamese encoder, global convolution, decoder.

"Symmetry Encoder-Decoder Network with Attention Mechanism for Fast Video
Object Segmentation", Symmetry 2019, 11(8), 1006.
"""

from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from savos_jax.models import decoder
from savos_jax.models import global_convolution
from savos_jax.models import matching
from savos_jax.models import resnet
from savos_jax.models import savos_config
from savos_jax.models import upsampling


def _inside(shape: tuple[int, ...], size: jax.Array) -> jax.Array:
  """Returns a mask [1, H, W, 1] of the top left corner of size (h, w)."""
  rows = jnp.arange(shape[0]).reshape(1, -1, 1, 1) < size[0]
  columns = jnp.arange(shape[1]).reshape(1, 1, -1, 1) < size[1]
  return rows & columns


class Reference(NamedTuple):
  """The encoded reference frame.

  Attributes:
    share: its contribution to the global convolution block, [B, ceil(H/32),
      ceil(W/32), decoder_features].
    remembered: keys and values for the look back; None without matching.
  """

  share: jax.Array
  remembered: matching.Remembered | None = None


def _pad(x: jax.Array) -> jax.Array:
  """Pads [B, H, W, ...] with zeros to multiples of 32."""
  bottom, right = savos_config.padding_to_multiple(*x.shape[1:3])
  return jnp.pad(x, ((0, 0), (0, bottom), (0, right), *[(0, 0)] * (x.ndim - 3)))


class SAVOS(nn.Module):
  """Segments an object in a frame, given a reference and the previous mask.

  Attributes:
    config: the architecture.
  """

  config: savos_config.SavosConfig = savos_config.SavosConfig()

  def setup(self):
    """Builds the three parts; both branches share the encoder's weights."""
    c = self.config
    dtype = jnp.dtype(c.compute_dtype)
    self.encoder = resnet.ResNet(
      block_counts=c.block_counts,
      width_multiplier=c.width_multiplier,
      stride_variant=c.stride_variant,
      stem_features=c.stem_features,
      stem_pool_padding=c.stem_pool_padding,
      dtype=dtype,
    )
    self.global_convolution = global_convolution.GlobalConvolutionBlock(
      c.decoder_features, c.gcb_kernel_size, dtype
    )
    if c.matching:
      self.matching = matching.Matching(
        c.matching_keys, c.matching_values, c.decoder_features, dtype
      )
    self.decoder = decoder.Decoder(
      features=c.decoder_features,
      attention=c.attention,
      attention_residual=c.attention_residual,
      attention_reduction=c.attention_reduction,
      spatial_kernel_size=c.spatial_kernel_size,
      dtype=dtype,
    )

  def _encode(
    self, frame: jax.Array, mask: jax.Array, size: jax.Array | None
  ) -> dict[str, jax.Array]:
    mean = jnp.asarray(self.config.rgb_mean, jnp.float32).reshape(1, 1, 1, 3)
    std = jnp.asarray(self.config.rgb_std, jnp.float32).reshape(1, 1, 1, 3)
    x, mask = (frame - mean) / std, mask[..., None]
    # Zeros after normalisation: the padding is the mean colour without object.
    if size is not None:
      inside = _inside(frame.shape[1:3], size)
      x, mask = jnp.where(inside, x, 0.0), jnp.where(inside, mask, 0.0)
    return self.encoder(_pad(x), _pad(mask))

  def encode_reference(
    self, frame: jax.Array, mask: jax.Array, size: jax.Array | None = None
  ) -> Reference:
    """Encodes the reference frame: once a video.

    Of res5 only its contribution to the global convolution is kept, which is
    linear in it and the same for every frame.

    Args:
      frame: RGB in [0, 1], float32 [B, H, W, 3]; or [1, H, W, 3], the same for
        all masks.
      mask: its mask in [0, 1], float32 [B, H, W].
      size: int32 [2]; the true height and width of a frame that is already
        padded to multiples of 32. Sizes with the same padded size then share
        compiled functions.

    Returns:
      The encoded reference, for `segment`.
    """
    features = self._encode(frame, mask, size)
    share = self.global_convolution.of_reference(features['res5'])
    if not self.config.matching:
      return Reference(share)
    trace = self.matching.trace(features['res4'])
    return Reference(share, self.remember(trace, mask))

  def remember(
    self,
    trace: matching.Trace,
    mask: jax.Array,
    size: jax.Array | None = None,
  ) -> matching.Remembered:
    """Combines a frame's trace with its mask, for later frames to attend to.

    Args:
      trace: from `segment_traced`.
      mask: the frame's own, not its guidance: probabilities, float32 [B, H, W].
      size: as `segment_traced` was given it.

    Returns:
      Keys and values at stride 16.
    """
    if size is not None:
      mask = jnp.where(_inside(mask.shape[1:3], size)[..., 0], mask, 0.0)
    return self.matching.remember(trace, _pad(mask))

  def decode_coarsely(
    self,
    frame: jax.Array,
    guidance: jax.Array,
    reference: Reference,
    size: jax.Array | None = None,
    memory: matching.Memory | None = None,
  ) -> tuple[decoder.Coarse, matching.Trace | None]:
    """Computes everything up to stride 16: the first part of `segment`.

    Args:
      frame: RGB in [0, 1], float32 [B, H, W, 3]; or [1, H, W, 3], the same for
        all objects.
      guidance: the previous frame's probabilities, float32 [B, H, W].
      reference: from `encode_reference`, for the same H and W.
      size: see there.
      memory: frames to look back at besides the reference, at stride 16. Not
        used without matching.

    Returns:
      What `decode_finely` takes; and what `remember` takes, None without
      matching.
    """
    features = self._encode(frame, guidance, size)
    x = self.global_convolution(features['res5'], reference.share)
    trace = matched = None
    if self.config.matching:
      assert reference.remembered is not None  # See `encode_reference`.
      trace = self.matching.trace(features['res4'])
      matched = self.matching(trace, reference.remembered, memory)
    return self.decoder.coarse(x, features, matched), trace

  def decode_finely(
    self, coarse: decoder.Coarse, region: decoder.Region | None = None
  ) -> jax.Array:
    """Computes the rest, from stride 8 on: the second part of `segment`.

    Args:
      coarse: from `decode_coarsely`.
      region: computes this part only, see `decoder.Decoder.fine`; None: the
        whole frame, padded to multiples of 32.

    Returns:
      Logits {background, object} at full size, float32 [B, h, w, 2].
    """
    return upsampling.bilinear(self.decoder.fine(coarse, region), 4)

  def segment(
    self,
    frame: jax.Array,
    guidance: jax.Array,
    reference: Reference,
    size: jax.Array | None = None,
    region: decoder.Region | None = None,
  ) -> jax.Array:
    """Segments a frame: `segment_traced` without further memory.

    Args:
      frame: as for `decode_coarsely`, and so the next three.
      guidance: see there.
      reference: see there.
      size: see there.
      region: the part that is segmented, see `decode_finely`.

    Returns:
      Logits {background, object} at full size, float32 [B, H, W, 2]; of the
      region if there is one.
    """
    coarse, _ = self.decode_coarsely(frame, guidance, reference, size)
    logits = self.decode_finely(coarse, region)
    if region is not None:
      return logits
    return logits[:, : frame.shape[1], : frame.shape[2]]

  def segment_traced(
    self,
    frame: jax.Array,
    guidance: jax.Array,
    reference: Reference,
    size: jax.Array | None = None,
    memory: matching.Memory | None = None,
  ) -> tuple[jax.Array, matching.Trace | None]:
    """Segments a frame, and returns its trace for the memory.

    Args:
      frame: as for `decode_coarsely`, and so the next four.
      guidance: see there.
      reference: see there.
      size: see there.
      memory: see there.

    Returns:
      Logits {background, object} at full size, float32 [B, H, W, 2]; and what
      `remember` takes, None without matching.
    """
    coarse, trace = self.decode_coarsely(
      frame, guidance, reference, size, memory
    )
    logits = self.decode_finely(coarse)
    return logits[:, : frame.shape[1], : frame.shape[2]], trace

  def __call__(
    self,
    reference_frame: jax.Array,
    reference_mask: jax.Array,
    frame: jax.Array,
    guidance: jax.Array,
  ) -> jax.Array:
    """Encodes the reference and segments: `segment(encode_reference(...))`.

    Args:
      reference_frame: float32 [B, H, W, 3].
      reference_mask: float32 [B, H, W].
      frame: float32 [B, H, W, 3].
      guidance: float32 [B, H, W].

    Returns:
      Logits, float32 [B, H, W, 2].
    """
    reference = self.encode_reference(reference_frame, reference_mask)
    return self.segment(frame, guidance, reference)
