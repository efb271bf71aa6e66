"""ResNet with bottlenecks in PyTorch, under torchvision's parameter names.

He et al., "Deep residual learning for image recognition", CVPR 2016. Written
from the paper and from the names in torchvision's published files, apart from
`savos_jax.models.resnet`, which is measured against it.
"""

import torch
from torch import nn
from torch.nn import functional

_EXPANSION = 4
_STAGES = ('res2', 'res3', 'res4', 'res5')


def _conv(
  inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
  return nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)


class Bottleneck(nn.Module):
  """1x1, 3x3, 1x1, and a shortcut.

  Args:
    inputs: channels in.
    width: channels of the 3x3; 4 times as many come out.
    stride: of the block.
    stride_variant: 'v1.5' has the stride in the 3x3, 'v1' in the first 1x1.
  """

  def __init__(self, inputs: int, width: int, stride: int, stride_variant: str):
    super().__init__()
    outputs = _EXPANSION * width
    first, second = (stride, 1) if stride_variant == 'v1' else (1, stride)
    self.conv1 = _conv(inputs, width, 1, first)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = _conv(width, width, 3, second, 1)
    self.bn2 = nn.BatchNorm2d(width)
    self.conv3 = _conv(width, outputs, 1)
    self.bn3 = nn.BatchNorm2d(outputs)
    self.downsample = None
    if stride != 1 or inputs != outputs:
      self.downsample = nn.Sequential(
        _conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
      )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps [B, inputs, H, W] to [B, 4 * width, H / stride, W / stride]."""
    shortcut = x if self.downsample is None else self.downsample(x)
    x = functional.relu(self.bn1(self.conv1(x)))
    x = functional.relu(self.bn2(self.conv2(x)))
    return functional.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet(nn.Module):
  """The encoder; BatchNorm is for `eval()`.

  Args:
    block_counts: blocks in res2..res5.
    width_multiplier: scales the channels; 1 gives 256..2048.
    stride_variant: see `Bottleneck`.
    stem_features: channels of conv1; 0 scales its 64 by `width_multiplier`.
    stem_pool_padding: pixels before and after, on both axes, that never win
      the max-pooling.
    in_channels: of the input.
  """

  def __init__(
    self,
    block_counts: tuple[int, ...] = (3, 4, 6, 3),
    width_multiplier: float = 1.0,
    stride_variant: str = 'v1.5',
    stem_features: int = 0,
    stem_pool_padding: tuple[int, int] = (1, 1),
    in_channels: int = 4,
  ):
    super().__init__()
    width = round(64 * width_multiplier)
    channels = stem_features or width
    self.stem_pool_padding = tuple(stem_pool_padding)
    self.conv1 = _conv(in_channels, channels, 7, 2, 3)
    self.bn1 = nn.BatchNorm2d(channels)
    for stage, blocks in enumerate(block_counts):
      stage_width = width * 2**stage
      layer = nn.Sequential()
      for block in range(blocks):
        stride = 2 if stage and not block else 1
        layer.append(Bottleneck(channels, stage_width, stride, stride_variant))
        channels = _EXPANSION * stage_width
      self.add_module(f'layer{stage + 1}', layer)

  def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Computes the stages.

    Args:
      x: [B, in_channels, H, W], H and W multiples of 32.

    Returns:
      'stem' (behind the max-pooling), 'res2', ... 'res5', at strides 4, 4, 8,
      16 and 32.
    """
    before, after = self.stem_pool_padding
    x = functional.relu(self.bn1(self.conv1(x)))
    x = functional.pad(x, (before, after, before, after), value=-torch.inf)
    x = functional.max_pool2d(x, 3, 2)
    stages = {'stem': x}
    for index, name in enumerate(_STAGES):
      x = self.get_submodule(f'layer{index + 1}')(x)
      stages[name] = x
    return stages
