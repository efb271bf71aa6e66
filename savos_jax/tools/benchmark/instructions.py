"""Reads what each instruction of a compiled program does from its text.

The text is XLA's, in HLO. An instruction that runs by itself may be a fusion of
several, of which at most one is a product or a convolution.
"""

from collections.abc import Sequence
import dataclasses
import math
import re

_BYTES = 4  # Of float32 and int32, which is what the network computes in.
_NAMED = re.compile(r'^\s*(?:ROOT )?%?([\w.\-]+) = (\S+?)\[([\d,]*)\]\S* (.*)$')
_COMPUTATION = re.compile(r'^(?:ENTRY )?%?([\w.\-]+) \(.*\{$')
# What JAX names besides the modules and functions that it traces.
_NOT_LAYERS = re.compile(
  r'\w+\(\w*\)|SAVOS\._?\w+|cond|branch_\d_fun|while|body|closed_call|.*,.*->.*'
)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """What an instruction computes.

  Attributes:
    layer: modules that it belongs to, joined by '/'; '' for none.
    operation: the JAX primitive that it computes last; '' if unknown.
    result: its shape.
    flops: operations of a product or a convolution; 0 for others.
    bytes: read and written.
  """

  layer: str
  operation: str
  result: tuple[int, ...]
  flops: float
  bytes: float


@dataclasses.dataclass(frozen=True)
class _Line:
  """An instruction as it is written."""

  shape: tuple[int, ...]
  rest: str

  @property
  def operands(self) -> list[str]:
    """Names of what it reads, in order."""
    inside = self.rest.partition('(')[2].partition(')')[0]
    return re.findall(r'%?([\w.\-]+)(?:,|$)', inside)


def read(text: str) -> dict[str, Instruction]:
  """Returns the instructions of all computations by name."""
  computations: dict[str, dict[str, _Line]] = {}
  lines: dict[str, _Line] = {}
  inside: dict[str, _Line] = {}
  for line in text.splitlines():
    if begun := _COMPUTATION.match(line):
      inside = computations.setdefault(begun[1], {})
    elif found := _NAMED.match(line):
      shape = tuple(int(size) for size in found[3].split(',') if size)
      inside[found[1]] = lines[found[1]] = _Line(shape, found[4])
  return {
    name: _instruction(line, lines, computations)
    for name, line in lines.items()
  }


def _instruction(line, lines, computations) -> Instruction:
  path = re.search(r'op_name="([^"]*)"', line.rest)
  *parts, operation = (path[1] if path else '').split('/')
  # Of a module's method, 'decoder.fine', only the module counts.
  layer = [
    part.partition('.')[0] for part in parts if not _NOT_LAYERS.fullmatch(part)
  ]
  called = re.search(r'calls=%?([\w.\-]+)', line.rest)
  fused = computations.get(called[1], {}) if called else {}
  flops = sum(_flops(one, fused or lines) for one in (*fused.values(), line))
  read_shapes = [lines[name].shape for name in line.operands if name in lines]
  moved = sum(map(math.prod, (*read_shapes, line.shape)))
  return Instruction(
    '/'.join(layer), operation, line.shape, flops, _BYTES * moved
  )


def _flops(line: _Line, lines) -> float:
  """Counts two for each product that is added, 0 where nothing is."""
  kind = line.rest.partition('(')[0]
  if kind not in ('dot', 'convolution'):
    return 0.0
  left, right = (lines[name].shape for name in line.operands[:2])
  if kind == 'dot':
    told = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', line.rest)
    axes = [int(axis) for axis in told[1].split(',')] if told else []
    return 2.0 * math.prod(line.shape) * math.prod(left[axis] for axis in axes)
  labels = re.search(r'dim_labels=\w+_(\w+)->', line.rest)
  return 2.0 * math.prod(line.shape) * _of_kernel(right, labels and labels[1])


def _of_kernel(shape: Sequence[int], labels: str | None) -> float:
  """Returns how many values of a kernel [.., in, out] each result takes."""
  features = shape[labels.index('o')] if labels else shape[-1]
  return math.prod(shape) / features
