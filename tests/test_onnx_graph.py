"""ONNX graphs of traced functions: each form that the network may have."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest

from savos_jax import network
from savos_jax.exporting import choices
from savos_jax.exporting import onnx_folder
from savos_jax.exporting import onnx_graph
from savos_jax.exporting import parity
from savos_jax.foundation import errors
from savos_jax.inference import with_onnx
from savos_jax.models import savos
from tests import tiny_resnets

# What onnxruntime-web's WebGPU has, of its list of operators.
ON_WEBGPU = {
  'Add', 'Cast', 'Concat', 'Conv', 'Div', 'Exp', 'Expand', 'Gather', 'Identity',
  'MatMul', 'MaxPool', 'Mul', 'Pad', 'ReduceMax', 'ReduceMean', 'ReduceSum',
  'Relu', 'Reshape', 'Resize', 'Shape', 'Sigmoid', 'Slice', 'Sqrt', 'Squeeze',
  'Sub', 'Transpose', 'Unsqueeze',
}  # fmt: skip


def trained(model=tiny_resnets.LOOKING_BACK, evaluated=None):
  params = tiny_resnets.network_params(model)
  return network.Trained(model, params, 7, False, {'eval': evaluated or {}})


def changed(**fields):
  config = dataclasses.replace(tiny_resnets.LOOKING_BACK.config, **fields)
  return savos.SAVOS(config)


@pytest.mark.parametrize(
  'model',
  [
    tiny_resnets.LOOKING_BACK,
    tiny_resnets.MODEL,
    changed(stride_variant='v1', stem_pool_padding=(0, 1)),
    changed(attention=False),
    changed(attention_residual=False, gcb_kernel_size=3),
  ],
)
def test_every_architecture_is_as_jax_has_it(model, tmp_path):
  one, chosen = trained(model), choices.Choices()
  onnx_folder.write(tmp_path, one, chosen)
  found = onnx_folder.measure(tmp_path, one, chosen)
  assert found.probability < 1e-5
  assert found.labels == 0
  assert found.pixels > 10_000


def test_any_size_and_number_in_one_graph(tmp_path):
  one = trained()
  onnx_folder.write(tmp_path, one, choices.Choices())
  run = with_onnx.Onnx(with_onnx.read(tmp_path)).call
  for count, size in ((1, (32, 64)), (3, (64, 32)), (2, (128, 96))):
    found = parity.measure(one, run, count, size, region=True)
    assert found.probability < 1e-5


def test_fixed_sizes_are_told_and_held(tmp_path):
  one, chosen = trained(), choices.Choices('float16', 2, (64, 96))
  onnx_folder.write(tmp_path, one, chosen)
  exported = with_onnx.read(tmp_path)
  assert (exported.objects, exported.size) == (2, (64, 96))
  assert onnx_folder.measure(tmp_path, one, chosen).probability < 1e-2
  session = onnxruntime.InferenceSession(tmp_path / 'step.onnx')
  shapes = {x.name: x.shape for x in session.get_inputs()}
  assert shapes['frame'] == [2, 64, 96, 3]
  assert shapes['keys'] == [2, 4, 6, 4]


def test_weights_are_in_one_file_and_operators_are_browsers(tmp_path):
  onnx_folder.write(tmp_path, trained(), choices.Choices())
  for name in with_onnx.FUNCTIONS:
    path = tmp_path / f'{name}.onnx'
    model = onnx.load(path, load_external_data=False)
    assert {node.op_type for node in model.graph.node} <= ON_WEBGPU
    places = {
      entry.value
      for tensor in model.graph.initializer
      for entry in tensor.external_data
      if entry.key == 'location'
    }
    assert places == {onnx_folder.WEIGHTS}
    # Weights that a function has no use for are not loaded with it.
    stored = {tensor.name for tensor in model.graph.initializer}
    has_decoder = any(one.startswith('decoder/') for one in stored)
    assert has_decoder == (name == 'step')
    onnx.checker.check_model(path, full_check=True)


def test_the_shipped_graphs_are_those_of_the_shipped_weights(tmp_path):
  """`python tests/golden/shipped_graphs.py` writes them anew."""
  from savos_jax import checkpoints

  shipped = checkpoints.find(checkpoints.DEFAULT)
  shutil.copy(shipped, tmp_path)
  onnx_folder.write_beside(tmp_path / shipped.name, network.load(shipped))
  told = with_onnx.read(shipped.parent)
  assert told == dataclasses.replace(
    with_onnx.read(tmp_path), folder=shipped.parent
  )
  runs = [
    with_onnx.Onnx(with_onnx.read(folder)).call
    for folder in (shipped.parent, tmp_path)
  ]
  frame = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
  inputs = {'frame': frame, 'mask': (frame[..., 0] > 0.5).astype(np.float32)}
  kept = [run('reference', inputs) for run in runs]
  for name in kept[0]:
    np.testing.assert_array_equal(kept[0][name], kept[1][name])
  inputs['guidance'] = inputs.pop('mask')
  inputs |= {name: np.arange(8, dtype=np.int32) for name in ('rows', 'columns')}
  first, second = (run('step', inputs | kept[0]) for run in runs)
  np.testing.assert_array_equal(first['probability'], second['probability'])


def test_what_has_no_rule_is_named():
  def function(params, inputs):
    return {'y': jnp.sin(inputs['x'])}

  x = jax.ShapeDtypeStruct((2,), jnp.float32)
  with pytest.raises(errors.SavosError, match='sin has no rule'):
    onnx_graph.build(function, {}, {'x': x}, 'f')


def test_constants_are_computed_once():
  def function(params, inputs):
    return {'y': inputs['x'] * (params['a'] + params['b']).reshape(1, -1)}

  params = {'a': np.ones(3, np.float32), 'b': np.ones(3, np.float32)}
  x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
  model = onnx_graph.build(function, params, {'x': x}, 'f')
  kinds = [node.op_type for node in model.graph.node]
  assert kinds == ['Mul', 'Identity']
  session = onnxruntime.InferenceSession(model.SerializeToString())
  given = np.arange(6, dtype=np.float32).reshape(2, 3)
  np.testing.assert_array_equal(session.run(None, {'x': given})[0], 2 * given)


def test_channels_come_first_or_are_reduced_last():
  """Runtimes are slow otherwise."""

  def function(params, inputs):
    x = inputs['x'] - params['mean'].reshape(1, 1, 1, -1)
    x = jax.lax.conv_general_dilated(
      x, params['kernel'], (1, 1), 'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )  # fmt: skip
    return {'y': x.max(axis=-1)}

  rng = np.random.default_rng(0)
  params = {
    'mean': rng.random(3, np.float32),
    'kernel': rng.random((3, 3, 3, 4), np.float32),
  }
  k, h, w = jax.export.symbolic_shape('K, h, w')
  x = jax.ShapeDtypeStruct((k, h, w, 3), jnp.float32)
  model = onnx_graph.build(function, params, {'x': x}, 'f')
  kinds = [node.op_type for node in model.graph.node]
  found = [kind for kind in kinds if kind not in ('Shape', 'Concat')]
  assert found == [
    'Transpose', 'Sub', 'Conv', 'Transpose', 'Reshape', 'ReduceMax', 'Reshape',
    'Identity',
  ]  # fmt: skip
  session = onnxruntime.InferenceSession(model.SerializeToString())
  given = rng.random((2, 5, 7, 3), np.float32)
  (got,) = session.run(None, {'x': given})
  expected = function(params, {'x': given})['y']
  np.testing.assert_allclose(got, expected, rtol=1e-5)
