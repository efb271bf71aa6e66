"""The importer: formats recognised, a summary, mistakes explained."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from savos_jax.tools import import_backbone
from savos_jax.weights import formats
from savos_jax.weights import preprocessings
from savos_jax.weights import source as source_lib
from savos_jax.weights import tensor_file
from tests import tiny_resnets


@pytest.fixture
def source(tmp_path):
  path = tmp_path / 'model.safetensors'
  tensors = tiny_resnets.tensors() | {'fc.bias': np.ones(10, np.float32)}
  safetensors.numpy.save_file(tensors, path)
  return path


def run(*arguments) -> None:
  import_backbone.main([str(argument) for argument in arguments])


def test_writes_what_a_training_needs(source, tmp_path, capsys):
  out = tmp_path / 'made' / 'backbone.safetensors'
  run(source, '--out', out)
  kind, description = tensor_file.read_description(out)
  assert kind == 'backbone'
  assert description['architecture'] == {
    'block_counts': [1, 2, 1, 1],
    'width_multiplier': 1 / 16,
    'stem_features': 6,
    'stride_variant': 'v1.5',
    'stem_pool_padding': [1, 1],
    'rgb_mean': [0.485, 0.456, 0.406],
    'rgb_std': [0.229, 0.224, 0.225],
  }
  assert description['source'] == {
    'file': 'model.safetensors',
    'sha256': source_lib.sha256(source),
    'layout': 'torchvision',
  }
  printed = capsys.readouterr().out
  arrays = safetensors.numpy.load_file(out)
  count = sum(a.size for n, a in arrays.items() if n.startswith('res2_0/'))
  for text in (
    source_lib.sha256(source),
    f' {count:,} parameters  <- 20 tensors, layer1.0.conv1.weight',
    f'{6 * 3 * 49 + 12:,} parameters  <- 5 tensors, conv1.weight',
    'left out: fc.bias',
    'assumed, the file does not say',
    '--config.model.pretrained=',
    '--config.model.width_multiplier=0.0625',
    '--config.model.block_counts="(1, 2, 1, 1)"',
  ):  # fmt: skip
    assert text in printed, text


def test_lists_every_parameter(source, tmp_path, capsys):
  run(source, '--out', tmp_path / 'backbone.safetensors', '--list')
  printed = capsys.readouterr().out
  for name, array in tiny_resnets.tensors().items():
    assert f'<- {name}' in printed
    assert str(list(array.shape)) in printed


def test_a_name_out_of_a_file_does_not_steer_the_terminal(tmp_path, capsys):
  path = tmp_path / 'model.safetensors'
  tensors = tiny_resnets.tensors() | {'fc.\x1b[2J': np.ones(1, np.float32)}
  safetensors.numpy.save_file(tensors, path)
  run(path, '--out', tmp_path / 'backbone.safetensors')
  assert 'left out: fc.\\x1b[2J' in capsys.readouterr().out


def test_flags_tell_what_the_file_does_not(source, tmp_path):
  out = tmp_path / 'backbone.safetensors'
  run(source, '--out', out, '--preprocessing=caffe', '--stride_variant=v1')
  _, description = tensor_file.read_description(out)
  architecture = description['architecture']
  assert architecture['stride_variant'] == 'v1'
  np.testing.assert_allclose(
    architecture['rgb_mean'], np.array([123.68, 116.779, 103.939]) / 255
  )


def content(kind: str) -> bytes:
  """The first bytes of a file, or what somebody takes for one."""
  buffer = io.BytesIO()
  if kind in ('pth', 'keras', 'zip'):
    inside = {'pth': 'archive/data.pkl', 'keras': 'model.weights.h5'}
    with zipfile.ZipFile(buffer, 'w') as archive:
      archive.writestr(inside.get(kind, 'readme.txt'), b'content')
    return buffer.getvalue()
  return {
    'legacy pth': b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.',
    'h5': b'\x89HDF\r\n\x1a\n' + b'\0' * 20,
    'safetensors': (2).to_bytes(8, 'little') + b'{}',
    'onnx': b'\x08\x07\x12\x07pytorch',
    'cut zip': b'PK\x03\x04' + b'\0' * 40,
    'web page': b'<!DOCTYPE html><html>',
    'pointer': b'version https://git-lfs.github.com/spec/v1\n',
    'empty': b'',
  }[kind]


@pytest.mark.parametrize(
  ('kind', 'name', 'expected'),
  [
    ('pth', 'resnet50-0676ba61.pth', 'pth'),
    ('legacy pth', 'resnet50.pth', 'pth'),
    ('safetensors', 'model.safetensors', 'safetensors'),
    ('h5', 'resnet50_notop.h5', 'keras'),
    ('keras', 'resnet50.keras', 'keras'),
    ('onnx', 'resnet50.onnx', 'onnx'),
    # Whatever the name says.
    ('safetensors', 'resnet50.bin', 'safetensors'),
    ('pth', 'pytorch_model.bin', 'pth'),
  ],
)
def test_formats_are_recognised(tmp_path, kind, name, expected):
  path = tmp_path / name
  path.write_bytes(content(kind))
  assert formats.recognise(path) == expected


@pytest.mark.parametrize(
  ('kind', 'name', 'expected'),
  [
    ('cut zip', 'resnet50.pth', ['truncated or damaged']),
    ('zip', 'resnet50.zip', ['readme.txt', 'Unpack it']),
    ('web page', 'resnet50.pth', ['3c 21', 'web page']),
    ('pointer', 'model.safetensors', ['not what its name says', 'Git LFS']),
    ('empty', 'resnet50.onnx', ['it is empty']),
    ('web page', 'resnet50', ['an unknown format', '.onnx']),
    (None, 'absent.pth', ['no such file']),
    (
      'safetensors',
      'model.safetensors',
      ['not a complete safetensors', 'again'],
    ),
    ('h5', 'resnet50.h5', ['resnet50.h5']),
    ('keras', 'resnet50.keras', ['resnet50.keras']),
    ('onnx', 'resnet50.onnx', ['resnet50.onnx']),
  ],
)
def test_mistakes_are_explained(tmp_path, capsys, kind, name, expected):
  path = tmp_path / name
  if kind:
    # A whole header with nothing behind it, where the kind is right.
    path.write_bytes(
      content(kind)[:9] if kind == 'safetensors' else content(kind)
    )
  out = tmp_path / 'backbone.safetensors'
  with pytest.raises(SystemExit, match='2'):
    run(path, '--out', out)
  message = capsys.readouterr().err
  for text in [str(path), *expected]:
    assert text in message
  assert not out.exists()


def test_a_file_of_ours_needs_no_import(source, tmp_path, capsys):
  out = tmp_path / 'backbone.safetensors'
  run(source, '--out', out)
  with pytest.raises(SystemExit, match='2'):
    run(out, '--out', tmp_path / 'again.safetensors')
  assert f'--config.model.pretrained={out}' in capsys.readouterr().err


def test_what_is_missing_is_named_with_the_file(source, tmp_path, capsys):
  tensors = safetensors.numpy.load_file(source)
  del tensors['layer3.0.bn2.running_mean']
  safetensors.numpy.save_file(tensors, source)
  out = tmp_path / 'backbone.safetensors'
  with pytest.raises(SystemExit, match='2'):
    run(source, '--out', out)
  message = capsys.readouterr().err
  assert str(source) in message
  assert 'missing: layer3.0.bn2.running_mean' in message
  assert not out.exists()


@pytest.mark.parametrize(
  ('flag', 'found'),
  [('--preprocessing=torch', 'BGR'), ('--stride_variant=v1.5', 'are v1.')],
)
def test_a_flag_must_not_contradict_the_file(
  tmp_path, capsys, monkeypatch, flag, found
):
  told = dataclasses.replace(
    tiny_resnets.source(stride_variant='v1'),
    layout='ONNX',
    preprocessing=preprocessings.caffe((104, 117, 123)),
  )
  monkeypatch.setattr(formats, 'read', lambda path: told)
  with pytest.raises(SystemExit, match='2'):
    run('model.onnx', '--out', tmp_path / 'backbone.safetensors', flag)
  assert found in capsys.readouterr().err


def test_help_is_of_use(capsys):
  with pytest.raises(SystemExit, match='0'):
    run('--help')
  printed = capsys.readouterr().out
  for text in ('SOURCE', '--out', '--preprocessing', '.onnx', 'pretrained'):
    assert text in printed
