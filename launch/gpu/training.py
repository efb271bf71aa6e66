"""Job 3: examples per second of a training step, of PyTorch, and of the data.

  python launch/gpu/training.py --json=training.json [--pack=train.pack]

Random frames; full and half width, pairs of 256x448 and of 480x854, batches of
4, 16 and 64, bfloat16 and float32 (as the device rounds it by default): cross
entropy and soft IoU, clipping, AdamW, averaged weights. JAX, PyTorch and
torch.compile (channels-last, autocast) take one step each in turn. With a pack
(savos_jax.tools.pack) also how many examples a second are made of it on the
device, two objects and three frames each (data/scenes), with nothing trained.

Columns: examples a second; torch_over_jax: above 1, JAX is faster;
share_of_peak: of the operations a second of a large matrix product; peak_gib:
of JAX, of all rows up to this one.
"""

import dataclasses
import functools
import itertools
import pathlib
import sys
import time
from typing import Any

import jobs  # isort: skip, it finds the others.

import jax

from savos_jax import objective
from savos_jax.data import bank
from savos_jax.data.scenes import config as scenes_config
from savos_jax.data.scenes import source
from savos_jax.datasets import pack
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark import training
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import sharding


@dataclasses.dataclass(frozen=True)
class Case:
  """What a row is for.

  Attributes:
    width: of the network, see `jobs.WIDTHS`.
    size: of the frames.
    batch_size: examples a step.
    dtype: of the computation.
    torch: PyTorch beside it: '', 'eager' or 'compile' (both).
  """

  width: str
  size: shared.Size
  batch_size: int
  dtype: str
  torch: str = 'eager'


_SMALL = shared.Size(256, 448)
# The most important first: time may end the list.
CASES = (
  Case('half', _SMALL, 64, 'bfloat16', 'compile'),
  Case('full', shared.DAVIS_SIZE, 16, 'bfloat16', 'compile'),
  Case('half', _SMALL, 16, 'bfloat16'),
  Case('full', _SMALL, 64, 'bfloat16'),
  Case('half', _SMALL, 64, 'float32'),
  Case('half', _SMALL, 4, 'bfloat16'),
  Case('full', shared.DAVIS_SIZE, 4, 'bfloat16'),
  Case('full', shared.DAVIS_SIZE, 16, 'float32'),
  Case('full', _SMALL, 16, 'bfloat16', ''),
  Case('half', _SMALL, 4, 'float32', ''),
  Case('full', shared.DAVIS_SIZE, 4, 'float32', ''),
)
_TINY = shared.Size(64, 96)
QUICK = (
  Case('tiny', _TINY, 2, 'float32'),
  Case('tiny', _TINY, 2, 'bfloat16', ''),
)


def step_case(case: Case) -> training.Case:
  """Returns the case as the benchmark of a step takes it."""
  return training.Case(
    case.size,
    case.batch_size,
    case.dtype,
    1,
    objective.RECURRENCES[0],
    False,
    1,
  )


def jax_program(case: Case):
  """Returns what takes a training step and waits for it."""
  config = jobs.architecture(case.width, case.dtype)
  mesh = sharding.make_mesh()
  compiled, shapes = training.compile_step(config, step_case(case), mesh)
  return training.stepping(compiled, shapes, config, step_case(case), mesh)


def _torch_programs(case: Case) -> dict[str, Any]:
  """Returns the same with PyTorch; empty where it is not installed."""
  try:
    import torch
    import torch_speed
    import torch_training_speed
  except ImportError:
    return {}
  return {
    f'torch_{kind}': torch_training_speed.torch_stepping(
      jobs.architecture(case.width, 'float32'),
      step_case(case),
      torch.channels_last,
      torch_speed.default_device(),
      compiled=kind == 'compile',
    )
    for kind in ('eager', 'compile')[: 2 if case.torch == 'compile' else 1]
  }


def measure(case: Case, steps: int, peaks: roofline.Peaks) -> dict[str, Any]:
  """Times a step.

  Args:
    case: what the row is for.
    steps: that are timed.
    peaks: rates of the device.

  Returns:
    The row.
  """
  programs = {'jax': jax_program(case)}
  if case.torch:
    programs |= _torch_programs(case)
  seconds = jobs.in_turn(programs, steps)
  row = dataclasses.asdict(case) | {'size': str(case.size)}
  row['torch'] = case.torch or '-'
  for name in ('jax', 'torch_eager', 'torch_compile'):
    found = seconds.get(name)
    row[f'{name}_examples_per_s'] = found and case.batch_size / found
  best = min((s for n, s in seconds.items() if n != 'jax'), default=None)
  row['torch_over_jax'] = best and best / seconds['jax']
  operations = training.operations(
    jobs.architecture(case.width, case.dtype), step_case(case)
  )
  rate = operations and operations / seconds['jax']
  row['share_of_peak'] = rate and rate / peaks.best_flops(case.dtype)
  row['peak_gib'] = common.peak_gib()
  return row


def examples_per_second(
  path: pathlib.Path, size: tuple[int, int], batch_size: int, batches: int
) -> float:
  """Returns how many examples a second are made of a pack.

  Args:
    path: of the pack.
    size: height and width of an example, pixels.
    batch_size: examples that are made at once.
    batches: that are timed, after one that is not.
  """
  ranges = scenes_config.SceneConfig(size=size, frames=3, objects=2)
  scenes = source.Scenes(bank.build(pack.read(path)), ranges, seed=0)
  made = scenes.batches(0, batches + 1, batch_size)
  jax.block_until_ready(next(made))
  begun = time.perf_counter()
  for batch in itertools.islice(made, batches):
    jax.block_until_ready(batch)
  return batches * batch_size / (time.perf_counter() - begun)


def main() -> int:
  """Measures; returns the exit status."""
  parser = jobs.parser(__doc__, seconds=170)
  parser.add_argument('--pack', type=pathlib.Path, help='of training images')
  parser.set_defaults(command='gpu training')
  arguments = parser.parse_args()
  quick = arguments.quick
  peaks = roofline.measure(
    ('float32', 'bfloat16'), 128 if quick else None, 1 if quick else 256
  )
  about = {'peaks': peaks.block()}
  if arguments.pack:
    size, batch_size = ((64, 96), 2) if quick else ((256, 448), 32)
    made = examples_per_second(arguments.pack, size, batch_size, 2)
    about['data'] = {'scenes_per_s': made, 'size': f'{size[0]}x{size[1]}'}
  one = functools.partial(measure, steps=2 if quick else 10, peaks=peaks)
  return jobs.run(arguments, QUICK if quick else CASES, one, **about)


if __name__ == '__main__':
  sys.exit(main())
