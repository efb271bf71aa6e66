"""Small ResNets as Keras writes them, in every layout; without Keras."""

import pathlib
import zipfile

import numpy as np

_CONV = ('kernel', 'bias')
_NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')
_NORM_TORCH = ('weight', 'bias', 'running_mean', 'running_var')
BLOCKS = (1, 2, 1, 1)


def _layers() -> dict[str, tuple[str, tuple[int, ...]]]:
  """Keras' names of layers -> torchvision's, and the kernel's shape."""
  layers = {'conv1_{}': ('{}1', (7, 7, 3, 4))}
  inputs = 4
  for stage, blocks in enumerate(BLOCKS):
    inner = 2 * 2**stage
    for block in range(blocks):
      ours = f'conv{stage + 2}_block{block + 1}_'
      theirs = f'layer{stage + 1}.{block}.'
      if not block:
        layers[ours + '0_{}'] = (
          theirs + 'downsample.{}', (1, 1, inputs, 4 * inner),
        )  # fmt: skip
      layers[ours + '1_{}'] = (theirs + '{}1', (1, 1, inputs, inner))
      layers[ours + '2_{}'] = (theirs + '{}2', (3, 3, inner, inner))
      layers[ours + '3_{}'] = (theirs + '{}3', (1, 1, inner, 4 * inner))
      inputs = 4 * inner
  return layers


def arrays() -> tuple[dict, dict]:
  """Returns layer -> its arrays by name, in Keras' order; torchvision's."""
  rng = np.random.default_rng(0)
  keras, torch = {}, {}
  for ours, (theirs, shape) in _layers().items():
    indexed = 'downsample' in theirs
    conv, norm = (
      theirs.format(kind)
      for kind in (('0', '1') if indexed else ('conv', 'bn'))
    )
    kernel = rng.uniform(-1, 1, shape).astype(np.float32)
    bias, *statistics = rng.uniform(0.5, 1, (5, shape[-1])).astype(np.float32)
    keras[ours.format('conv')] = dict(zip(_CONV, (kernel, bias), strict=True))
    keras[ours.format('bn')] = dict(zip(_NORM, statistics, strict=True))
    torch[f'{conv}.weight'] = np.moveaxis(kernel, (3, 2), (0, 1))
    torch[f'{conv}.bias'] = bias
    for name, array in zip(_NORM_TORCH, statistics, strict=True):
      torch[f'{norm}.{name}'] = array
  head = np.ones((8, 2), np.float32), np.ones(2, np.float32)
  keras['conv2d'] = {'kernel': head[0]}  # Of a head, by Keras' own name.
  keras['predictions'] = dict(zip(_CONV, head, strict=True))
  return keras, torch


def write_named(group, layers, suffix=':0') -> None:
  """As the published files: a group a layer, and in it the layer's name."""
  for layer, arrays in layers.items():
    for name, array in arrays.items():
      group[f'{layer}/{layer}/{name}{suffix}'] = array


def _write_numbered(group, layers, named=True):
  """As Keras 3's save_weights; before 3.6 without the layers' names."""
  for index, (layer, arrays) in enumerate(layers.items()):
    variables = group.create_group(f'layers/any_{index}/vars')
    if named:
      variables.attrs['name'] = layer
    for number, array in enumerate(arrays.values()):
      variables[str(number)] = array
  group['optimizer/vars/0'] = np.zeros(3, np.int64)


def write(path: pathlib.Path, layout: str, layers) -> None:
  """Writes a file: 'published', 'whole model', 'keras', ...: see below."""
  import h5py

  if layout == 'keras':
    inner = path.with_name('model.weights.h5')
    write(inner, 'weights', layers)
    with zipfile.ZipFile(path, 'w') as archive:
      archive.write(inner, inner.name)
    return
  with h5py.File(path, 'w') as file:
    if layout == 'published':
      write_named(file, layers)
    elif layout == 'whole model':
      write_named(file.create_group('model_weights'), layers, suffix='')
      moments = {'conv1_conv': layers['conv1_conv']}
      write_named(file.create_group('optimizer_weights'), moments)
    elif layout == 'inside another model':
      write_named(file.create_group('model_weights/resnet50'), layers)
    else:
      _write_numbered(file, layers, named=layout == 'weights')
