"""Which runtime runs a network."""

import argparse

import pytest

from savos_jax import network
from savos_jax.exporting import choices
from savos_jax.exporting import onnx_folder
from savos_jax.foundation import errors
from savos_jax.tools import networks
from tests import tiny_resnets

MODEL = tiny_resnets.MODEL


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """A file of a network, and the same exported."""
  folder = tmp_path_factory.mktemp('networks')
  params = tiny_resnets.network_params(MODEL)
  trained = network.Trained(MODEL, params, 7, False, {'eval': {'zoom': 2.0}})
  network.write(folder / 'savos.safetensors', trained)
  onnx_folder.write(folder / 'exported', trained, choices.Choices())
  return folder


def asked(checkpoint, runtime='auto', **more):
  return argparse.Namespace(checkpoint=checkpoint, runtime=runtime, **more)


def test_a_file_is_run_by_jax_and_what_is_exported_by_onnx(files):
  one = networks.load(asked(files / 'savos.safetensors'))
  other = networks.load(asked(files / 'exported'))
  assert (one.runtime, other.runtime) == ('jax', 'onnx')
  assert one.evaluated == other.evaluated == {'zoom': 2.0}
  assert one.checksum == other.checksum


@pytest.mark.parametrize(
  ('installed', 'flags', 'expected'),
  [
    ({'jax', 'onnxruntime'}, {}, 'onnx'),
    ({'jax'}, {}, 'jax'),
    ({'onnxruntime'}, {}, 'onnx'),
    ({'jax', 'onnxruntime', 'jax_plugins'}, {}, 'jax'),
    ({'jax', 'onnxruntime'}, {'flip': True}, 'jax'),
    ({'jax', 'onnxruntime'}, {'scales': (0.5,)}, 'jax'),
    ({'jax', 'onnxruntime'}, {'online_steps': 5}, 'jax'),
    ({'jax', 'onnxruntime'}, {'ray': ''}, 'jax'),
    ({'jax', 'onnxruntime'}, {'ray': None}, 'onnx'),
  ],
)
def test_of_the_shipped_network(installed, flags, expected, monkeypatch):
  monkeypatch.setattr(networks, '_is_installed', installed.__contains__)
  assert networks._runtime(asked('default', **flags), []) == expected
  # As for a video of a list that asks for it.
  videos = [asked('default'), asked('default', **flags)]
  assert networks._runtime(asked('default'), videos) == expected


def test_the_wrong_one_is_refused_with_what_to_do(files, monkeypatch):
  with pytest.raises(errors.SavosError, match='savos-jax export'):
    networks.load(asked(files / 'savos.safetensors', 'onnx'))
  with pytest.raises(errors.SavosError, match='--runtime=onnx'):
    networks.load(asked(files / 'exported', 'jax'))
  monkeypatch.setattr(networks, '_is_installed', {'onnxruntime'}.__contains__)
  with pytest.raises(errors.SavosError, match=r'savos_jax\[jax\]'):
    networks.load(asked(files / 'savos.safetensors'))
