"""Compiles training steps and inference for absent TPUs and GPUs."""

import argparse
import dataclasses
import itertools
import os
import re
import time
from typing import Any

import jax
from jax.experimental import topologies

from savos_jax import objective
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.models import savos
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import gpus
from savos_jax.tools.benchmark import hlo
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import program
from savos_jax.tools.benchmark import training
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import sharding
from savos_jax.training import state as state_lib


@dataclasses.dataclass(frozen=True)
class Chip:
  """The published figures of a TPU generation.

  Attributes:
    memory_gib: of a chip.
    cycles_per_s: clock; peak operations a second over those of a cycle.
    link_bytes_per_s: all links of a chip to its neighbours, one way.
  """

  memory_gib: int
  cycles_per_s: float
  link_bytes_per_s: float


# cloud.google.com/tpu/docs/v5e, v5p and v6e. The clocks: 197, 459 and 918
# Tflop/s in bfloat16, over 2 x 4 x 128^2, 2 x 8 x 128^2 and 2 x 4 x 256^2
# operations a cycle.
_CHIPS = {
  'v5e': Chip(16, 1.5e9, 200e9),
  'v5p': Chip(95, 1.75e9, 600e9),
  'v6e': Chip(32, 1.75e9, 400e9),
}
_FIGURES = (
  'chips', 'compile_s', 'state_gib', 'temporary_gib', 'total_gib',
  'memory_gib', 'gflop', 'gbyte', 'collectives', 'compute_s', 'collective_s',
  'per_s', 'efficiency',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """What a row is for.

  Attributes:
    program: 'training' or 'inference'.
    topology: such as 'v5e:2x4', or a card of `gpus.CARDS`.
    size: of the frames.
    compute_dtype: of the network.
    rematerialise: of the training step.
    batch_size: examples of each chip in a step; of a frame: objects.
    accumulation: parts of a training step.
    preset: of the training step, 'practical' or 'paper'.
  """

  program: str
  topology: str
  size: shared.Size
  compute_dtype: str
  rematerialise: bool
  batch_size: int
  accumulation: int = 1
  preset: str = shared.PRESETS[0]


def find_chips(topology: str) -> list[jax.Device]:
  """Returns the chips of a topology, to compile for.

  Raises:
    SavosError: no compiler for it here, or no such topology.
  """
  # Nothing here uses a TPU: other programs may.
  os.environ.setdefault('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
  layout = topology.partition(':')[2]
  alone = set(layout.split('x')) == {'1'}
  try:
    if topology in gpus.CARDS:
      return gpus.devices(topology)
    # Otherwise hosts of four chips are meant.
    bounds = {'chips_per_host_bounds': [1, 1, 1]} if alone else {}
    return topologies.get_topology_desc(topology, 'tpu', **bounds).devices
  except (RuntimeError, ValueError, NotImplementedError) as error:
    text = str(error).strip().splitlines()[0]
    raise errors.SavosError(
      f'--topology {topology}: can not be compiled for: {text}\n'
      '  Expected generation:layout, such as v5e:1x1, v5e:2x4, v5p:2x2x1, '
      "v6e:4x4, and the TPU compiler: pip install -e '.[aot]'; or a card, "
      f'{", ".join(gpus.CARDS)}, and the compiler for GPUs: pip install '
      f'--no-deps jax-cuda12-plugin=={jax.__version__} '
      f'jax-cuda12-pjrt=={jax.__version__} nvidia-cuda-nvcc-cu12.'
    ) from None


def _compile(config, case: Case, chips, clip_frames: int):
  """Returns the program and how many examples or frames a call is for."""
  if case.program == 'training':
    step = training.Case(
      case.size,
      case.batch_size * len(chips),
      case.compute_dtype,
      clip_frames,
      objective.RECURRENCES[0],
      case.rematerialise,
      case.accumulation,
      case.preset,
    )
    training.check(step, len(chips))
    mesh = sharding.make_mesh(chips)
    return training.compile_step(config, step, mesh)[0], step.batch_size
  size = case.size.height, case.size.width
  model = savos.SAVOS(config)
  compiled = inference.compile_step(
    model,
    state_lib.param_shapes(model),
    options.InferenceConfig(),
    size,
    case.batch_size,
    chips[0],
  )
  return compiled, 1


def measure(
  config: Any, case: Case, clip_frames: int, first_rate: float | None
) -> dict[str, Any]:
  """Compiles one program for one topology.

  Args:
    config: the architecture.
    case: what the row is for.
    clip_frames: T, of training examples.
    first_rate: examples or frames a second and chip of the row that this one
      is compared with; None for that row itself.

  Returns:
    The row.

  Raises:
    SavosError: no such topology, or it can't be compiled for; a chip's
      examples do not make equal parts.
  """
  chips = find_chips(case.topology)
  row = common.identity(case) | dict.fromkeys(_FIGURES)
  started = time.perf_counter()
  try:
    compiled, count = _compile(config, case, chips, clip_frames)
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    needed = re.search(r'Used ([\d.]+[KMGT])', str(error))
    row['total_gib'] = f'does not fit: {needed[1] if needed else "?"}'
    return row
  seconds = time.perf_counter() - started
  memory = compiled.memory_analysis()
  costs = compiled.cost_analysis() or {}
  used = len(chips) if case.program == 'training' else 1
  text = compiled.as_text()
  moved = hlo.collectives(text)
  chip = _CHIPS.get(case.topology.partition(':')[0])
  card = gpus.CARDS.get(case.topology)
  has = chip or card
  estimate = _seconds(text, moved, used, chip)
  compute, exchange = estimate or (None, None)
  rate = count / sum(estimate) if estimate else None
  per_chip = rate and rate / used
  return row | {
    'chips': used,
    'compile_s': seconds,
    'state_gib': memory.argument_size_in_bytes / 2**30,
    **program.memory_gib(compiled),
    'memory_gib': has and has.memory_gib,
    # A GPU's compiler counts neither.
    'gflop': costs.get('flops', 0.0) / 1e9 or None,
    'gbyte': costs.get('bytes accessed', 0.0) / 1e9 or None,
    'collectives': ', '.join(
      f'{number} {kind} {size / 1e6:.3g} MB'
      for kind, (number, size) in moved.items()
    )
    or 'none',
    'compute_s': compute,
    'collective_s': exchange,
    'per_s': rate,
    'efficiency': per_chip and per_chip / (first_rate or per_chip),
  }


def _seconds(
  text: str,
  moved: dict[str, tuple[int, int]],
  chips: int,
  chip: Chip | None,
) -> tuple[float, float] | None:
  """Estimates the time of computing, and of exchanging, of a program."""
  cycles = hlo.cycles(text)
  if chip is None or cycles is None:
    return None
  # In a ring each chip sends all but its share twice: parts of the sum, then
  # what they came to.
  sent = 2 * (chips - 1) / chips * sum(size for _, size in moved.values())
  return cycles / chip.cycles_per_s, sent / chip.link_bytes_per_s


def run(arguments: argparse.Namespace) -> None:
  """Compiles; prints each row when it is there.

  Raises:
    SavosError: a flag is out of its range, no such topology, no TPU compiler,
      or the JSON can't be written.
  """
  architectures = {
    dtype: common.architecture(arguments, dtype)
    for dtype in arguments.compute_dtype
  }
  for topology in arguments.topology:
    find_chips(topology)
  out = output.Output(arguments)
  rates: dict[Case, float] = {}
  done = set()
  for (
    name, size, dtype, switch, batch, parts, preset, topology
  ) in itertools.product(
    arguments.program,
    arguments.size,
    arguments.compute_dtype,
    arguments.rematerialise,
    arguments.batch_size,
    arguments.accumulation,
    arguments.preset,
    arguments.topology,
  ):  # fmt: skip
    generation = topology.partition(':')[0]
    if name == 'inference':  # On one chip, whatever stands beside it.
      key = generation, size, dtype, batch
      if key in done:
        continue
      done.add(key)
    case = Case(
      name, topology, size, dtype, shared.SWITCH[switch], batch, parts, preset
    )
    compared = dataclasses.replace(case, topology='')
    row = measure(
      architectures[dtype], case, arguments.clip_frames, rates.get(compared)
    )
    if row['per_s']:
      rates.setdefault(compared, row['per_s'] / row['chips'])
    out.add(row)
