"""Translates a function traced by JAX into an ONNX graph.

Only the primitives that this network uses are supported: `_RULES` translates
JAX's primitives, and `_NAMED` whole functions that become a single operator.
Dimensions may be symbols of `jax.export`; their value is then read at run time
from the shape of an array that has this dimension.

JAX puts the channels last, ONNX operators put them after the batch. An array
stays in the layout in which an operator produced it for as long as the
operators that follow can use it.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper

from savos_jax.foundation import errors

# The first that has all that is used, with Split's and Reduce's axes as inputs.
OPSET = 18
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
_END = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Stored:
  """A parameter stored in a file beside the graph.

  Attributes:
    array: its values, in the dtype of the file.
    file: the name of the file.
    offset: of its first byte in the file.
  """

  array: np.ndarray
  file: str
  offset: int


@dataclasses.dataclass(frozen=True)
class _Value:
  """An array in the graph.

  Attributes:
    name: in the graph; '' for a constant that has not been added yet.
    shape: in JAX's order, of numbers and symbols; a 1 may stand for a dimension
      that JAX has broadcast.
    array: the value of a constant, else None.
    nchw: whether the graph holds it with the channels after the batch.
  """

  name: str
  shape: tuple[Any, ...]
  array: np.ndarray | None = None
  nchw: bool = False


class _Graph:
  """The nodes and constants of a graph under construction."""

  def __init__(self):
    self.nodes: list[onnx.NodeProto] = []
    self.initializers: list[onnx.TensorProto] = []
    self._constants: dict[Any, str] = {}
    self._sizes: dict[str, tuple[_Value, int]] = {}

  def constant(self, array: np.ndarray) -> str:
    """Returns the name of a constant; equal constants share one."""
    key = array.dtype.str, array.shape, array.tobytes()
    if key not in self._constants:
      name = f'constant_{len(self._constants)}'
      self._constants[key] = name
      self.initializers.append(
        numpy_helper.from_array(np.ascontiguousarray(array), name)
      )
    return self._constants[key]

  def name(self, value: _Value) -> str:
    """Returns an array's name, adding it to the graph if it is a constant."""
    if value.array is None:
      return value.name
    return self.constant(value.array)

  def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
    """Adds a node with one output and returns the name of the output."""
    output = f'{kind.lower()}_{len(self.nodes)}'
    self.nodes.append(
      helper.make_node(kind, inputs, [output], name=output, **attributes)
    )
    return output

  def known(self, value: _Value) -> _Value:
    """Records the symbolic dimensions of an array, and returns the array."""
    for axis, size in enumerate(value.shape):
      if not isinstance(size, int):
        self._sizes.setdefault(str(size), (value, axis))
    return value

  def size(self, size: Any) -> str:
    """Returns the name of a one-element array that holds a dimension."""
    if isinstance(size, int):
      return self.constant(np.array([size], np.int64))
    value, axis = self._sizes[str(size)]
    if value.nchw:
      axis = _TO_NCHW.index(axis)
    return self.node('Shape', [value.name], start=axis, end=axis + 1)

  def shape(self, shape: Sequence[Any]) -> str:
    """Returns the name of an array that holds a shape."""
    if all(isinstance(size, int) for size in shape):
      return self.constant(np.array(shape, np.int64))
    return self.node('Concat', [self.size(size) for size in shape], axis=0)

  # --- Layouts. --------------------------------------------------------------

  def nhwc(self, value: _Value) -> _Value:
    """Returns an array in JAX's layout, channels last."""
    if not value.nchw:
      return value
    return _Value(
      self.node('Transpose', [value.name], perm=_TO_NHWC), value.shape
    )

  def nchw(self, value: _Value) -> _Value:
    """Returns a four-dimensional array with the channels after the batch."""
    if value.nchw:
      return value
    if value.array is not None:
      name = self.constant(value.array.transpose(_TO_NCHW))
    else:
      name = self.node('Transpose', [value.name], perm=_TO_NCHW)
    return _Value(name, value.shape, nchw=True)

  def whole(self, value: _Value, shape: tuple[Any, ...]) -> _Value:
    """Returns an array in JAX's layout, broadcast to a shape."""
    value = self.nhwc(value)
    if value.shape == shape:
      return value
    names = [self.name(value), self.shape(shape)]
    return _Value(self.node('Expand', names), shape)


# --- Rules: the graph, an equation and its inputs -> the result. --------------

_Rule = Callable[..., _Value]


def _shape(eqn) -> tuple[Any, ...]:
  return eqn.outvars[0].aval.shape


def _by_channel(values: Sequence[_Value]) -> bool:
  """Returns whether pictures meet a constant for each of their channels.

  Runtimes are slow where such a constant lies along the last axis.
  """
  return any(
    len(value.shape) == 4 and value.shape[:3] == (1, 1, 1)
    for value in values
    if value.array is not None
  )


def _elementwise(kind: str) -> _Rule:
  def rule(graph: _Graph, eqn, *values: _Value) -> _Value:
    nchw = any(value.nchw for value in values) or _by_channel(values)
    if nchw:
      values = tuple(graph.nchw(v) if v.shape else v for v in values)
    shape = tuple(
      max(sizes, key=lambda size: size != 1)
      for sizes in zip(*(v.shape for v in values if v.shape), strict=True)
    )
    name = graph.node(kind, [graph.name(value) for value in values])
    return _Value(name, shape, nchw=nchw)

  return rule


def _max(graph: _Graph, eqn, a: _Value, b: _Value) -> _Value:
  """Uses Relu where possible: some runtimes have no Max of two arrays."""
  if a.array is not None and np.isneginf(a.array).all():
    return b
  if b.array is not None and not b.shape and b.array == 0:
    return _elementwise('Relu')(graph, eqn, a)
  return _elementwise('Max')(graph, eqn, a, b)


def _square(graph: _Graph, eqn, x: _Value) -> _Value:
  return _elementwise('Mul')(graph, eqn, x, x)


def _select(graph: _Graph, eqn, which, no, yes) -> _Value:
  return _elementwise('Where')(graph, eqn, which, yes, no)


def _convert(graph: _Graph, eqn, x: _Value) -> _Value:
  kind = helper.np_dtype_to_tensor_dtype(np.dtype(eqn.params['new_dtype']))
  name = graph.node('Cast', [graph.name(x)], to=kind)
  return _Value(name, x.shape, nchw=x.nchw)


def _same(graph: _Graph, eqn, x: _Value) -> _Value:
  return x


def _broadcast(graph: _Graph, eqn, x: _Value, *sizes: _Value) -> _Value:
  """Adds axes of length 1: most operators broadcast, for others see `whole`."""
  places = eqn.params['broadcast_dimensions']
  shape = _shape(eqn)
  if not x.shape:
    return x
  if len(places) == len(shape):
    return x
  x = graph.nhwc(x)
  axes = [axis for axis in range(len(shape)) if axis not in places]
  found: list[Any] = [1] * len(shape)
  for place, size in zip(places, x.shape, strict=True):
    found[place] = size
  names = [graph.name(x), graph.constant(np.array(axes, np.int64))]
  return _Value(graph.node('Unsqueeze', names), tuple(found))


def _reshape(graph: _Graph, eqn, x: _Value, *sizes: _Value) -> _Value:
  shape = _shape(eqn)
  x = graph.whole(x, eqn.invars[0].aval.shape)
  # In ONNX a 0 keeps the dimension at this position; one -1 is inferred.
  numbers = list(shape)
  for axis, (old, size) in enumerate(zip(x.shape, shape, strict=False)):
    if old != size:
      break
    numbers[axis] = size if isinstance(size, int) else 0
  if sum(not isinstance(size, int) for size in numbers) == 1:
    numbers = [size if isinstance(size, int) else -1 for size in numbers]
  if all(isinstance(size, int) for size in numbers):
    target = graph.constant(np.array(numbers, np.int64))
  else:
    target = graph.shape(shape)
  return _Value(graph.node('Reshape', [graph.name(x), target]), shape)


def _squeeze(graph: _Graph, eqn, x: _Value) -> _Value:
  axes = eqn.params['dimensions']
  if x.nchw and 3 not in axes:
    x = graph.nhwc(x)
  at = graph.constant(np.array([_axis(x, axis) for axis in axes], np.int64))
  return _Value(graph.node('Squeeze', [graph.name(x), at]), _shape(eqn))


def _transpose(graph: _Graph, eqn, x: _Value) -> _Value:
  x = graph.whole(x, eqn.invars[0].aval.shape)
  order = eqn.params['permutation']
  return _Value(
    graph.node('Transpose', [graph.name(x)], perm=order), _shape(eqn)
  )


def _axis(value: _Value, axis: int) -> int:
  """Returns the position of an axis in the graph's layout."""
  return _TO_NCHW.index(axis) if value.nchw else axis


def _concatenate(graph: _Graph, eqn, *values: _Value) -> _Value:
  whole = []
  for value, variable in zip(values, eqn.invars, strict=True):
    shape = variable.aval.shape
    whole.append(value if value.shape == shape else graph.whole(value, shape))
  nchw = any(value.nchw for value in whole)
  if nchw:
    whole = [graph.nchw(value) for value in whole]
  axis = _axis(whole[0], eqn.params['dimension'])
  name = graph.node('Concat', [graph.name(v) for v in whole], axis=axis)
  return _Value(name, _shape(eqn), nchw=nchw)


def _slice(graph: _Graph, eqn, x: _Value) -> _Value:
  params = eqn.params
  x = graph.whole(x, eqn.invars[0].aval.shape) if not x.nchw else x
  strides = params['strides'] or (1,) * len(x.shape)
  taken = [
    (begin, _END if end == size else end, _axis(x, axis), stride)
    for axis, (begin, end, stride, size) in enumerate(
      zip(
        params['start_indices'],
        params['limit_indices'],
        strides,
        x.shape,
        strict=True,
      )
    )
    if (begin, end, stride) != (0, size, 1)
  ]
  columns = [np.array(column, np.int64) for column in zip(*taken, strict=True)]
  names = [graph.name(x), *map(graph.constant, columns)]
  return _Value(graph.node('Slice', names), _shape(eqn), nchw=x.nchw)


def _pad(graph: _Graph, eqn, x: _Value, value: _Value) -> _Value:
  config = eqn.params['padding_config']
  if not any(any(isinstance(n, int) and n for n in one) for one in config):
    return x  # Of nothing, and of a symbol that is nothing.
  x = graph.whole(x, eqn.invars[0].aval.shape)
  ends = [one[0] for one in config] + [one[1] for one in config]
  pads = graph.constant(np.array(ends, np.int64))
  name = graph.node('Pad', [graph.name(x), pads, graph.name(value)])
  return _Value(name, _shape(eqn))


def _reduce(kind: str) -> _Rule:
  def rule(graph: _Graph, eqn, x: _Value) -> _Value:
    axes = eqn.params['axes']
    full = eqn.invars[0].aval.shape
    if x.shape != full:
      x = graph.whole(x, full)
    if x.nchw and axes == (3,):
      return _reduce_channels(graph, kind, x)
    at = graph.constant(np.array([_axis(x, axis) for axis in axes], np.int64))
    left = [axis for axis in range(len(full)) if axis not in axes]
    order = [_axis(x, axis) for axis in left]
    if order != sorted(order):
      raise errors.SavosError(
        f'a reduction over axes {axes} is not known.\n  Expected what the '
        'network has.'
      )
    return _Value(
      graph.node(kind, [graph.name(x), at], keepdims=0), _shape(eqn)
    )

  return rule


def _reduce_channels(graph: _Graph, kind: str, x: _Value) -> _Value:
  """Reduces over the last axis: runtimes are slow to do it over another.

  The reshape in between keeps ONNX Runtime from undoing the transpose.
  """
  shape = x.shape[:3]
  rows = graph.constant(np.array([0, -1, x.shape[3]], np.int64))
  name = graph.node('Reshape', [graph.nhwc(x).name, rows])
  last = graph.constant(np.array([2], np.int64))
  name = graph.node(kind, [name, last], keepdims=0)
  return _Value(graph.node('Reshape', [name, graph.shape(shape)]), shape)


def _convolve(graph: _Graph, eqn, x: _Value, kernel: _Value) -> _Value:
  params = eqn.params
  layout = params['dimension_numbers']
  # Channels last, in and out, and kernels [h, w, in, out].
  nhwc, hwio = (0, 3, 1, 2), (3, 2, 0, 1)
  known = (layout.lhs_spec, layout.rhs_spec, layout.out_spec)
  if known != (nhwc, hwio, nhwc) or set(params['lhs_dilation']) != {1}:
    raise errors.SavosError(
      f'a convolution as {layout} is not known.\n  Expected channels last.'
    )
  if kernel.array is not None:
    weights = graph.constant(kernel.array.transpose(hwio))
  else:
    weights = graph.node('Transpose', [kernel.name], perm=hwio)
  starts, ends = zip(*params['padding'], strict=True)
  name = graph.node(
    'Conv',
    [graph.nchw(x).name, weights],
    strides=params['window_strides'],
    pads=(*starts, *ends),
    dilations=params['rhs_dilation'],
    group=params['feature_group_count'],
    kernel_shape=[kernel.shape[0], kernel.shape[1]],
  )
  return _Value(name, _shape(eqn), nchw=True)


def _max_pool(graph: _Graph, eqn, x: _Value) -> _Value:
  params = eqn.params
  (_, top, left, _), (_, bottom, right, _) = (
    [one[side] for one in params['padding']] for side in range(2)
  )
  name = graph.node(
    'MaxPool',
    [graph.nchw(x).name],
    kernel_shape=params['window_dimensions'][1:3],
    strides=params['window_strides'][1:3],
    pads=(top, left, bottom, right),
  )
  return _Value(name, _shape(eqn), nchw=True)


def _product(graph: _Graph, eqn, a: _Value, b: _Value) -> _Value:
  """Matrix products, batched or not, with one contracted axis."""
  (a_sum, b_sum), (a_batch, b_batch) = eqn.params['dimension_numbers']
  a_shape, b_shape = (variable.aval.shape for variable in eqn.invars)
  count = len(a_batch)
  in_front = tuple(range(count))
  if not (
    len(a_sum) == 1
    and tuple(a_batch) == tuple(b_batch) == in_front
    and len(a_shape) == len(b_shape) == count + 2
  ):
    raise errors.SavosError(
      f'a product of {a_shape} and {b_shape} is not known.\n  Expected '
      'matrices, or as many of them of each.'
    )
  a, b = graph.whole(a, a_shape), graph.whole(b, b_shape)
  names = []
  for value, last in ((a, a_sum[0] == count + 1), (b, b_sum[0] == count)):
    name = graph.name(value)
    if not last:
      order = (*in_front, count + 1, count)
      name = graph.node('Transpose', [name], perm=order)
    names.append(name)
  return _Value(graph.node('MatMul', names), _shape(eqn))


def _resize(graph: _Graph, eqn, x: _Value) -> _Value:
  factor = _shape(eqn)[1] // eqn.invars[0].aval.shape[1]
  scales = np.array([1, 1, factor, factor], np.float32)
  name = graph.node(
    'Resize',
    [graph.nchw(x).name, '', graph.constant(scales)],
    mode='linear',
    coordinate_transformation_mode='half_pixel',
  )
  return _Value(name, _shape(eqn), nchw=True)


def _spatial_mean(graph: _Graph, eqn, x: _Value) -> _Value:
  axes = graph.constant(np.array([2, 3], np.int64))
  name = graph.node('ReduceMean', [graph.nchw(x).name, axes], keepdims=0)
  return _Value(name, _shape(eqn))


def _cut(
  graph: _Graph, eqn, x: _Value, rows: _Value, columns: _Value
) -> _Value:
  """Gathers the rows and columns of a region of cells."""
  factor = _shape(eqn)[1] // eqn.invars[1].aval.shape[0]
  name = x.name
  for axis, cells in ((1, rows), (2, columns)):
    places = cells.name
    if factor > 1:
      wide = [places, graph.constant(np.array([1], np.int64))]
      first = graph.node(
        'Mul',
        [
          graph.node('Unsqueeze', wide),
          graph.constant(np.array(factor, np.int32)),
        ],
      )
      steps = graph.constant(np.arange(factor, dtype=np.int32))
      flat = graph.constant(np.array([-1], np.int64))
      places = graph.node('Reshape', [graph.node('Add', [first, steps]), flat])
    name = graph.node('Gather', [name, places], axis=_axis(x, axis))
  return _Value(name, _shape(eqn), nchw=x.nchw)


_NAMED: dict[str, _Rule] = {
  'cut': _cut,
  'resize_bilinear': _resize,
  'spatial_mean': _spatial_mean,
}
_RULES: dict[str, _Rule] = {
  'abs': _elementwise('Abs'),
  'add': _elementwise('Add'),
  'and': _elementwise('And'),
  'broadcast_in_dim': _broadcast,
  'concatenate': _concatenate,
  'conv_general_dilated': _convolve,
  'convert_element_type': _convert,
  'copy': _same,
  'div': _elementwise('Div'),
  'dot_general': _product,
  'exp': _elementwise('Exp'),
  'logistic': _elementwise('Sigmoid'),
  'max': _max,
  'mul': _elementwise('Mul'),
  'neg': _elementwise('Neg'),
  'pad': _pad,
  'reduce_max': _reduce('ReduceMax'),
  'reduce_sum': _reduce('ReduceSum'),
  'reduce_window_max': _max_pool,
  'reshape': _reshape,
  'select_n': _select,
  'slice': _slice,
  'squeeze': _squeeze,
  'sqrt': _elementwise('Sqrt'),
  'square': _square,
  'stop_gradient': _same,
  'sub': _elementwise('Sub'),
  'transpose': _transpose,
}


def _translate(graph: _Graph, jaxpr, constants, arguments) -> list[_Value]:
  """Translates equations; those of constants only are evaluated."""
  values: dict[Any, _Value] = dict(
    zip(jaxpr.constvars, map(_constant, constants), strict=True)
  )
  values |= zip(jaxpr.invars, arguments, strict=True)

  def read(variable):
    if hasattr(variable, 'val'):  # A literal.
      return _constant(variable.val)
    return values[variable]

  for eqn in jaxpr.eqns:
    inputs = [read(variable) for variable in eqn.invars]
    results = _equation(graph, eqn, inputs)
    for variable, result in zip(eqn.outvars, results, strict=True):
      values[variable] = graph.known(result) if result.name else result
  return [read(variable) for variable in jaxpr.outvars]


def _constant(value: Any) -> _Value:
  array = np.asarray(value)
  return _Value('', array.shape, array)


def _equation(graph: _Graph, eqn, inputs: list[_Value]) -> list[_Value]:
  name = eqn.params.get('name', '')
  if name in _NAMED:
    return [_NAMED[name](graph, eqn, *inputs)]
  inner = eqn.params.get('jaxpr') or eqn.params.get('call_jaxpr')
  if inner is not None:
    # Closed over constants, or not.
    constants = getattr(inner, 'consts', ())
    return _translate(graph, getattr(inner, 'jaxpr', inner), constants, inputs)
  if all(x.array is not None for x in inputs) and _is_concrete(eqn):
    found = eqn.primitive.bind(*(x.array for x in inputs), **eqn.params)
    return list(
      map(_constant, found if eqn.primitive.multiple_results else [found])
    )
  rule = _RULES.get(eqn.primitive.name)
  if rule is None:
    raise errors.SavosError(
      f'{eqn.primitive.name} has no rule for ONNX.\n'
      f'  Expected one of {", ".join(_RULES)}.'
    )
  return [rule(graph, eqn, *inputs)]


def _is_concrete(eqn) -> bool:
  return all(
    isinstance(size, int) for out in eqn.outvars for size in out.aval.shape
  )


def _info(name: str, struct: Any) -> onnx.ValueInfoProto:
  kind = helper.np_dtype_to_tensor_dtype(np.dtype(struct.dtype))
  sizes = [x if isinstance(x, int) else str(x) for x in struct.shape]
  return helper.make_tensor_value_info(name, kind, sizes)


def _stored(name: str, stored: Stored) -> onnx.TensorProto:
  tensor = onnx.TensorProto(
    name=name,
    dims=stored.array.shape,
    data_type=helper.np_dtype_to_tensor_dtype(stored.array.dtype),
    data_location=onnx.TensorProto.EXTERNAL,
  )
  where = {
    'location': stored.file,
    'offset': stored.offset,
    'length': stored.array.nbytes,
  }
  for key, value in where.items():
    tensor.external_data.add(key=key, value=str(value))
  return tensor


def build(
  function: Callable[..., Mapping[str, jax.Array]],
  params: Mapping[str, np.ndarray | Stored],
  inputs: Mapping[str, jax.ShapeDtypeStruct],
  name: str,
) -> onnx.ModelProto:
  """Translates a function.

  Args:
    function: takes the parameters by name, as float32, and the inputs by name;
      returns arrays by name.
    params: the parameters by name. `Stored` ones stay in their file, others
      become part of the graph.
    inputs: shapes, in which dimensions may be symbols, and dtypes by name.
    name: of the graph.

  Returns:
    The model.

  Raises:
    SavosError: the function uses a primitive that has no rule.
  """
  shapes = {
    key: jax.ShapeDtypeStruct(
      (x.array if isinstance(x, Stored) else x).shape, np.float32
    )
    for key, x in params.items()
  }
  traced, found = jax.make_jaxpr(function, return_shape=True)(
    shapes, dict(inputs)
  )
  graph = _Graph()
  # In the order in which JAX flattens dictionaries.
  arguments = [_parameter(graph, key, params[key]) for key in sorted(params)]
  arguments += [
    graph.known(_Value(key, inputs[key].shape)) for key in sorted(inputs)
  ]
  results = _translate(graph, traced.jaxpr, traced.consts, arguments)
  outputs = []
  for key, value in zip(sorted(found), results, strict=True):
    value = graph.whole(value, found[key].shape)
    graph.nodes.append(
      helper.make_node('Identity', [graph.name(value)], [key], name=key)
    )
    outputs.append(_info(key, found[key]))
  nodes, needed = _needed(graph.nodes)
  return helper.make_model(
    helper.make_graph(
      nodes,
      name,
      [_info(key, struct) for key, struct in inputs.items()],
      outputs,
      [tensor for tensor in graph.initializers if tensor.name in needed],
    ),
    opset_imports=[helper.make_opsetid('', OPSET)],
    ir_version=9,
    producer_name='savos_jax',
  )


def _needed(
  nodes: list[onnx.NodeProto],
) -> tuple[list[onnx.NodeProto], set[str]]:
  """Drops the nodes that no result depends on.

  The results are the outputs of the Identity nodes.

  Returns:
    The remaining nodes, and the names of their inputs.
  """
  kept, needed = [], set()
  for node in reversed(nodes):
    if node.op_type == 'Identity' or node.output[0] in needed:
      kept.append(node)
      needed |= set(node.input)
  return kept[::-1], needed


def _parameter(graph: _Graph, name: str, param: np.ndarray | Stored) -> _Value:
  """Adds a parameter to the graph, as float32."""
  if not isinstance(param, Stored):
    return _constant(param)
  graph.initializers.append(_stored(name, param))
  if param.array.dtype == np.float32:
    return _Value(name, param.array.shape)
  kind = onnx.TensorProto.FLOAT
  return _Value(graph.node('Cast', [name], to=kind), param.array.shape)
