"""Small ResNets with bottlenecks as ONNX graphs, built node by node."""

import dataclasses

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper

STATISTICS = ('weight', 'bias', 'running_mean', 'running_var')
EPSILON = 1.001e-5


@dataclasses.dataclass
class Builder:
  """Collects nodes; every tensor also under torchvision's name.

  Attributes:
    norm: 'folded' (a bias), 'batch_norm' (a node) or 'mul_add' (two nodes).
    constants: 'initializer' or 'node': where the weights are.
    tensors: what was put in, by torchvision's names.
  """

  norm: str = 'folded'
  constants: str = 'initializer'
  nodes: list = dataclasses.field(default_factory=list)
  initializers: list = dataclasses.field(default_factory=list)
  tensors: dict = dataclasses.field(default_factory=dict)
  rng: np.random.Generator = dataclasses.field(
    default_factory=lambda: np.random.default_rng(0)
  )

  def constant(self, array: np.ndarray) -> str:
    name = f'c{len(self.nodes)}_{len(self.initializers)}'
    proto = numpy_helper.from_array(array, name)
    if self.constants == 'node':
      self.nodes.append(helper.make_node('Constant', [], [name], value=proto))
    else:
      self.initializers.append(proto)
    return name

  def draw(self, name: str, *shape: int) -> np.ndarray:
    positive = name.endswith('running_var')
    low, high = (0.5, 2.0) if positive else (-1.0, 1.0)
    array = self.rng.uniform(low, high, shape).astype(np.float32)
    self.tensors[name] = array
    return array

  def node(self, op: str, *inputs: str, **attributes) -> str:
    output = f'v{len(self.nodes)}'
    self.nodes.append(
      helper.make_node(op, inputs, [output], name=f'n_{output}', **attributes)
    )
    return output

  def convolution(self, value, name, inputs, outputs, size, stride) -> str:
    """Adds a convolution and what stands for its BatchNorm."""
    attributes = {'strides': [stride] * 2, 'pads': [size // 2] * 4}
    kernel = self.draw(f'{name}.weight', outputs, inputs, size, size)
    if self.norm == 'folded':
      weights = [kernel, self.draw(f'{name}.bias', outputs)]
      weights = map(self.constant, weights)
      return self.node('Conv', value, *weights, **attributes)
    value = self.node('Conv', value, self.constant(kernel), **attributes)
    if self.norm == 'mul_add':
      scale = self.draw(f'{name}.scale', outputs, 1, 1)
      bias = self.draw(f'{name}.bias', 1, outputs, 1, 1)
      value = self.node('Mul', self.constant(scale), value)
      return self.node('Add', value, self.constant(bias))
    norm = name.replace('downsample.0', 'downsample.1').replace('conv', 'bn')
    statistics = [
      self.constant(self.draw(f'{norm}.{s}', outputs)) for s in STATISTICS
    ]
    return self.node('BatchNormalization', value, *statistics, epsilon=EPSILON)

  def block(self, value, name, inputs, features, stride, variant) -> str:
    """Adds a residual block, with a shortcut's convolution where needed."""
    first, second = (stride, 1) if variant == 'v1' else (1, stride)
    shortcut = value
    if stride != 1 or inputs != 4 * features:
      shortcut = self.convolution(
        value, f'{name}.downsample.0', inputs, 4 * features, 1, stride
      )
    for conv, sizes in (
      ('conv1', (inputs, features, 1, first)),
      ('conv2', (features, features, 3, second)),
      ('conv3', (features, 4 * features, 1, 1)),
    ):
      value = self.convolution(value, f'{name}.{conv}', *sizes)
      if conv != 'conv3':
        value = self.node('Relu', value)
    return self.node('Relu', self.node('Add', value, shortcut))


def resnet(
  *,
  norm: str = 'folded',
  constants: str = 'initializer',
  variant: str = 'v1.5',
  counts: tuple[int, ...] = (2, 1, 1, 2),
  channels_last: bool = False,
  pool: dict | None = None,
  pad_pool: tuple[int, int] | None = None,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
  """Builds a ResNet with 2, 4, 8 and 16 inner channels and a classifier.

  Args:
    norm: see `Builder`.
    constants: see `Builder`.
    variant: where blocks have their stride.
    counts: blocks of the four stages.
    channels_last: of the input: a Transpose follows it.
    pool: attributes of the max-pooling besides its size and stride.
    pad_pool: pixels that a Pad adds before it, before and after.

  Returns:
    The model, and its encoder's tensors by torchvision's names.
  """
  b = Builder(norm, constants)
  value = 'image'
  if channels_last:
    value = b.node('Transpose', value, perm=[0, 3, 1, 2])
  value = b.node('Relu', b.convolution(value, 'conv1', 3, 6, 7, 2))
  if pad_pool:
    before, after = pad_pool
    pads = np.array([0, 0, before, before, 0, 0, after, after])
    value = b.node('Pad', value, b.constant(pads))
  pool = {'pads': [1, 1, 1, 1]} if pool is None else pool
  value = b.node('MaxPool', value, kernel_shape=[3, 3], strides=[2, 2], **pool)
  inputs = 6
  for stage, blocks in enumerate(counts):
    for block in range(blocks):
      stride = 2 if stage and not block else 1
      name = f'layer{stage + 1}.{block}'
      value = b.block(value, name, inputs, 2 * 2**stage, stride, variant)
      inputs = 8 * 2**stage
  value = b.node('Flatten', b.node('GlobalAveragePool', value))
  classifier = numpy_helper.from_array(np.ones((inputs, 5), np.float32), 'fc')
  b.initializers.append(classifier)
  value = b.node('MatMul', value, 'fc')
  shape = [None, 64, 64, 3] if channels_last else [None, 3, 64, 64]
  described = helper.make_tensor_value_info
  graph = helper.make_graph(
    b.nodes,
    'resnet',
    [described('image', onnx.TensorProto.FLOAT, shape)],
    [described(value, onnx.TensorProto.FLOAT, [None, 5])],
    b.initializers,
  )
  opset = [helper.make_opsetid('', 17)]
  model = helper.make_model(graph, opset_imports=opset, ir_version=8)
  onnx.checker.check_model(model)
  return model, b.tensors
