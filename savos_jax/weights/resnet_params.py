"""Converts a ResNet under torchvision's names to the encoder's parameters.

BatchNorm is folded into one scale and one bias per channel, in float64, with
the file's own epsilon. Everything in the file must be accounted for: anything
missing, unexpected or of another shape raises an error that names it.
"""

from collections.abc import Iterator
import dataclasses
import re
from typing import Any

from flax import traverse_util
import numpy as np

from savos_jax.foundation import errors
from savos_jax.weights import preprocessings
from savos_jax.weights import source as source_lib

_STATISTICS = ('weight', 'bias', 'running_mean', 'running_var')
_INNER_FEATURES = 64  # Of res2's bottlenecks, at width 1.
_EXPANSION = 4  # A bottleneck's output has four times its inner channels.
_BLOCK = re.compile(r'layer([1-4])\.(\d{1,3})\.')
_LISTED = 8  # Names of one kind in a message.


@dataclasses.dataclass(frozen=True)
class Backbone:
  """The requirements on an encoder that uses the parameters.

  The fields are those of `models.savos_config.SavosConfig`.
  """

  block_counts: tuple[int, ...]
  width_multiplier: float
  stem_features: int
  stride_variant: str
  stem_pool_padding: tuple[int, int]
  rgb_mean: tuple[float, ...]
  rgb_std: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Convolution:
  """A convolution and the BatchNorm after it.

  Attributes:
    name: torchvision's, without '.weight'.
    batch_norm: torchvision's name of the BatchNorm.
    path: in the encoder's parameters, such as ('res2_0', 'conv1').
    batch_norm_path: such as ('res2_0', 'bn1').
    shape: of the weight, [out, in, height, width].
  """

  name: str
  batch_norm: str
  path: tuple[str, ...]
  batch_norm_path: tuple[str, ...]
  shape: tuple[int, int, int, int]


def convolutions(
  block_counts: tuple[int, ...], inner: int, stem: int
) -> Iterator[Convolution]:
  """Lists the convolutions of a ResNet with bottlenecks, in order.

  Args:
    block_counts: of res2..res5.
    inner: channels inside res2's bottlenecks.
    stem: channels of the first convolution.

  Yields:
    The convolutions; the shortcut of a block is its last.
  """
  yield Convolution('conv1', 'bn1', ('conv1',), ('bn1',), (stem, 3, 7, 7))
  entering = stem
  for stage, blocks in enumerate(block_counts):
    features = inner * 2**stage
    outer = _EXPANSION * features
    for block in range(blocks):
      theirs, ours = f'layer{stage + 1}.{block}', f'res{stage + 2}_{block}'
      shapes = {
        1: (features, entering, 1, 1),
        2: (features, features, 3, 3),
        3: (outer, features, 1, 1),
      }
      for number, shape in shapes.items():
        conv, norm = f'conv{number}', f'bn{number}'
        yield Convolution(
          f'{theirs}.{conv}', f'{theirs}.{norm}', (ours, conv), (ours, norm),
          shape,
        )  # fmt: skip
      strided = block == 0 and stage > 0
      if strided or entering != outer:
        yield Convolution(
          f'{theirs}.downsample.0',
          f'{theirs}.downsample.1',
          (ours, 'downsample_conv'),
          (ours, 'downsample_bn'),
          (outer, entering, 1, 1),
        )
      entering = outer


def _measure(source: source_lib.Source) -> tuple[tuple[int, ...], int, int]:
  """Returns block counts, inner and stem channels, from names and shapes."""
  tensors = source.tensors
  counts = [0] * 4
  for match in filter(None, map(_BLOCK.match, tensors)):
    # By the last block, so that one that is missing before it is named.
    stage, block = int(match[1]) - 1, int(match[2])
    counts[stage] = max(counts[stage], block + 1)
  anchors = ('conv1.weight', 'layer1.0.conv1.weight')
  if 0 in counts or not all(
    name in tensors and tensors[name].ndim == 4 for name in anchors
  ):
    raise errors.SavosError(
      'no ResNet of four stages was found.\n'
      f'  Found: {_some(sorted(tensors), 6)}.\n'
      '  Expected a convolution "conv1.weight" and blocks '
      '"layer1.0.conv1.weight" to "layer4.*.conv1.weight" (torchvision\'s '
      'names), or the names of Hugging Face transformers.'
    )
  if 'layer1.0.conv3.weight' not in tensors:
    raise errors.SavosError(
      'this ResNet has basic blocks of two convolutions (ResNet-18 or -34).\n'
      '  Expected bottlenecks of three: ResNet-50, -101 or -152.'
    )
  stem, inner = (tensors[name].shape[0] for name in anchors)
  return tuple(counts), inner, stem


def _some(items: list[str], most: int = _LISTED) -> str:
  rest = len(items) - most
  return ', '.join(items[:most]) + (f' and {rest} more' if rest > 0 else '')


def _expected_shapes(
  convs: list[Convolution], tensors
) -> dict[str, tuple[int, ...]]:
  """Shapes of everything that must be there, and of nothing else."""
  shapes: dict[str, tuple[int, ...]] = {}
  for conv in convs:
    shapes[f'{conv.name}.weight'] = conv.shape
    channels = conv.shape[:1]
    bias = f'{conv.name}.bias'
    statistics = [f'{conv.batch_norm}.{name}' for name in _STATISTICS]
    folded = bias in tensors and not any(s in tensors for s in statistics)
    if bias in tensors:
      shapes[bias] = channels
    if not folded:
      shapes |= dict.fromkeys(statistics, channels)
  return shapes


def _check(convs: list[Convolution], tensors) -> None:
  """Raises SavosError unless names, shapes and values are as they must be."""
  expected = _expected_shapes(convs, tensors)
  missing = [name for name in expected if name not in tensors]
  unexpected = [
    f'{name} {list(array.shape)}'
    for name, array in tensors.items()
    if name not in expected
  ]
  misshapen = [
    f'{name} {list(tensors[name].shape)} (expected {list(shape)})'
    for name, shape in expected.items()
    if name in tensors and tensors[name].shape != shape
  ]
  problems = [
    f'{kind}: {_some(names)}'
    for kind, names in (
      ('missing', missing),
      ('unexpected', unexpected),
      ('of another shape', misshapen),
    )
    if names
  ]
  if problems:
    raise errors.SavosError(
      'the parameters are not those of a ResNet with bottlenecks.\n  '
      + '\n  '.join(problems)
      + "\n  Expected torchvision's ResNet-50, or one of another depth or "
      'width with the same blocks; ResNeXt, wide ("2x") and deep-stem ("d") '
      'variants are other networks.'
    )
  broken = [
    name
    for name, array in tensors.items()
    if not np.isfinite(array).all()
    or (name.endswith('.running_var') and (array < 0).any())
  ]
  if broken:
    raise errors.SavosError(
      f'not a number, infinite, or a negative variance in: {_some(broken)}.\n'
      '  The file is damaged, or a training that diverged wrote it.'
    )


def _scale_and_bias(conv: Convolution, tensors, epsilon: float):
  """Returns the BatchNorm as y = scale * x + bias, float64 [C] each."""
  zeros = np.zeros(conv.shape[0])
  conv_bias = tensors.get(f'{conv.name}.bias', zeros).astype(np.float64)
  if f'{conv.batch_norm}.weight' not in tensors:
    return np.ones(conv.shape[0]), conv_bias
  weight, bias, mean, variance = (
    tensors[f'{conv.batch_norm}.{name}'].astype(np.float64)
    for name in _STATISTICS
  )
  scale = weight / np.sqrt(variance + epsilon)
  return scale, bias + (conv_bias - mean) * scale


def _first_kernel(kernel: np.ndarray, preprocessing) -> np.ndarray:
  """Makes the first kernel expect RGB with ImageNet's std.

  (x - m) / s * k = (x - m) / t * (t / s * k): nothing changes for RGB. But the
  mask's filter, which is drawn beside this one, fits an input of about ±2, and
  would be lost beside Caffe's of ±128.
  """
  if preprocessing.channel_order == 'BGR':
    kernel = kernel[:, :, ::-1]
  wanted = preprocessings.PUBLISHED['torch'].std
  ratio = np.divide(wanted, preprocessing.std)
  return kernel * ratio.reshape(1, 1, 3, 1)


def fold(source: source_lib.Source) -> tuple[Backbone, dict[str, Any]]:
  """Converts a ResNet into parameters of `models.resnet.ResNet`.

  Args:
    source: the ResNet as read; a `preprocessing` of None means torchvision's.

  Returns:
    The requirements on the encoder, and its parameters: float32, kernels
    [height, width, in, out]. `conv1/kernel` has only the three RGB filters; the
    network initialises that of the mask.

  Raises:
    SavosError: parameters are missing, unexpected, of another shape or not
      finite.
  """
  counts, inner, stem = _measure(source)
  convs = list(convolutions(counts, inner, stem))
  _check(convs, source.tensors)
  preprocessing = source.preprocessing or preprocessings.PUBLISHED['torch']
  flat = {}
  for conv in convs:
    weight = source.tensors[f'{conv.name}.weight'].astype(np.float64)
    kernel = weight.transpose(2, 3, 1, 0)
    if conv.name == 'conv1':
      kernel = _first_kernel(kernel, preprocessing)
    scale, bias = _scale_and_bias(
      conv, source.tensors, source.batch_norm_epsilon
    )
    flat[(*conv.path, 'kernel')] = kernel
    flat[(*conv.batch_norm_path, 'scale')] = scale
    flat[(*conv.batch_norm_path, 'bias')] = bias
  params = {
    path: np.ascontiguousarray(array, np.float32)
    for path, array in flat.items()
  }
  backbone = Backbone(
    block_counts=counts,
    width_multiplier=inner / _INNER_FEATURES,
    stem_features=stem,
    stride_variant=source.stride_variant,
    stem_pool_padding=source.stem_pool_padding,
    rgb_mean=preprocessing.mean,
    rgb_std=preprocessings.PUBLISHED['torch'].std,
  )
  return backbone, traverse_util.unflatten_dict(params)
