"""Reading .pth and .safetensors."""

import json
import pathlib
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from savos_jax.foundation import errors
from savos_jax.weights import resnet_params
from savos_jax.weights import torch_reader
from tests import tiny_resnets


def write(path, tensors):
  safetensors.numpy.save_file(tensors, path)
  return path


def assert_same(source, drawn):
  assert set(source.tensors) == set(drawn)
  for name, array in drawn.items():
    np.testing.assert_array_equal(source.tensors[name], array)


def test_torchvisions_names(tmp_path):
  drawn = tiny_resnets.tensors()
  file = write(
    tmp_path / 'model.safetensors',
    drawn
    | {
      'fc.weight': np.ones((10, 128), np.float32),
      'bn1.num_batches_tracked': np.array(7),
    },
  )
  source = torch_reader.read_safetensors(file)
  assert source.layout == 'torchvision'
  assert_same(source, drawn)
  assert set(source.left_out) == {'fc.weight', 'bn1.num_batches_tracked'}
  assert source.stride_variant == 'v1.5'
  assert source.preprocessing is None


@pytest.mark.parametrize('prefix', ['', 'resnet.'])
def test_transformers_names(tmp_path, prefix):
  drawn = tiny_resnets.tensors()
  renamed = {
    prefix + tiny_resnets.as_transformers(name).removeprefix('resnet.'): array
    for name, array in drawn.items()
  }
  renamed['classifier.1.weight'] = np.ones((10, 128), np.float32)
  file = write(tmp_path / 'model.safetensors', renamed)
  source = torch_reader.read_safetensors(file)
  assert source.layout == 'Hugging Face transformers'
  assert_same(source, drawn)
  assert source.origins['layer2.0.downsample.1.running_var'] == (
    f'{prefix}encoder.stages.1.layers.0.shortcut.normalization.running_var'
  )
  assert source.origins['layer2.1.bn3.bias'] == (
    f'{prefix}encoder.stages.1.layers.1.layer.2.normalization.bias'
  )
  resnet_params.fold(source)


def test_a_wrappers_prefix_is_taken_off(tmp_path):
  drawn = tiny_resnets.tensors()
  wrapped = {f'module.backbone.{name}': array for name, array in drawn.items()}
  file = write(tmp_path / 'model.safetensors', wrapped)
  assert_same(torch_reader.read_safetensors(file), drawn)


def test_two_networks_in_one_file_are_not_guessed_at(tmp_path):
  drawn = tiny_resnets.tensors()
  both = {f'query.{n}': a for n, a in drawn.items()}
  both |= {f'key.{n}': a for n, a in drawn.items()}
  source = torch_reader.read_safetensors(
    write(tmp_path / 'model.safetensors', both)
  )
  with pytest.raises(errors.SavosError, match=r'key\.bn1'):
    resnet_params.fold(source)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float64'])
def test_other_precisions(tmp_path, dtype):
  import ml_dtypes

  dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
  drawn = {n: a.astype(dtype) for n, a in tiny_resnets.tensors().items()}
  file = write(tmp_path / 'model.safetensors', drawn)
  source = torch_reader.read_safetensors(file)
  for name, array in drawn.items():
    np.testing.assert_array_equal(
      source.tensors[name].astype(np.float64), array.astype(np.float64)
    )


@pytest.mark.parametrize('size', [4, 100, -10])
def test_a_truncated_file_is_named(tmp_path, size):
  file = write(tmp_path / 'model.safetensors', tiny_resnets.tensors())
  file.write_bytes(file.read_bytes()[:size])
  with pytest.raises(errors.SavosError, match='not a complete safetensors'):
    torch_reader.read_safetensors(file)


def write_by_hand(path, name, dtype, shape, size):
  """Writes a safetensors file that its library would not."""
  told = {name: {'dtype': dtype, 'shape': shape, 'data_offsets': [0, size]}}
  header = json.dumps(told).encode()
  path.write_bytes(struct.pack('<Q', len(header)) + header + bytes(size))
  return path


@pytest.mark.parametrize(
  ('name', 'dtype', 'shape', 'size', 'message'),
  [
    ('conv1.weight', 'F8_E4M3', [1], 1, 'is of type F8_E4M3'),
    ('conv1.weight', 'I8', [1], 1, 'is of type I8'),
    ('conv1.weight', 'C64', [1], 8, 'is of type C64'),
    ('conv1.weight', 'F32', [0, 1 << 62], 0, 'not a complete'),
    ('conv1.weight', 'F32', [1 << 32] * 3, 4, 'not a complete'),
    ('conv1.weight', 'F32', [1 << 20], 4, 'not a complete'),
    ('conv1.weight', 'F32', [1] * 100, 4, 'not a complete'),
  ],
)
def test_what_a_file_declares_is_not_believed(
  tmp_path, name, dtype, shape, size, message
):
  path = write_by_hand(tmp_path / 'file', name, dtype, shape, size)
  with pytest.raises(errors.SavosError, match=f'file: .*{message}'):
    torch_reader.read_safetensors(path)


def test_what_no_encoder_needs_is_not_read(tmp_path):
  path = write_by_hand(tmp_path / 'file', 'fc.weight', 'F8_E4M3', [1], 1)
  source = torch_reader.read_safetensors(path)
  assert (dict(source.tensors), source.left_out) == ({}, ('fc.weight',))


def test_a_number_in_a_name_has_an_end(tmp_path):
  tensors = {
    tiny_resnets.as_transformers('conv1.weight'): np.ones(1, np.float32),
    f'encoder.stages.{"9" * 5000}.layers.0.layer.0.convolution.weight': np.ones(
      1, np.float32
    ),
  }
  source = torch_reader.read_safetensors(write(tmp_path / 'file', tensors))
  assert 'conv1.weight' in source.tensors


def test_without_torch_the_message_says_what_to_do(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'torch', None)
  path = tmp_path / 'resnet50-0676ba61.pth'
  path.write_bytes(b'')
  with pytest.raises(errors.SavosError) as caught:
    torch_reader.read_pth(path)
  for text in (str(path), 'pip install torch', 'resnet50.tv_in1k'):
    assert text in str(caught.value)


@pytest.fixture
def torch():
  return pytest.importorskip('torch', reason='torch is not installed')


def state_dict(torch, prefix=''):
  return {
    prefix + name: torch.from_numpy(array)
    for name, array in tiny_resnets.tensors().items()
  }


@pytest.mark.parametrize('zipped', [True, False])
def test_pth(torch, tmp_path, zipped):
  path = tmp_path / 'model.pth'
  torch.save(state_dict(torch), path, _use_new_zipfile_serialization=zipped)
  assert_same(torch_reader.read_pth(path), tiny_resnets.tensors())


def test_a_trainings_checkpoint(torch, tmp_path):
  path = tmp_path / 'model.pth'
  # Some write a word on the network among its tensors.
  state = state_dict(torch, 'module.') | {'version': 3}
  torch.save({'state_dict': state, 'epoch': 3}, path)
  assert_same(torch_reader.read_pth(path), tiny_resnets.tensors())


class Harmful:
  """Its pickle touches a file when it is loaded."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize('how', ['torch', 'pickle'])
def test_code_in_a_pickle_is_not_run(torch, tmp_path, how):
  path, touched = tmp_path / 'model.pth', tmp_path / 'touched'
  content = {'conv1.weight': Harmful(touched)}
  if how == 'torch':
    torch.save(content, path)
  else:
    path.write_bytes(pickle.dumps(content))
  with pytest.raises(errors.SavosError, match='was not run') as caught:
    torch_reader.read_pth(path)
  assert str(path) in str(caught.value)
  assert not touched.exists()


@pytest.mark.parametrize('size', [0, 10, -100])
def test_a_truncated_pth_is_named(torch, tmp_path, size):
  path = tmp_path / 'model.pth'
  torch.save(state_dict(torch), path)
  path.write_bytes(path.read_bytes()[:size])
  with pytest.raises(errors.SavosError, match='torch cannot read it'):
    torch_reader.read_pth(path)


def test_the_hash_in_a_name_is_compared(torch, tmp_path):
  path = tmp_path / 'resnet50-0676ba61.pth'
  torch.save(state_dict(torch), path)
  with pytest.raises(errors.SavosError, match='Expected 0676ba61'):
    torch_reader.read_pth(path)


def test_something_else_in_a_pth(torch, tmp_path):
  path = tmp_path / 'list.pth'
  torch.save([1, 2], path)
  with pytest.raises(errors.SavosError, match='holds a list'):
    torch_reader.read_pth(path)


def test_a_tensor_may_not_repeat_its_bytes_for_ever(torch, tmp_path):
  path = tmp_path / 'model.pth'
  repeated = torch.zeros(1).expand(64, 3, 7, 1 << 16)
  torch.save({'conv1.weight': repeated}, path)
  assert path.stat().st_size < 10_000
  with pytest.raises(errors.SavosError, match=r'conv1.weight is said to take'):
    torch_reader.read_pth(path)


def test_an_archive_does_not_fill_the_memory(torch, tmp_path):
  path = tmp_path / 'model.pth'
  torch.save({'conv1.weight': torch.zeros(1 << 20)}, path)
  packed = tmp_path / 'packed.pth'
  with (
    zipfile.ZipFile(path) as archive,
    zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as smaller,
  ):
    for name in archive.namelist():
      smaller.writestr(name, archive.read(name))
  with pytest.raises(errors.SavosError, match=r'data\.pkl in it is compressed'):
    torch_reader.read_pth(packed)


@pytest.mark.parametrize(
  'make',
  [
    lambda torch: torch.eye(3).to_sparse(),
    lambda torch: torch.ones(3, dtype=torch.int8),
    lambda torch: torch.ones(3, dtype=torch.complex64),
    lambda torch: torch.ones(3, device='meta'),
  ],
)
def test_other_tensors_are_refused(torch, tmp_path, make):
  path = tmp_path / 'model.pth'
  torch.save({'conv1.weight': make(torch), 3: torch.ones(1)}, path)
  with pytest.raises(errors.SavosError, match=r'conv1.weight is of type'):
    torch_reader.read_pth(path)
