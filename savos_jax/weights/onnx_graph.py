"""An ONNX file as a graph that can be traversed by the uses of values.

Operators: https://onnx.ai/onnx/operators/.
"""

import collections
from collections.abc import Sequence
import dataclasses
import math
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files
from savos_jax.weights import bounds

# float32, float16, float64 and bfloat16 in onnx.TensorProto.DataType.
_FLOATS = (1, 10, 11, 16)


@dataclasses.dataclass(frozen=True)
class Node:
  """An operation; Identity and Cast nodes before it are skipped."""

  name: str
  op: str
  inputs: tuple[str, ...]
  output: str
  attributes: dict[str, Any]


class Graph:
  """Nodes, indexed by the values they use, and constants.

  Attributes:
    path: of the file, for messages.
    inputs: names of the inputs of the graph.
    users: value -> nodes that use it.
  """

  def __init__(self, path: pathlib.Path, graph, onnx):
    self.path = path
    self._onnx = onnx
    self._budget = bounds.Budget(path)
    self._beside: set[pathlib.Path] = set()
    self.users: dict[str, list[Node]] = collections.defaultdict(list)
    self._constants = {proto.name: proto for proto in graph.initializer}
    # Older files list the constants among the inputs, too.
    self.inputs = [
      value.name for value in graph.input if value.name not in self._constants
    ]
    same: dict[str, str] = {}  # What Identity and Cast renamed.
    seen = {*self.inputs, *self._constants}
    for proto in graph.node:
      # Each value is made once, before it is used: nothing leads in circles.
      seen.update(proto.input)
      if seen.intersection(filter(None, proto.output)):
        raise ValueError(f'its nodes are not in order, "{proto.name}"')
      seen.update(proto.output)
      output = proto.output[0] if proto.output else ''
      inputs = tuple(same.get(name, name) for name in proto.input)
      attributes = {
        a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute
      }
      if _renames(proto.op_type, attributes) and inputs:
        same[output] = inputs[0]
      elif proto.op_type == 'Constant' and isinstance(
        attributes.get('value'), onnx.TensorProto
      ):
        self._constants[output] = attributes['value']
      else:
        domain = proto.domain.removeprefix('ai.onnx')
        op = f'{domain}.{proto.op_type}' if domain else proto.op_type
        node = Node(proto.name or output, op, inputs, output, attributes)
        for value in dict.fromkeys(inputs):
          self.users[value].append(node)

  def refusal(
    self, node: Node | None, expected: str, found: str = ''
  ) -> errors.SavosError:
    """Returns the error for a node that does not occur in such a ResNet.

    Args:
      node: the unexpected node; None if the graph ends too early.
      expected: what was expected instead.
      found: what is wrong with it, if not its operation.
    """
    what = f'node "{node.name}" ({node.op})' if node else "the graph's end"
    found = f'  Found: {found}.\n' if found else ''
    return errors.SavosError(
      f'{self.path}: {what} does not occur there in a ResNet with '
      'bottlenecks.\n'
      f'{found}  Expected {expected}. Give a plain ResNet-50, -101 or -152, '
      'exported for inference, in float and without its preprocessing.'
    )

  def after(self, value: str, ops: Sequence[str], where: str) -> Node:
    """Returns the only node that uses a value.

    Args:
      value: its name.
      ops: the operations allowed.
      where: the place, for the message.

    Raises:
      SavosError: no node, several nodes or one with another operation use it.
    """
    users = self.users[value]
    strangers = [node for node in users if node.op not in ops]
    if strangers or len(users) != 1:
      node = next(iter(strangers or users[1:]), None)
      raise self.refusal(node, f'only {" or ".join(ops)} {where}')
    return users[0]

  def numbers(
    self, node: Node, name: str, default: Sequence[int]
  ) -> tuple[int, ...]:
    """Returns an attribute that is a list of numbers, as long as its default.

    Raises:
      SavosError: it is something else.
    """
    value = node.attributes.get(name, default)
    if not isinstance(value, Sequence) or len(value) != len(default):
      raise self.refusal(node, f'{len(default)} numbers', f'{name} {value}')
    return tuple(int(number) for number in value)

  def constant(self, node: Node, index: int) -> np.ndarray | None:
    """Returns the value of an input; None if the node has no such input.

    Raises:
      SavosError: it is not constant, or is damaged.
    """
    name = node.inputs[index] if index < len(node.inputs) else ''
    if not name:
      return None
    if name not in self._constants:
      raise self.refusal(
        node, 'parameters that are stored in the file', f'input "{name}"'
      )
    proto = self._constants[name]
    try:
      self._check_size(name, proto)
      return self._onnx.numpy_helper.to_array(proto, str(self.path.parent))
    except errors.SavosError:
      raise
    except Exception as error:  # Protobuf, NumPy and onnx, each its own.
      if errors.is_of_system(error):
        raise
      raise damaged(self.path, f'tensor "{name}": {error}') from None

  def _check_size(self, name: str, proto) -> None:
    """Refuses a tensor that is not all in the file, or the one beside it."""
    dtype = self._onnx.helper.tensor_dtype_to_np_dtype(proto.data_type)
    if min(proto.dims, default=0) < 0:
      raise ValueError(f'of shape {list(proto.dims)}')
    size = math.prod(proto.dims) * dtype.itemsize
    self._budget.take(size, f'tensor "{name}"')
    if proto.data_location == self._onnx.TensorProto.EXTERNAL:
      self._check_beside(name, proto, size)

  def _check_beside(self, name: str, proto, size: int) -> None:
    """Refuses data that are not those of this very network."""
    told = {entry.key: entry.value for entry in proto.external_data}
    location = told.get('location', '')
    # Else the file could name any other that lies in its folder.
    if not location.startswith(self.path.stem) or '/' in location:
      raise errors.SavosError(
        f'{self.path}: tensor "{name}" is in the file {location[:80]!r}.\n'
        f'  Expected external data beside it, in a file whose name begins with '
        f'{self.path.stem!r}. If that one is meant, make one file of both: '
        'onnx.save(onnx.load(FILE), NEW).'
      )
    beside = self.path.with_name(location)
    found = files.problem(beside)
    if found or beside.is_symlink():
      raise ValueError(f'external data {location}: {found or "a link"}')
    if beside not in self._beside:
      self._beside.add(beside)
      self._budget.add(beside)
    offset = int(told.get('offset', 0))
    length = int(told.get('length', beside.stat().st_size - offset))
    if offset < 0 or length != size or offset + size > beside.stat().st_size:
      raise ValueError(
        f'external data {location} from byte {offset}, {length}: its shape '
        f'takes {size}'
      )

  def weights(self, node: Node, index: int, rank: int) -> np.ndarray:
    """Returns an input that must be float weights of a given rank.

    Half and bfloat16 become float32.

    Raises:
      SavosError: it is missing, not constant, of another rank or not float.
    """
    array = self.constant(node, index)
    name = node.inputs[index] if index < len(node.inputs) else ''
    if array is None or array.ndim != rank or not self._is_float(name):
      found = None if array is None else f'{array.dtype} {list(array.shape)}'
      raise self.refusal(
        node, f'float weights with {rank} axes', f'input {index}: {found}'
      )
    return array if array.dtype == np.float64 else array.astype(np.float32)

  def weight_names(self) -> list[str]:
    """Returns the names of all constants that may be weights."""
    return [
      name
      for name, proto in self._constants.items()
      if self._is_float(name) and proto.dims  # Not a number, as Pad takes.
    ]

  def is_constant(self, name: str) -> bool:
    return name in self._constants

  def _is_float(self, name: str) -> bool:
    return self._constants[name].data_type in _FLOATS


def _renames(op: str, attributes: dict[str, Any]) -> bool:
  """Tells whether a node gives on what it takes, between float types."""
  return op == 'Identity' or (op == 'Cast' and attributes.get('to') in _FLOATS)


def skip_pads(
  graph: Graph, node: Node, op: str, negative: bool = False
) -> tuple[Node, np.ndarray]:
  """Skips nodes that pad or move the channels to the front.

  Args:
    graph: the graph of the node.
    node: the first one.
    op: the operation that must follow.
    negative: whether padding with negative values is allowed.

  Returns:
    The node that follows; the padding in pixels, int [2, 2]: before and after,
    of rows and columns.

  Raises:
    SavosError: there is another node, or the padding is not zero.
  """
  pads = np.zeros((2, 4), int)
  while node.op in ('Pad', 'Transpose'):
    if node.op == 'Transpose':
      order = graph.numbers(node, 'perm', (3, 2, 1, 0))
      if order != (0, 3, 1, 2):
        raise graph.refusal(
          node, 'the order (0, 3, 1, 2), channels to the front', f'{order}'
        )
      pads = pads[:, order]
    else:
      pads = pads + _pads(graph, node, negative)
    node = graph.after(node.output, (op, 'Pad', 'Transpose'), f'before {op}')
  if node.op != op:
    raise graph.refusal(node, f'a {op}')
  if pads[:, :2].any():
    raise graph.refusal(node, 'padding of rows and columns', f'{pads.tolist()}')
  return node, pads[:, 2:]


def _pads(graph: Graph, node: Node, negative: bool) -> np.ndarray:
  """Returns what a Pad adds, int [2, 4]: before and after, by axis."""
  if 'pads' in node.attributes:  # Before version 11 of the operators.
    added = np.array(graph.numbers(node, 'pads', (0,) * 8))
    value = node.attributes.get('value', 0.0)
    axes = None
  else:
    added, value, axes = (graph.constant(node, i) for i in (1, 2, 3))
    value = 0.0 if value is None else value.min(initial=np.inf)
  axes = np.arange(4) if axes is None else axes.ravel()
  zeros = value == 0 or (negative and value < 0)
  mode = node.attributes.get('mode', b'constant')
  known = np.isin(axes, range(-4, 4)).all()
  if mode != b'constant' or not zeros or not known or added is None:
    raise graph.refusal(node, 'zeros', f'{node.attributes}, value {value}')
  if added.size != 2 * axes.size:
    raise graph.refusal(node, f'{2 * axes.size} numbers', f'pads {added}')
  result = np.zeros((2, 4), int)
  result[:, axes.astype(int)] = added.reshape(2, -1)
  return result


def own_padding(graph: Graph, node: Node, size: int, stride: int) -> np.ndarray:
  """Returns the padding of a convolution or a pooling.

  'SAME' depends on the size of the image, here always a multiple of 32.

  Args:
    graph: the graph of the node.
    node: the convolution or pooling.
    size: of its kernel.
    stride: of its windows.

  Returns:
    int [2, 2]: before and after, of rows and columns.

  Raises:
    SavosError: the attribute has another number of entries.
  """
  mode = node.attributes.get('auto_pad', b'NOTSET')
  total = max(size - stride, 0)
  less, more = total // 2, total - total // 2
  fixed = {
    b'VALID': (0, 0), b'SAME_UPPER': (less, more), b'SAME_LOWER': (more, less),
  }  # fmt: skip
  if mode in fixed:
    return np.array([fixed[mode]] * 2).T
  return np.array(graph.numbers(node, 'pads', (0,) * 4)).reshape(2, 2)


def damaged(path: pathlib.Path, error: Any) -> errors.SavosError:
  """Returns the error for a file that cannot be decoded."""
  text = ' '.join(str(error).split())[:200]
  return errors.SavosError(
    f'{path}: not a complete ONNX file: {text}.\n'
    '  Expected one as exporters write it, with its external data (where it '
    'has some) beside it. A download that was cut short looks like this: get '
    'it again.'
  )


def load(path: pathlib.Path) -> Graph:
  """Reads a file.

  Args:
    path: the file.

  Returns:
    Its graph.

  Raises:
    SavosError: onnx is not installed, or the file is damaged.
  """
  onnx = extras.require('onnx', 'export', f'{path}: an ONNX file, which')
  try:
    # Whatever the name's ending: onnx takes .json or .txt for text.
    model = onnx.load_model(path, format='protobuf', load_external_data=False)
    if not model.graph.node:
      raise ValueError('it has no nodes')
    return Graph(path, model.graph, onnx)
  except Exception as error:  # Protobuf, the system and onnx, each its own.
    if errors.is_of_system(error):
      raise
    raise damaged(path, error) from None
