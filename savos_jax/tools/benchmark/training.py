"""Times training steps on random frames."""

import argparse
from collections.abc import Callable
import dataclasses
import functools
import itertools
import pathlib
import time
from typing import Any

import jax
import numpy as np
import optax

from savos_jax import objective
from savos_jax.foundation import errors
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import program
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import sharding
from savos_jax.training import state as state_lib
from savos_jax.training import steps

_FIGURES = (
  'compile_s', 'median_s', 'fastest_s', 'slowest_s', 'examples_per_s',
  'examples_per_s_a_device', 'gflop', 'gbyte', 'gflop_per_s', 'share_of_limit',
  'limited_by', 'temporary_gib', 'total_gib', 'peak_gib',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """What a row is for.

  Attributes:
    size: of the frames.
    batch_size: examples per step, over all devices.
    compute_dtype: of the network.
    clip_frames: T.
    recurrence: see `objective.Objective`.
    rematerialise: see `objective.Objective`.
    accumulation: number of parts that each device's share is split into.
    preset: the loss and the optimiser: 'practical' or 'paper'.
  """

  size: shared.Size
  batch_size: int
  compute_dtype: str
  clip_frames: int
  recurrence: str
  rematerialise: bool
  accumulation: int
  preset: str = shared.PRESETS[0]


def cases(arguments: argparse.Namespace) -> list[Case]:
  """Returns the cases to measure, without repeats."""
  combinations = itertools.product(
    arguments.size,
    arguments.batch_size,
    arguments.compute_dtype,
    arguments.clip_frames,
    arguments.recurrence,
    [shared.SWITCH[switch] for switch in arguments.rematerialise],
    arguments.accumulation,
    arguments.preset,
  )
  found = []
  for combination in combinations:
    case = Case(*combination)
    if case.clip_frames == 1:
      case = dataclasses.replace(case, recurrence=arguments.recurrence[0])
    found.append(case)
  return list(dict.fromkeys(found))


def check(case: Case, devices: int) -> None:
  """Checks that the examples can be divided equally.

  Raises:
    SavosError: they can't.
  """
  if case.batch_size % (devices * case.accumulation):
    raise errors.SavosError(
      f'--batch_size {case.batch_size}, for {devices} devices with '
      f'--accumulation {case.accumulation}.\n'
      f'  Expected multiples of {devices * case.accumulation}.'
    )


def run(arguments: argparse.Namespace) -> None:
  """Measures, and prints each row as soon as it is done.

  Raises:
    SavosError: a flag is out of its range, or a file can't be written.
  """
  architectures = {
    dtype: common.architecture(arguments, dtype)
    for dtype in arguments.compute_dtype
  }
  found = cases(arguments)
  for case in found:
    check(case, jax.device_count())
  if arguments.compile_only:
    out = output.Output(arguments)
    peaks, repeats, folder = None, 0, None
  else:
    common.make_trace_folder(arguments.trace)
    peaks = roofline.measure_for(arguments)
    out = output.Output(arguments, peaks=peaks.block())
    repeats, folder = arguments.repeats, arguments.trace
  for case in found:
    config = architectures[case.compute_dtype]
    out.add(measure(config, case, repeats, peaks, folder))
  common.tell_trace(folder)


def _train_step(
  config: savos_config.SavosConfig, case: Case, mesh: jax.sharding.Mesh | None
) -> tuple[Callable, Any]:
  """Returns the step function, and the shapes of its state."""
  paper = case.preset == 'paper'
  optimizer = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.sgd(1e-5, 0.5) if paper else optax.adamw(1e-4),
  )
  model = savos.SAVOS(config)
  create = functools.partial(
    state_lib.create, model, optimizer=optimizer, use_ema=not paper
  )
  step = functools.partial(
    steps.train_step,
    model=model,
    optimizer=optimizer,
    objective=objective.Objective(
      'sum' if paper else 'mean',
      0.0 if paper else 0.5,
      recurrence=case.recurrence,
      rematerialise=case.rematerialise,
    ),
    ema_decay=0.0 if paper else 0.99,
    mesh=mesh,
    parts=case.accumulation,
  )
  return step, jax.eval_shape(create, jax.random.key(0))


@functools.cache
def _operations(config: savos_config.SavosConfig, case: Case) -> float | None:
  step, state = _train_step(config, case, None)
  batch = {
    name: jax.ShapeDtypeStruct(shape, np.uint8)
    for name, (shape, _) in _batch_shapes(case).items()
  }
  return program.operations(step, state, batch)


def operations(config: savos_config.SavosConfig, case: Case) -> float | None:
  """Counts a step's floating-point operations, each once.

  Args:
    config: the architecture.
    case: only what it computes matters, not how.
  """
  plain = dataclasses.replace(case, rematerialise=False, accumulation=1)
  return _operations(config, plain)


def compile_step(
  config: savos_config.SavosConfig, case: Case, mesh: jax.sharding.Mesh
) -> tuple[jax.stages.Compiled, Any]:
  """Compiles a training step without allocating its arrays.

  Args:
    config: the architecture.
    case: the step's settings.
    mesh: of all devices.

  Returns:
    (state, batch) -> state, metrics, which donates the state; and the shapes of
    the state.
  """
  step, state = _train_step(config, case, mesh)
  whole = sharding.replicated(mesh)
  split = jax.sharding.NamedSharding(
    mesh, jax.sharding.PartitionSpec(mesh.axis_names)
  )

  def placed(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole)

  batch = {
    name: jax.ShapeDtypeStruct(shape, np.uint8, sharding=split)
    for name, (shape, _) in _batch_shapes(case).items()
  }
  jitted = jax.jit(step, donate_argnums=0, out_shardings=whole)
  return jitted.lower(jax.tree.map(placed, state), batch).compile(), state


def measure(
  config: savos_config.SavosConfig,
  case: Case,
  repeats: int,
  peaks: roofline.Peaks | None = None,
  trace: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Compiles a training step and times it on random frames.

  Args:
    config: the architecture.
    case: what the row is for.
    repeats: number of timed steps, after an untimed one; 0: only compile.
    peaks: rates of a device; not needed if nothing is timed.
    trace: folder for a profile.

  Returns:
    The row, with None for figures that were not measured.
  """
  mesh = sharding.make_mesh()
  row = common.identity(case)
  name = '_'.join(map(str, row.values()))
  row |= dict.fromkeys(_FIGURES)
  bytes_accessed = None
  with common.memory_may_run_out(name):
    started = time.perf_counter()
    compiled, shapes = compile_step(config, case, mesh)
    row['compile_s'] = time.perf_counter() - started
    row |= program.memory_gib(compiled)
    bytes_accessed = program.bytes_accessed(compiled)
    if repeats:
      once = stepping(compiled, shapes, config, case, mesh)
      once()
      row |= common.spread(common.times(once, repeats))
      row['examples_per_s'] = case.batch_size / row['median_s']
      row['examples_per_s_a_device'] = row['examples_per_s'] / mesh.size
      row['peak_gib'] = common.peak_gib()
      common.trace(trace, name, once)
  row |= roofline.columns(
    row['median_s'],
    operations(config, case),
    bytes_accessed,
    peaks,
    case.compute_dtype,
    mesh.size,
  )
  return row


def stepping(
  compiled: jax.stages.Compiled,
  shapes: Any,
  config: savos_config.SavosConfig,
  case: Case,
  mesh: jax.sharding.Mesh,
) -> Callable[[], None]:
  """Returns a function that takes a step on random frames and waits for it.

  Args:
    compiled: from `compile_step`.
    shapes: of the state, from there.
    config: the architecture.
    case: what the step is for.
    mesh: of all devices.
  """
  state = _state(config, shapes, mesh)
  batch = sharding.put_batch(random_batch(case), mesh)

  def once():
    nonlocal state
    state, _ = jax.block_until_ready(compiled(state, batch))

  return once


def _state(config, shapes, mesh) -> state_lib.TrainState:
  """Makes an initial state: parameters, their average, and moments of 0."""
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
  params = common.draw_params(savos.SAVOS(config))
  state = zeros.replace(params=params)
  if state.ema_params:
    state = state.replace(ema_params=jax.tree.map(np.copy, params))
  return sharding.put_state(state, mesh)


def _batch_shapes(case: Case) -> dict[str, tuple[tuple[int, ...], int]]:
  """Returns each array's shape and the end of its range; all are uint8."""
  size = case.size.height, case.size.width
  single, clip = (case.batch_size,), (case.batch_size, case.clip_frames)
  return {
    'reference_frame': ((*single, *size, 3), 256),
    'reference_mask': ((*single, *size), 2),
    'frames': ((*clip, *size, 3), 256),
    'masks': ((*clip, *size), 2),
    'guidance': ((*single, *size), 256),
  }


def random_batch(case: Case) -> dict[str, np.ndarray]:
  """Draws uint8 arrays of the shapes that `data.pipeline` yields."""
  rng = np.random.default_rng(0)
  return {
    name: rng.integers(0, end, shape, np.uint8)
    for name, (shape, end) in _batch_shapes(case).items()
  }
