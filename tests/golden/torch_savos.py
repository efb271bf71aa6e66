"""The network of SAVOS in PyTorch: the independent definition.

Symmetry 2019, 11(8), 1006, section 4, and for what the paper leaves open the
choices that `savos_jax.models.savos_config.SavosConfig` lists. Arrays are
[B, C, H, W].
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
import torch_resnet

_MULTIPLE = 32  # Of the padded size.
_STRIDE = 4  # Of the decoder's logits.


def _same(inputs: int, outputs: int, *size: int) -> nn.Conv2d:
  """Returns a convolution of odd size, with bias, that keeps the size."""
  padding = tuple(side // 2 for side in size)
  return nn.Conv2d(inputs, outputs, size, padding=padding)


def _resize(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
  return functional.interpolate(
    x, size=tuple(size), mode='bilinear', align_corners=False
  )


class ResidualPair(nn.Module):
  """x + conv3x3(relu(conv3x3(relu(x))))."""

  def __init__(self, features: int):
    super().__init__()
    self.conv1 = _same(features, features, 3, 3)
    self.conv2 = _same(features, features, 3, 3)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Keeps the shape [B, features, H, W]."""
    inner = self.conv1(functional.relu(x))
    return x + self.conv2(functional.relu(inner))


class GlobalConvolution(nn.Module):
  """Paper, section 4.2: two separable k x k paths, then a residual pair."""

  def __init__(self, inputs: int, features: int, k: int):
    super().__init__()
    self.left_1xk = _same(inputs, features, 1, k)
    self.left_kx1 = _same(features, features, k, 1)
    self.right_kx1 = _same(inputs, features, k, 1)
    self.right_1xk = _same(features, features, 1, k)
    self.refine = ResidualPair(features)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps [B, inputs, H, W] to [B, features, H, W]."""
    left = self.left_kx1(self.left_1xk(x))
    right = self.right_1xk(self.right_kx1(x))
    return self.refine(left + right)


class ChannelGate(nn.Module):
  """Eq. 2: one MLP on the average and on the maximum of each channel."""

  def __init__(self, features: int, reduction: int):
    super().__init__()
    hidden = max(1, features // reduction)
    self.hidden = nn.Linear(features, hidden)
    self.out = nn.Linear(hidden, features)

  def _mlp(self, x: torch.Tensor) -> torch.Tensor:
    return self.out(functional.relu(self.hidden(x)))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, H, W] to weights [B, C, 1, 1] in (0, 1)."""
    average = self._mlp(x.mean(dim=(2, 3)))
    maximum = self._mlp(x.amax(dim=(2, 3)))
    return torch.sigmoid(average + maximum)[:, :, None, None]


class SpatialGate(nn.Module):
  """Eq. 4: a convolution on the average and the maximum of each pixel."""

  def __init__(self, size: int):
    super().__init__()
    self.conv = _same(2, 1, size, size)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, H, W] to weights [B, 1, H, W] in (0, 1)."""
    average = x.mean(dim=1, keepdim=True)
    maximum = x.amax(dim=1, keepdim=True)
    return torch.sigmoid(self.conv(torch.cat([average, maximum], dim=1)))


class AttentionModule(nn.Module):
  """Fig. 4; without attention RGMP's refine block."""

  def __init__(self, skip_channels: int, config: Any):
    super().__init__()
    features = config.decoder_features
    self.residual = config.attention_residual
    self.attention = config.attention
    self.conv1 = _same(skip_channels, features, 3, 3)
    if self.attention:
      self.conv2 = _same(features, features, 3, 3)
      self.channel_gate = ChannelGate(features, config.attention_reduction)
      self.spatial_gate = SpatialGate(config.spatial_kernel_size)
    else:
      self.skip_refine = ResidualPair(features)
    self.refine = ResidualPair(features)

  def forward(self, skip: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Joins a stage [B, C, 2H, 2W] and what is below, [B, F, H, W]."""
    a = self.conv1(skip)
    if self.attention:
      gated = self.conv2(functional.relu(a))
      gated = self.channel_gate(gated) * gated
      gated = self.spatial_gate(gated) * gated
      s = a + gated if self.residual else gated
    else:
      s = self.skip_refine(a)
    return self.refine(s + _resize(below, skip.shape[2:]))


class Decoder(nn.Module):
  """Section 4.3: three attention modules and the last convolution."""

  def __init__(self, skip_channels: dict[str, int], config: Any):
    super().__init__()
    for name in ('res4', 'res3', 'res2'):
      module = AttentionModule(skip_channels[name], config)
      self.add_module(f'attention_{name}', module)
    self.predict = _same(config.decoder_features, 2, 3, 3)

  def forward(
    self, x: torch.Tensor, stages: dict[str, torch.Tensor]
  ) -> torch.Tensor:
    """Returns logits [B, 2, H / 4, W / 4]."""
    for name in ('res4', 'res3', 'res2'):
      x = self.get_submodule(f'attention_{name}')(stages[name], x)
    return self.predict(functional.relu(x))


class Savos(nn.Module):
  """The whole network, at inference: BatchNorm uses its running statistics.

  Args:
    config: the fields of `savos_jax.models.savos_config.SavosConfig`.
  """

  def __init__(self, config: Any):
    super().__init__()
    self.encoder = torch_resnet.ResNet(
      config.block_counts,
      config.width_multiplier,
      config.stride_variant,
      config.stem_features,
      config.stem_pool_padding,
    )
    width = round(64 * config.width_multiplier)
    channels = {f'res{i + 2}': 4 * width * 2**i for i in range(4)}
    self.global_convolution = GlobalConvolution(
      2 * channels['res5'], config.decoder_features, config.gcb_kernel_size
    )
    self.decoder = Decoder(channels, config)
    # No part of the state: constants of the configuration.
    for name in ('rgb_mean', 'rgb_std'):
      value = torch.tensor(getattr(config, name)).view(1, 3, 1, 1)
      self.register_buffer(name, value, persistent=False)
    self.eval()

  def encode(
    self, frame: torch.Tensor, mask: torch.Tensor
  ) -> dict[str, torch.Tensor]:
    """Computes the stages of a frame [B, 3, H, W] with a mask [B, 1, H, W].

    Only the frame is normalised. Both are filled up with zeros, on the right
    and at the bottom, to multiples of 32.
    """
    height, width = frame.shape[2:]
    x = torch.cat([(frame - self.rgb_mean) / self.rgb_std, mask], dim=1)
    padding = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
    return self.encoder(functional.pad(x, padding))

  def forward(
    self,
    reference_frame: torch.Tensor,
    reference_mask: torch.Tensor,
    frame: torch.Tensor,
    guidance: torch.Tensor,
  ) -> torch.Tensor:
    """Segments a frame.

    Args:
      reference_frame: [B, 3, H, W] in [0, 1].
      reference_mask: [B, 1, H, W] in [0, 1].
      frame: as `reference_frame`.
      guidance: as `reference_mask`.

    Returns:
      Logits of {background, object}, [B, 2, H, W].
    """
    height, width = frame.shape[2:]
    reference = self.encode(reference_frame, reference_mask)
    target = self.encode(frame, guidance)
    both = torch.cat([target['res5'], reference['res5']], dim=1)
    logits = self.decoder(self.global_convolution(both), target)
    padded = (_STRIDE * side for side in logits.shape[2:])
    return _resize(logits, tuple(padded))[:, :, :height, :width]


def loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
  """Returns the mean cross entropy of logits [B, 2, H, W], in nats.

  Args:
    logits: of {background, object}.
    mask: the truth, [B, H, W] of 0 and 1.
  """
  return functional.cross_entropy(logits, mask.long())
