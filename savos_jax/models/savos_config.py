"""The settings of the architecture; importing them needs no library."""

import dataclasses

from savos_jax.foundation import ranges

STRIDE_VARIANTS = ('v1', 'v1.5')
STEM_POOL_PADDINGS = ((1, 1), (0, 1))

# Every stage halves the size without remainder.
SIZE_MULTIPLE = 32
# What is decoded finely consists of cells of so many pixels: the stride of the
# coarser of the two stages that compute it.
FINE_STRIDE = 8

_CHANNELS = ranges.whole(1, 8192)
_KERNEL = ranges.whole(1, 63, odd=True)


def padding_to_multiple(height: int, width: int) -> tuple[int, int]:
  """Returns the rows and columns that pad a size to multiples of 32."""
  return -height % SIZE_MULTIPLE, -width % SIZE_MULTIPLE


@dataclasses.dataclass(frozen=True)
class SavosConfig:
  """The settings of the architecture.

  Attributes:
    block_counts: residual blocks in res2..res5; (3, 4, 6, 3) is ResNet-50.
    width_multiplier: scales the encoder's channels; 1 gives 256..2048.
    stride_variant: 'v1.5' (torchvision: stride in the 3x3) or 'v1' (stride in
      the first 1x1).
    stem_features: channels of the encoder's first convolution; 0 scales its 64
      by `width_multiplier`.
    stem_pool_padding: of the encoder's max-pooling, pixels before and after:
      (1, 1), or (0, 1) as in Caffe and TensorFlow.
    gcb_kernel_size: k of the global convolution block, odd.
    decoder_features: channels of the global convolution block and decoder.
    attention: False is the paper's "basic version" (Table 3).
    attention_residual: whether to add the gated branch to its input.
    attention_reduction: r of the channel gate.
    spatial_kernel_size: of the spatial gate's convolution, odd.
    matching: whether to look back at remembered frames, see `matching.py`.
      Beyond the paper.
    matching_keys: channels for comparing positions.
    matching_values: channels read from similar positions.
    compute_dtype: 'float32' or 'bfloat16'; parameters and logits stay float32.
    rgb_mean: subtracted from RGB in [0, 1].
    rgb_std: RGB is divided by it.

  Raises:
    ValueError: a field is out of range.
  """

  block_counts: tuple[int, ...] = ranges.field(
    (3, 4, 6, 3), ranges.items(ranges.whole(1, 100), 4)
  )
  width_multiplier: float = ranges.field(
    1.0, ranges.number(1 / 64, 16), "the encoder's width, of ResNet-50's"
  )
  stride_variant: str = ranges.field('v1.5', ranges.choice(*STRIDE_VARIANTS))
  stem_features: int = ranges.field(
    0, ranges.whole(1, 8192, zero='64 * width_multiplier')
  )
  stem_pool_padding: tuple[int, int] = ranges.field(
    (1, 1), ranges.choice(*STEM_POOL_PADDINGS)
  )
  gcb_kernel_size: int = ranges.field(7, _KERNEL)
  decoder_features: int = ranges.field(
    256, _CHANNELS, 'channels of the decoder'
  )
  attention: bool = ranges.field(True, ranges.Switch())
  attention_residual: bool = ranges.field(True, ranges.Switch())
  attention_reduction: int = ranges.field(16, _CHANNELS)
  spatial_kernel_size: int = ranges.field(7, _KERNEL)
  matching: bool = ranges.field(False, ranges.Switch())
  matching_keys: int = ranges.field(64, _CHANNELS)
  matching_values: int = ranges.field(128, _CHANNELS)
  compute_dtype: str = ranges.field(
    'float32',
    ranges.choice('float32', 'bfloat16'),
    'of activations; parameters stay float32',
  )
  rgb_mean: tuple[float, ...] = ranges.field(
    (0.485, 0.456, 0.406), ranges.items(ranges.number(-1000, 1000), 3)
  )
  rgb_std: tuple[float, ...] = ranges.field(
    (0.229, 0.224, 0.225), ranges.items(ranges.number(0, 1000, above=True), 3)
  )

  def __post_init__(self):
    """Checks every field against its range."""
    ranges.check_fields(self)
