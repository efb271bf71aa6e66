"""The common result of all readers: a ResNet under torchvision's names."""

from collections.abc import Mapping
import dataclasses
import hashlib
import pathlib

import numpy as np

from savos_jax.weights import preprocessings


@dataclasses.dataclass(frozen=True)
class Source:
  """A ResNet with bottlenecks, as read.

  Attributes:
    layout: whose naming the file uses, for the summary: 'torchvision', ...
    tensors: float arrays by torchvision's names ('conv1.weight',
      'bn1.running_mean', 'layer1.0.downsample.0.weight'), convolutions
      [out, in, height, width]. A convolution may have a '.bias' beside its
      '.weight'; one without the four tensors of a BatchNorm behind it has its
      BatchNorm folded in already.
    origins: the name of each of `tensors` in the file.
    left_out: names in the file that no encoder needs, such as the classifier's.
    batch_norm_epsilon: added to the variances.
    stride_variant: 'v1' or 'v1.5', see `models.resnet.Bottleneck`.
    stem_pool_padding: of the max-pooling, pixels before and after, on both
      axes.
    preprocessing: see there; None if the file does not say.
  """

  layout: str
  tensors: Mapping[str, np.ndarray]
  origins: Mapping[str, str]
  left_out: tuple[str, ...] = ()
  batch_norm_epsilon: float = 1e-5
  stride_variant: str = 'v1.5'
  stem_pool_padding: tuple[int, int] = (1, 1)
  preprocessing: preprocessings.Preprocessing | None = None


def sha256(path: pathlib.Path) -> str:
  """Returns a file's SHA-256, 64 hexadecimal digits."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
