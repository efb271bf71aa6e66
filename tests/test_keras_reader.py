"""ResNets out of Keras' files: names, layouts, and Keras itself."""

import struct
import tracemalloc
import zipfile

import jax
import numpy as np
import pytest

from savos_jax.data.loaders import tf as tf_loader
from savos_jax.foundation import errors
from savos_jax.models import resnet
from savos_jax.weights import keras_reader
from savos_jax.weights import preprocessings
from savos_jax.weights import resnet_params
from tests import keras_files

h5py = pytest.importorskip('h5py', reason='h5py is not installed')


@pytest.mark.parametrize(
  'layout',
  ['published', 'whole model', 'inside another model', 'weights', 'keras'],
)
def test_tensors_come_back_under_torchvisions_names(tmp_path, layout):
  layers, torch = keras_files.arrays()
  keras_files.write(tmp_path / 'file', layout, layers)
  source = keras_reader.read(tmp_path / 'file')
  assert set(source.tensors) == set(torch)
  for name, array in torch.items():
    np.testing.assert_array_equal(source.tensors[name], array, err_msg=name)
  assert source.origins['layer2.1.bn3.running_var'] == (
    'conv3_block2_3_bn/moving_variance'
  )
  assert {name.split('/')[0] for name in source.left_out} >= {
    'conv2d',
    'predictions',
  }
  assert source.batch_norm_epsilon == 1.001e-5
  assert source.preprocessing == preprocessings.PUBLISHED['caffe']
  backbone, _ = resnet_params.fold(source)
  assert backbone.block_counts == keras_files.BLOCKS
  assert backbone.stride_variant == 'v1'
  assert backbone.stem_pool_padding == (1, 1)


def test_without_the_layers_names_the_message_tells_what_to_do(tmp_path):
  keras_files.write(tmp_path / 'file', 'unnamed', keras_files.arrays()[0])
  with pytest.raises(errors.SavosError, match=r'Keras before 3\.6'):
    keras_reader.read(tmp_path / 'file')


@pytest.mark.parametrize(
  ('layer', 'parameter'),
  [
    ('conv2_block1_preact_bn', 'gamma'),  # ResNet50V2.
    ('conv2_block1_2_conv', 'depthwise_kernel'),  # ResNeXt50.
    ('res2a_branch2a', 'kernel'),  # Keras before 2019.
  ],
)
def test_another_network_is_refused(tmp_path, layer, parameter):
  layers, _ = keras_files.arrays()
  layers.setdefault(layer, {})[parameter] = np.ones(4, np.float32)
  keras_files.write(tmp_path / 'file', 'published', layers)
  with pytest.raises(errors.SavosError, match=f'{layer}/{parameter}, which'):
    keras_reader.read(tmp_path / 'file')


def test_two_networks_are_refused(tmp_path):
  layers, _ = keras_files.arrays()
  with h5py.File(tmp_path / 'file', 'w') as file:
    keras_files.write_named(file.create_group('one'), layers)
    keras_files.write_named(file.create_group('two'), layers)
  with pytest.raises(errors.SavosError, match='twice'):
    keras_reader.read(tmp_path / 'file')


def test_bfloat16_is_refused(tmp_path):
  layers, _ = keras_files.arrays()
  layers['conv1_bn']['beta'] = np.ones(4, np.uint16)
  keras_files.write(tmp_path / 'file', 'weights', layers)
  with pytest.raises(errors.SavosError, match=r'conv1_bn/beta is .* uint16'):
    keras_reader.read(tmp_path / 'file')


@pytest.mark.parametrize('layout', ['published', 'keras'])
def test_truncated_file(tmp_path, layout):
  path = tmp_path / 'file'
  keras_files.write(path, layout, keras_files.arrays()[0])
  path.write_bytes(path.read_bytes()[:-9000])
  with pytest.raises(
    errors.SavosError, match='file: not a complete Keras file'
  ):
    keras_reader.read(path)


def test_zip_without_weights(tmp_path):
  with zipfile.ZipFile(tmp_path / 'file', 'w') as archive:
    archive.writestr('config.json', '{}')
  with pytest.raises(errors.SavosError, match='not a complete Keras file'):
    keras_reader.read(tmp_path / 'file')


_KERNEL = 'conv1_conv/conv1_conv/kernel:0'


def _external(file, folder):
  (folder / 'secret').write_bytes(b'TOPSECRET...' * 256)
  external = [(str(folder / 'secret'), 0, 7 * 7 * 3 * 4 * 4)]
  file.create_dataset(_KERNEL, (7, 7, 3, 4), 'f4', external=external)


def _virtual(file, folder):
  with h5py.File(folder / 'other', 'w') as other:
    other['x'] = np.ones((7, 7, 3, 4), np.float32)
  layout = h5py.VirtualLayout((7, 7, 3, 4), 'f4')
  layout[...] = h5py.VirtualSource(folder / 'other', 'x', (7, 7, 3, 4))
  file.create_virtual_dataset(_KERNEL, layout)


def _external_link(file, folder):
  with h5py.File(folder / 'other', 'w') as other:
    keras_files.write_named(other, keras_files.arrays()[0])
  file['model_weights'] = h5py.ExternalLink(str(folder / 'other'), '/')


def _soft_link(file, folder):
  keras_files.write_named(
    file.create_group('elsewhere'), keras_files.arrays()[0]
  )
  file['model_weights'] = h5py.SoftLink('/elsewhere')


@pytest.mark.parametrize(
  'make', [_external, _virtual, _external_link, _soft_link]
)
def test_another_file_is_not_read(tmp_path, make):
  """HDF5 has three ways to name one."""
  with h5py.File(tmp_path / 'file', 'w') as file:
    make(file, tmp_path)
  with pytest.raises(errors.SavosError, match='is in another file, which'):
    keras_reader.read(tmp_path / 'file')


def test_links_below_lead_nowhere(tmp_path):
  with h5py.File(tmp_path / 'other', 'w') as other:
    keras_files.write_named(other, keras_files.arrays()[0])
  with h5py.File(tmp_path / 'file', 'w') as file:
    for layer in keras_files.arrays()[0]:
      file[layer] = h5py.ExternalLink(str(tmp_path / 'other'), layer)
  with pytest.raises(errors.SavosError, match='holds nothing, which'):
    keras_reader.read(tmp_path / 'file')


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'shape': (7, 7, 3, 1 << 20)}, 'is said to take 616562688 bytes'),
    (
      {'shape': (1 << 31, 1 << 31, 1 << 31)},
      'is said to take 39614081257132168',
    ),
    ({'shape': (7, 7, 3, 4)}, 'not all in the file'),
    (
      {'shape': (7, 7, 3, 4), 'chunks': (7, 7, 3, 1)},
      'not all in the file',
    ),
    (
      {'data': np.zeros((7, 7, 3, 4), 'f4'), 'compression': 'gzip'},
      'are compressed',
    ),
    ({'data': h5py.Empty('f4')}, 'not all in the file'),
    ({'shape': (2,), 'dtype': h5py.string_dtype()}, 'is of type object'),
    ({'shape': (2,), 'dtype': [('a', 'f4')]}, 'is of type'),
  ],
)
def test_a_declared_size_is_not_believed(tmp_path, options, message):
  with h5py.File(tmp_path / 'file', 'w') as file:
    file.create_dataset(_KERNEL, **{'dtype': 'f4'} | options)
  tracemalloc.start()
  with pytest.raises(errors.SavosError, match=f'file: .*{message}'):
    keras_reader.read(tmp_path / 'file')
  assert tracemalloc.get_traced_memory()[1] < 10_000_000
  tracemalloc.stop()


def test_groups_in_groups_end(tmp_path):
  with h5py.File(tmp_path / 'file', 'w') as file:
    file['/'.join('a' * 100)] = 1.0
  with pytest.raises(errors.SavosError, match='groups in groups'):
    keras_reader.read(tmp_path / 'file')


@pytest.mark.parametrize('name', [3, np.arange(5), 'a' * 1000, b'\xff'])
def test_a_layers_name_may_be_anything(tmp_path, name):
  with h5py.File(tmp_path / 'file', 'w') as file:
    file['layers/a/vars/0'] = np.ones(3)
    file['layers/a/vars'].attrs['name'] = name
    file['layers/a/vars/-1'] = np.ones(3)
  with pytest.raises(errors.SavosError, match=r'Keras before 3\.6'):
    keras_reader.read(tmp_path / 'file')


@pytest.mark.parametrize(
  'method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_does_not_fill_the_memory(tmp_path, method):
  path = tmp_path / 'file'
  with zipfile.ZipFile(path, 'w', method) as archive:
    archive.writestr('model.weights.h5', bytes(80 << 20))
  whole = path.read_bytes()
  for told in (80 << 20, 1000):  # As it is, and as little.
    place = struct.pack('<I', 80 << 20)
    path.write_bytes(whole.replace(place, struct.pack('<I', told)))
    tracemalloc.start()
    with pytest.raises(errors.SavosError, match='file: '):
      keras_reader.read(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.fixture(scope='module')
def keras_model():
  """Keras' own ResNet50 with drawn statistics, which initially are 0 and 1."""
  keras = pytest.importorskip('keras', reason='keras is not installed')
  tf_loader.hide_accelerators()
  model = keras.applications.ResNet50(
    weights=None, include_top=False, input_shape=(64, 64, 3)
  )
  rng = np.random.default_rng(0)
  for layer in model.layers:
    if layer.name.endswith('_bn'):
      last = layer.name.endswith('_3_bn')
      low, high = (0.2, 0.4) if last else (0.5, 1.5)
      size = layer.gamma.shape[0]
      layer.set_weights(
        [
          rng.uniform(low, high, size),
          rng.normal(0, 0.1, size),
          rng.normal(0, 0.1, size),
          rng.uniform(0.5, 2, size),
        ]
      )
  return model


def test_stages_are_those_of_keras(keras_model, tmp_path):
  keras_model.save_weights(tmp_path / 'model.weights.h5')
  source = keras_reader.read(tmp_path / 'model.weights.h5')
  backbone, params = resnet_params.fold(source)
  kernel = params['conv1']['kernel']
  no_mask = np.zeros_like(kernel[:, :, :1])
  params['conv1']['kernel'] = np.concatenate([kernel, no_mask], axis=2)
  encoder = resnet.ResNet(
    stride_variant=backbone.stride_variant,
    stem_pool_padding=backbone.stem_pool_padding,
  )
  rng = np.random.default_rng(1)
  images = rng.uniform(0, 255, (1, 64, 64, 4)).astype(np.float32)
  images[..., 3] = 0
  mean, std = np.float32(backbone.rgb_mean), np.float32(backbone.rgb_std)
  normalised = images.copy()
  normalised[..., :3] = (images[..., :3] / 255 - mean) / std
  with jax.default_matmul_precision('highest'):
    stages = jax.jit(encoder.apply)(
      {'params': params}, normalised[..., :3], normalised[..., 3:]
    )
  ends = {
    'stem': 'pool1_pool',
    'res2': 'conv2_block3_out',
    'res3': 'conv3_block4_out',
    'res4': 'conv4_block6_out',
    'res5': 'conv5_block3_out',
  }
  model = type(keras_model)(
    keras_model.input, [keras_model.get_layer(n).output for n in ends.values()]
  )
  bgr = images[..., 2::-1] - np.float32([103.939, 116.779, 123.68])
  for stage, theirs in zip(ends, model(bgr), strict=True):
    theirs, ours = np.asarray(theirs), np.asarray(stages[stage])
    relative = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    most = np.abs(ours - theirs).max()
    print(f'{stage} {theirs.shape}: max {most:.2e}, relative {relative:.2e}')
    assert relative < 1e-5
