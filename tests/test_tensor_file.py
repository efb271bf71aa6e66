"""Our own files: whole, recognised, checked."""

import os
import stat

from flax import traverse_util
import numpy as np
import pytest
import safetensors.numpy

from savos_jax.foundation import errors
from savos_jax.weights import fingerprints
from savos_jax.weights import tensor_file

PARAMS = {
  'conv1': {'kernel': np.arange(24, dtype=np.float32).reshape(2, 3, 4)},
  'bn1': {'scale': np.ones(4, np.float16)},
}


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'made' / 'backbone.safetensors'
  tensor_file.write(path, 'backbone', PARAMS, {'step': 3, 'range': (1, 2)})
  return path


def test_comes_back_as_it_was(file):
  assert tensor_file.read_description(file) == (
    'backbone', {'step': 3, 'range': [1, 2]},
  )  # fmt: skip
  params = tensor_file.read_params(file, PARAMS)
  np.testing.assert_array_equal(
    params['conv1']['kernel'], PARAMS['conv1']['kernel']
  )
  assert params['bn1']['scale'].dtype == np.float32
  assert safetensors.numpy.load_file(file)['bn1/scale'].dtype == np.float16


def test_others_may_read_it(file):
  plain = file.with_name('plain')
  plain.write_text('')
  assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_fingerprint_follows_names_shapes_dtypes_and_values():
  base = {'a': np.zeros((2, 3), np.float32), 'b': np.ones(2, np.float32)}
  others = [
    base | {'a': np.zeros((3, 2), np.float32)},
    base | {'a': np.zeros((2, 3), np.int32)},
    base | {'b': np.array([1.0, 1.0000001], np.float32)},
    {'c' if name == 'b' else name: array for name, array in base.items()},
  ]
  sums = {fingerprints.fingerprint(flat) for flat in [base, *others]}
  assert len(sums) == 5
  shuffled = dict(reversed(base.items()))
  assert fingerprints.fingerprint(shuffled) == fingerprints.fingerprint(base)


def read_params(path):
  return tensor_file.read_params(path, PARAMS)


@pytest.mark.parametrize('read', [tensor_file.read_description, read_params])
@pytest.mark.parametrize('size', [0, 5, 200, -1])
def test_a_truncated_file_is_named(file, read, size):
  file.write_bytes(file.read_bytes()[:size])
  with pytest.raises(errors.SavosError, match='truncated') as caught:
    read(file)
  assert str(file) in str(caught.value)


@pytest.mark.parametrize('position', [-1, -40, -90])
def test_a_flipped_bit_is_noticed(file, position):
  content = bytearray(file.read_bytes())
  content[position] ^= 4
  file.write_bytes(content)
  with pytest.raises(errors.SavosError, match='checksum'):
    read_params(file)


def test_other_files_are_refused(tmp_path):
  path = tmp_path / 'timm.safetensors'
  safetensors.numpy.save_file({'a': np.ones(2)}, path)
  with pytest.raises(errors.SavosError, match='import_backbone'):
    tensor_file.read_description(path)
  with pytest.raises(errors.SavosError, match='no such file'):
    read_params(tmp_path / 'absent.safetensors')
  with pytest.raises(errors.SavosError, match='a folder'):
    read_params(tmp_path)


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
  def fail(tensors, path, metadata):
    path.write_bytes(b'half')
    raise safetensors.SafetensorError('No space left on device (os error 28)')

  monkeypatch.setattr(safetensors.numpy, 'save_file', fail)
  with pytest.raises(errors.SavosError, match='No space left'):
    tensor_file.write(tmp_path / 'file.safetensors', 'backbone', PARAMS, {})
  assert not list(tmp_path.iterdir())


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / 'file')
  for read in (tensor_file.read_description, read_params):
    with pytest.raises(errors.SavosError, match='file: a pipe'):
      read(tmp_path / 'file')


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (
      lambda p: p['bn1'].update(bias=np.ones(4)),
      r'bn1/bias: F64 \(expected mi',
    ),
    (lambda p: p['bn1'].pop('scale'), r'scale: missing \(expected \[4\]'),
    (lambda p: p.update(bn1={'scale': np.ones(4, int)}), 'scale: I64'),
    (lambda p: p['bn1'].update(scale=np.float32([1])), r'scale: \[1\] .*\[4'),
    (lambda p: p.update(conv1=np.float32([1])), r'conv1: \[1\] \(expected mi'),
    (lambda p: p.update({'a' + '/a' * 10**5: np.ones(1)}), 'a/a/a/a'),
    (
      lambda p: p['bn1'].update(scale=np.empty((0, 1 << 50), np.float32)),
      r'scale: \[0, 1125899906842624\]',
    ),
  ],
)
def test_other_arrays_are_not_read(tmp_path, change, message):
  params = {name: dict(part) for name, part in PARAMS.items()}
  change(params)
  flat = traverse_util.flatten_dict(params, sep='/')
  path = tmp_path / 'file.safetensors'
  metadata = {'format': tensor_file.FORMAT, 'kind': 'model'}
  safetensors.numpy.save_file(flat, path, metadata)
  with pytest.raises(errors.SavosError, match=message) as caught:
    read_params(path)
  assert len(str(caught.value)) < 2000


@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_what_is_no_number_is_refused(tmp_path, value, dtype):
  params = {**PARAMS, 'bn1': {'scale': np.array([1, value, 1, 1], dtype)}}
  path = tmp_path / 'file.safetensors'
  tensor_file.write(path, 'model', params, {})
  with pytest.raises(
    errors.SavosError, match=f'{path}: NaN or infinite.*bn1/sc'
  ):
    read_params(path)


DESCRIPTIONS = [
  None,
  '{"step": 3',
  '[1]',
  '7',
  '[' * 100_000,
  '{"a":' * 100_000,
  f'{{"step": {"9" * 5000}}}',
]


@pytest.mark.parametrize('description', DESCRIPTIONS)
@pytest.mark.parametrize('kind', ['model', 'another'])
def test_a_damaged_description_is_named(tmp_path, kind, description):
  path = tmp_path / 'file.safetensors'
  metadata = {'format': tensor_file.FORMAT, 'kind': kind}
  if description:
    metadata['description'] = description
  safetensors.numpy.save_file({'a': np.ones(2)}, path, metadata)
  with pytest.raises(errors.SavosError, match='description is damaged'):
    tensor_file.read_description(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  path = tmp_path / 'file' / 'backbone.safetensors'
  with pytest.raises(errors.SavosError, match='could not be written'):
    tensor_file.write(path, 'backbone', PARAMS, {})
  assert os.listdir(tmp_path) == ['file']
