"""Memory, compilation and seconds of a training step on clips.

Prints a table with a row for each combination of clip length, recurrence and
rematerialisation; of a single frame both recurrences are the same, and it has
rows of one. The optimiser is the practical preset's: AdamW, clipping, averaged
weights.
"""

import argparse
import dataclasses
import functools
import itertools
import json
import pathlib
import statistics
import time

import jax
import numpy as np
import optax

from savos_jax import files
from savos_jax.models import savos
from savos_jax.tools.benchmark import common
from savos_jax.training import recurrence as recurrence_lib
from savos_jax.training import state as state_lib
from savos_jax.training import steps

_SWITCH = {'off': False, 'on': True}


@dataclasses.dataclass(frozen=True)
class Row:
  """What is measured of one step function.

  Attributes:
    clip_frames: T.
    recurrence: see `recurrence.Objective`.
    rematerialise: see `recurrence.Objective`.
    temporary_gib: what the step needs beside its inputs and outputs.
    total_gib: with state, batch and metrics.
    compile_s: seconds to trace and compile.
    median_s_per_step: after one step that is not timed.
    fastest_s_per_step: the same.
    device_peak_gib: of the device's memory, of all rows so far; None where the
      device does not count it, as a CPU.
  """

  clip_frames: int
  recurrence: str
  rematerialise: bool
  temporary_gib: float
  total_gib: float
  compile_s: float
  median_s_per_step: float
  fastest_s_per_step: float
  device_peak_gib: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's flags."""
  for name, default, text in (
    ('height', 480, 'of the frames, pixels'),
    ('width', 864, 'of the frames, pixels'),
    ('batch_size', 4, 'examples a step'),
    ('repeats', 5, 'steps timed'),
  ):
    parser.add_argument(
      f'--{name}', type=common.positive, default=default, help=text
    )
  parser.add_argument(
    '--clip_frames',
    type=common.positive,
    nargs='+',
    default=[1, 2, 3, 4],
    help='frames to segment in an example',
  )
  parser.add_argument(
    '--recurrence',
    nargs='+',
    choices=recurrence_lib.RECURRENCES,
    default=list(recurrence_lib.RECURRENCES),
    help='whether gradients pass from frame to frame',
  )
  parser.add_argument(
    '--rematerialise',
    nargs='+',
    choices=list(_SWITCH),
    default=list(_SWITCH),
    help='whether activations are computed again instead of kept',
  )
  parser.add_argument(
    '--json', type=pathlib.Path, help='file that gets the figures as well'
  )
  common.add_architecture_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
  """Measures, prints each row when it is there, and writes the JSON.

  Raises:
    SavosError: a flag is out of its range, or the file can't be written.
  """
  config = common.architecture(arguments)
  shape = (arguments.batch_size, arguments.height, arguments.width)
  names = [field.name for field in dataclasses.fields(Row)]
  print('| ' + ' | '.join(names) + ' |')
  print('| ' + ' | '.join('---' for _ in names) + ' |', flush=True)
  rows = []
  for length, recurrence, rematerialise in combinations(
    arguments.clip_frames, arguments.recurrence, arguments.rematerialise
  ):
    row = dataclasses.asdict(
      measure(
        config,
        shape,
        length,
        recurrence,
        rematerialise == 'on',
        arguments.repeats,
      )
    )
    rows.append(row)
    print('| ' + ' | '.join(map(_cell, row.values())) + ' |', flush=True)
  if arguments.json:
    setting = common.setting(arguments)
    del setting['json']  # A path is nothing that was measured.
    with files.replacing(arguments.json) as partial:
      partial.write_text(json.dumps(setting | {'rows': rows}, indent=2) + '\n')


def combinations(
  lengths: list[int], recurrences: list[str], rematerialise: list[str]
) -> list[tuple[int, str, str]]:
  """Returns what is measured, each once."""
  found = itertools.product(lengths, recurrences, rematerialise)
  return [c for c in found if c[0] > 1 or c[1] == recurrences[0]]


def _cell(value) -> str:
  if value is None:
    return '-'
  if isinstance(value, bool):
    return 'on' if value else 'off'
  return f'{value:.3f}' if isinstance(value, float) else str(value)


def measure(
  config: savos.SavosConfig,
  shape: tuple[int, int, int],
  length: int,
  recurrence: str,
  rematerialise: bool,
  repeats: int,
) -> Row:
  """Compiles a training step and times it on random frames.

  Args:
    config: the architecture.
    shape: batch size, height and width in pixels.
    length: T, frames to segment in an example.
    recurrence: see `recurrence.Objective`.
    rematerialise: see `recurrence.Objective`.
    repeats: steps timed, after one that is not.

  Returns:
    The figures.
  """
  optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-4))
  model = savos.SAVOS(config)
  create = functools.partial(
    state_lib.create, model, optimizer=optimizer, use_ema=True
  )
  state = jax.jit(create)(jax.random.key(0))
  step = functools.partial(
    steps.train_step,
    model=model,
    optimizer=optimizer,
    objective=recurrence_lib.Objective(
      'mean', 0.5, recurrence=recurrence, rematerialise=rematerialise
    ),
    ema_decay=0.99,
  )
  batch = _random_batch(shape, length)
  started = time.perf_counter()
  compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
  compile_seconds = time.perf_counter() - started

  seconds = []
  for _ in range(repeats + 1):
    started = time.perf_counter()
    state, _ = jax.block_until_ready(compiled(state, batch))
    seconds.append(time.perf_counter() - started)
  memory = compiled.memory_analysis()
  temporary = memory.temp_size_in_bytes
  total = (
    temporary
    + memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
  )
  counted = jax.devices()[0].memory_stats() or {}
  peak = counted.get('peak_bytes_in_use')
  return Row(
    clip_frames=length,
    recurrence=recurrence,
    rematerialise=rematerialise,
    temporary_gib=temporary / 2**30,
    total_gib=total / 2**30,
    compile_s=compile_seconds,
    median_s_per_step=statistics.median(seconds[1:]),
    fastest_s_per_step=min(seconds[1:]),
    device_peak_gib=None if peak is None else peak / 2**30,
  )


def _random_batch(shape, length) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  clip = (shape[0], length, *shape[1:])
  return {
    'reference_frame': rng.integers(0, 256, (*shape, 3), np.uint8),
    'reference_mask': rng.integers(0, 2, shape, np.uint8),
    'frames': rng.integers(0, 256, (*clip, 3), np.uint8),
    'masks': rng.integers(0, 2, clip, np.uint8),
    'guidance': rng.integers(0, 256, shape, np.uint8),
  }
