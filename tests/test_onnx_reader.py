"""ResNets out of ONNX graphs: what is found, and what is refused."""

import os
import sys

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper
import onnx_models
import pytest

from savos_jax.foundation import errors
from savos_jax.weights import bounds
from savos_jax.weights import onnx_reader
from savos_jax.weights import resnet_params


@pytest.fixture
def read(tmp_path):
  """Writes a model and reads it."""

  def write_and_read(model):
    path = tmp_path / 'model.onnx'
    onnx.save_model(model, path)
    return onnx_reader.read(path)

  return write_and_read


def _assert_same(found, put_in):
  assert set(found) == set(put_in)
  for name, array in put_in.items():
    np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize('norm', ['folded', 'batch_norm'])
@pytest.mark.parametrize('variant', ['v1', 'v1.5'])
@pytest.mark.parametrize('channels_last', [False, True])
def test_tensors_come_back_under_their_names(
  read, norm, variant, channels_last
):
  model, tensors = onnx_models.resnet(
    norm=norm, variant=variant, channels_last=channels_last
  )
  source = read(model)
  _assert_same(source.tensors, tensors)
  assert source.origins.keys() == source.tensors.keys()
  assert source.stride_variant == variant
  assert source.stem_pool_padding == (1, 1)
  assert source.left_out == ('fc',)
  assert source.preprocessing is None
  folded = norm == 'folded'
  assert source.batch_norm_epsilon == (1e-5 if folded else onnx_models.EPSILON)
  backbone, _ = resnet_params.fold(source)
  assert backbone.block_counts == (2, 1, 1, 2)
  assert backbone.stem_features == 6


def test_weights_in_constant_nodes_and_behind_identities(read):
  model, tensors = onnx_models.resnet(constants='node')
  conv = next(node for node in model.graph.node if node.op_type == 'Conv')
  same = helper.make_node('Identity', [conv.input[1]], ['same'])
  conv.input[1] = 'same'
  model.graph.node.insert(2, same)
  onnx.checker.check_model(model)
  _assert_same(read(model).tensors, tensors)


def _beside(tmp_path, location='model.onnx.data'):
  """Writes a model whose weights are in another file."""
  model, tensors = onnx_models.resnet()
  path = tmp_path / 'model.onnx'
  onnx.save_model(
    model, path, save_as_external_data=True, location=location, size_threshold=0
  )
  return path, tensors


def test_weights_in_a_file_beside_it(tmp_path):
  path, tensors = _beside(tmp_path)
  _assert_same(onnx_reader.read(path).tensors, tensors)
  (tmp_path / 'model.onnx.data').unlink()
  with pytest.raises(errors.SavosError, match='external data'):
    onnx_reader.read(path)


def _set_external(path, key, value):
  """Changes what all tensors say of the file beside."""
  model = onnx.load_model(path, load_external_data=False)
  for proto in model.graph.initializer:
    for entry in proto.external_data:
      if entry.key == key:
        entry.value = value
  path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
  'location', ['secret', '../secret', 'model/secret', '/etc/passwd', '']
)
def test_no_other_file_is_read(tmp_path, location):
  path, _ = _beside(tmp_path)
  (tmp_path / 'model').mkdir()
  for folder in (tmp_path, tmp_path.parent, tmp_path / 'model'):
    (folder / 'secret').write_bytes(bytes(10_000))
  _set_external(path, 'location', location)
  with pytest.raises(errors.SavosError, match=r'begins with .model.'):
    onnx_reader.read(path)


@pytest.mark.parametrize('made', ['link', 'pipe'])
def test_what_is_beside_is_a_file(tmp_path, made):
  path, _ = _beside(tmp_path)
  data = tmp_path / 'model.onnx.data'
  if made == 'link':
    data.rename(tmp_path / 'secret')
    data.symlink_to('secret')
  else:
    data.unlink()
    os.mkfifo(data)
  with pytest.raises(errors.SavosError, match=f'a {made}'):
    onnx_reader.read(path)


@pytest.mark.parametrize(
  ('key', 'value'),
  [
    ('length', '5'),
    ('length', '99999999999'),
    ('length', '-1'),
    ('offset', '99999999999'),
    ('offset', '-4'),
    ('offset', 'much'),
  ],
)
def test_what_is_said_of_the_file_beside_is_not_believed(tmp_path, key, value):
  path, _ = _beside(tmp_path)
  _set_external(path, key, value)
  with pytest.raises(errors.SavosError, match=r'model\.onnx: not a complete'):
    onnx_reader.read(path)


@pytest.mark.parametrize(
  ('dims', 'message'),
  [
    ([1 << 40], 'is said to take'),
    ([1 << 40, 1 << 40], 'is said to take'),
    ([1 << 20], 'not a complete'),
    ([-1, 3, 7, 7], 'not a complete'),
  ],
)
def test_a_shape_is_not_believed(read, dims, message):
  model, _ = onnx_models.resnet()
  conv = model.graph.node[_index(model, 'Conv', 0)]
  for proto in model.graph.initializer:
    if proto.name == conv.input[1]:
      proto.dims[:] = dims
  with pytest.raises(errors.SavosError, match=message):
    read(model)


def test_weights_that_are_used_again_and_again_are_counted(read, monkeypatch):
  model, _ = onnx_models.resnet()
  read(model)
  monkeypatch.setattr(bounds, '_ANY', 1000)
  monkeypatch.setattr(bounds, '_TIMES', 0)
  with pytest.raises(errors.SavosError, match='is said to take'):
    read(model)


@pytest.mark.parametrize('to', ['first', 'itself'])
def test_a_circle_has_an_end(read, to):
  model, _ = onnx_models.resnet()
  relus = [n for n in model.graph.node if n.op_type == 'Relu']
  if to == 'first':  # The last block leads to the first again.
    relus[-1].output[0] = relus[0].output[0]
  else:
    relus[0].input[0] = relus[0].output[0]
  with pytest.raises(errors.SavosError, match='not in order'):
    read(model)


@pytest.mark.parametrize('values', [['a'], ['a', 'b'], [1e300, 1.0], [1.5]])
def test_an_attribute_may_be_anything(read, values):
  model, _ = onnx_models.resnet()
  node = model.graph.node[_index(model, 'Conv', 1)]
  kept = [a for a in node.attribute if a.name != 'strides']
  del node.attribute[:]
  node.attribute.extend([*kept, helper.make_attribute('strides', values)])
  with pytest.raises(errors.SavosError, match=r'model\.onnx: '):
    read(model)


def test_a_constant_may_be_anything(read):
  model, _ = onnx_models.resnet(constants='node')
  node = model.graph.node[_index(model, 'Constant', 0)]
  del node.attribute[:]
  node.attribute.append(helper.make_attribute('value', 3.0))
  with pytest.raises(errors.SavosError, match='stored in the file'):
    read(model)


def test_scale_and_shift_of_channels_are_folded(read):
  model, tensors = onnx_models.resnet(norm='mul_add')
  source = read(model)
  kernel = tensors['layer2.0.downsample.0.weight'].astype(np.float64)
  scale = tensors['layer2.0.downsample.0.scale'].astype(np.float64)
  np.testing.assert_allclose(
    source.tensors['layer2.0.downsample.0.weight'],
    kernel * scale[..., None],
    rtol=1e-12,
  )
  bias = tensors['layer2.0.downsample.0.bias'].ravel()
  np.testing.assert_array_equal(
    source.tensors['layer2.0.downsample.0.bias'], bias
  )
  assert source.left_out == ('fc',)


@pytest.mark.parametrize(
  ('attributes', 'pad', 'padding'),
  [
    ({'pads': [0, 0, 1, 1]}, None, (0, 1)),
    ({'ceil_mode': 1}, None, (0, 1)),
    ({'auto_pad': 'SAME_UPPER'}, None, (0, 1)),
    ({}, (1, 1), (1, 1)),
    ({}, (0, 1), (0, 1)),
    ({'pads': [0, 0, 1, 1]}, (1, 0), (1, 1)),
  ],
)
def test_padding_of_the_pooling(read, attributes, pad, padding):
  model, _ = onnx_models.resnet(pool=attributes, pad_pool=pad)
  assert read(model).stem_pool_padding == padding


@pytest.mark.parametrize(
  'attributes',
  [{}, {'pads': [1, 1, 1, 1], 'ceil_mode': 1}, {'auto_pad': 'SAME_LOWER'}],
)
def test_other_padding_of_the_pooling_is_refused(read, attributes):
  model, _ = onnx_models.resnet(pool=attributes)
  with pytest.raises(errors.SavosError, match=r'MaxPool(?s:.)*padding \[\('):
    read(model)


def _padded_stem(model):
  """Moves the first convolution's padding into a Pad before the Transpose."""
  nodes = model.graph.node
  conv = next(node for node in nodes if node.op_type == 'Conv')
  for attribute in conv.attribute:
    if attribute.name == 'pads':
      attribute.ints[:] = [0, 0, 0, 0]
  pads = np.array([0, 3, 3, 0, 0, 3, 3, 0])
  model.graph.initializer.append(numpy_helper.from_array(pads, 'pads'))
  nodes[0].input[0] = 'padded'
  nodes.insert(0, helper.make_node('Pad', ['image', 'pads'], ['padded']))


def test_padding_before_the_transpose(read):
  model, tensors = onnx_models.resnet(channels_last=True)
  _padded_stem(model)
  onnx.checker.check_model(model)
  _assert_same(read(model).tensors, tensors)


def _insert(model, index, op, **attributes):
  """Puts a node between node `index` and its first input."""
  node = model.graph.node[index]
  new = helper.make_node(
    op, [node.input[0]], ['between'], name='stranger', **attributes
  )
  node.input[0] = 'between'
  model.graph.node.insert(index, new)


def _set(model, index, name, values):
  for attribute in model.graph.node[index].attribute:
    if attribute.name == name:
      attribute.ints[:] = values
      return
  model.graph.node[index].attribute.append(helper.make_attribute(name, values))


def _index(model, op, number):
  """Index of the graph's node `number` of an operation."""
  places = [i for i, n in enumerate(model.graph.node) if n.op_type == op]
  return places[number]


def _replace_weight(model, number, shape):
  conv = model.graph.node[_index(model, 'Conv', number)]
  for proto in model.graph.initializer:
    if proto.name == conv.input[1]:
      array = np.zeros(shape, np.float32)
      proto.CopyFrom(numpy_helper.from_array(array, proto.name))


def _squeeze_and_excite(model):
  """A Sigmoid gate before the first block's sum."""
  add = model.graph.node[_index(model, 'Add', 0)]
  gate = helper.make_node('Sigmoid', [add.input[0]], ['gate'], name='gate')
  gated = helper.make_node('Mul', ['gate', add.input[0]], ['gated'])
  add.input[0] = 'gated'
  for node in (gate, gated):
    model.graph.node.insert(_index(model, 'Add', 0), node)


def _scaling_by_nothing(model):
  """A Mul before a Relu, of a channel's factor that is left out."""
  relu = model.graph.node[_index(model, 'Relu', 1)]
  factor = model.graph.initializer[0].name
  node = helper.make_node('Mul', [relu.input[0], '', factor], ['scaled'])
  relu.input[0] = 'scaled'
  return node


def _two_epsilons(model):
  node = model.graph.node[_index(model, 'BatchNormalization', 3)]
  node.attribute[0].f = 1e-3


# The order of convolutions in `onnx_models`: the first one, the first block's
# shortcut, its three; the second block's three; layer2.0's shortcut, ...
_CHANGES = {
  'preprocessing': (
    lambda m: _insert(m, 0, 'Neg'),
    'stranger.*Neg.*\n.*behind the input',
  ),
  'deep stem': (
    lambda m: _replace_weight(m, 0, (6, 3, 3, 3)),
    r'Conv(?s:.)*3x3(?s:.)*conv1: a 7x7',
  ),
  'basic block': (
    lambda m: _replace_weight(m, 2, (2, 6, 3, 3)),
    r'3x3(?s:.)*layer1\.0\.conv1: a 1x1',
  ),
  'groups': (
    lambda m: m.graph.node[_index(m, 'Conv', 3)].attribute.append(
      helper.make_attribute('group', 2)
    ),
    r'group 2(?s:.)*layer1\.0\.conv2',
  ),
  'dilation': (
    lambda m: _set(m, _index(m, 'Conv', 3), 'dilations', [2, 2]),
    r'dilations \(2, 2\)(?s:.)*layer1\.0\.conv2',
  ),
  'padding of a 3x3': (
    lambda m: _set(m, _index(m, 'Conv', 3), 'pads', [0, 0, 1, 1]),
    r'padding \[0, 0, 1, 1\](?s:.)*layer1\.0\.conv2',
  ),
  'another activation': (
    lambda m: setattr(m.graph.node[_index(m, 'Relu', 1)], 'op_type', 'Sigmoid'),
    r'\(Sigmoid\)(?s:.)*only Relu behind layer1\.0\.conv1',
  ),
  'a gate': (_squeeze_and_excite, r'only Add or Sum behind layer1\.0\.conv3'),
  'stride in two places': (
    # layer3's shortcut, conv1, conv2: stride 2 moves to conv1.
    lambda m: (
      _set(m, _index(m, 'Conv', 13), 'strides', [2, 2]),
      _set(m, _index(m, 'Conv', 14), 'strides', [1, 1]),
    ),
    r'strides 2 and 1 in layer3\.0',
  ),
  'stride that the shortcut has not': (
    lambda m: _set(m, _index(m, 'Conv', 6), 'strides', [2, 2]),
    r'stride \(2, 2\)(?s:.)*layer1\.1\.conv2.*stride 1,',
  ),
  'no weights': (
    lambda m: m.graph.initializer.pop(0),
    'parameters that are stored in the file',
  ),
  'malformed attribute': (
    lambda m: _set(m, _index(m, 'Conv', 1), 'strides', [1]),
    r'strides \[1\]',
  ),
  'cut off behind the first node': (
    lambda m: m.graph.node.__delitem__(slice(1, None)),
    "the graph's end(?s:.)*behind the first convolution",
  ),
  'a scaling by nothing': (
    lambda m: m.graph.node.insert(
      _index(m, 'Relu', 1),
      _scaling_by_nothing(m),
    ),
    r'Mul(?s:.)*Found: none(?s:.)*a number for each',
  ),
  'another block at the end': (
    lambda m: setattr(
      m.graph.node[_index(m, 'GlobalAveragePool', 0)], 'op_type', 'Softplus'
    ),
    r'Softplus(?s:.)*behind stage 4, block 2',
  ),
}


@pytest.mark.parametrize('change', _CHANGES)
def test_what_is_no_resnet_is_refused(read, change):
  apply, message = _CHANGES[change]
  model, _ = onnx_models.resnet()
  read(model)  # As built, it is one.
  apply(model)
  with pytest.raises(errors.SavosError, match=message) as caught:
    read(model)
  assert 'model.onnx: ' in str(caught.value)
  assert 'ResNet-50' in str(caught.value)


def test_batch_norms_of_two_epsilons_are_refused(read):
  model, _ = onnx_models.resnet(norm='batch_norm')
  _two_epsilons(model)
  with pytest.raises(errors.SavosError, match=r'BatchNorm(?s:.)*Found: 0.001'):
    read(model)


@pytest.mark.parametrize('counts', [(1, 1, 1), (1, 1, 1, 1, 1)])
def test_another_number_of_stages_is_refused(read, counts):
  model, _ = onnx_models.resnet(counts=counts)
  with pytest.raises(errors.SavosError, match='4 stages'):
    read(model)


@pytest.mark.parametrize('content', [b'', b'garbage', b'\x08\x08:\x03abc'])
def test_damaged_files(tmp_path, content):
  path = tmp_path / 'model.onnx'
  path.write_bytes(content)
  with pytest.raises(errors.SavosError, match=r'model\.onnx: not a complete'):
    onnx_reader.read(path)


def test_truncated_file(tmp_path):
  path = tmp_path / 'model.onnx'
  data = onnx_models.resnet()[0].SerializeToString()
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(errors.SavosError, match=r'model\.onnx: not a complete'):
    onnx_reader.read(path)


def test_without_onnx_the_message_tells_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'onnx', None)
  with pytest.raises(errors.SavosError, match=r'savos_jax\[export\]'):
    onnx_reader.read(tmp_path / 'model.onnx')
