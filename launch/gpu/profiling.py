"""Job 5: profiles a frame and a training step.

  python launch/gpu/profiling.py --out=profiles --json=profiles.json

Traces each at full width in bfloat16: a frame of 480x854, and a step of 16
pairs of 256x448. Prints the operations that take most of the device's time, and
the time that the device was idle. XLA names operations by kind (convolution,
fusion, copy, ...) and number. Open the traces in https://ui.perfetto.dev or
TensorBoard.
"""

import collections
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import gzip
import itertools
import json
import pathlib
import re
import sys
from typing import Any

import jobs  # isort: skip, it finds the others.

import inference
import training

from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark.flags import shared

_SHOWN = 12  # Operations of each trace.


@dataclasses.dataclass(frozen=True)
class Part:
  """An operation of a trace, all its calls together.

  Attributes:
    name: XLA's, without its number.
    calls: in the traced rounds.
    seconds: of all of them.
  """

  name: str
  calls: int
  seconds: float


def read(path: pathlib.Path) -> tuple[list[Part], float, float]:
  """Reads a trace: operations by their time, seconds busy and in all.

  Args:
    path: a perfetto_trace.json.gz.

  Returns:
    The operations, the longest first; the seconds in which the device did any
    of them, and those from the first to the last.
  """
  with gzip.open(path) as file:
    events = json.load(file)['traceEvents']
  found = [
    event
    for event in events
    if event.get('ph') == 'X' and 'hlo_op' in event.get('args', {})
  ]
  calls, seconds = collections.Counter(), collections.Counter()
  for event in found:
    name = re.sub(r'[.\d]+$', '', event['args']['hlo_op'])
    calls[name] += 1
    seconds[name] += event['dur'] / 1e6
  parts = [Part(name, calls[name], s) for name, s in seconds.most_common()]
  spans = sorted((e['ts'], e['ts'] + e['dur']) for e in found)
  if not spans:
    return [], 0.0, 0.0
  # What goes on side by side counts once.
  busy, reached = 0.0, spans[0][0]
  for begin, end in spans:
    busy += max(0.0, end - max(begin, reached))
    reached = max(reached, end)
  return parts, busy / 1e6, (reached - spans[0][0]) / 1e6


def _rows(
  program: str, parts: Sequence[Part], busy: float, total: float
) -> list[dict[str, Any]]:
  """Returns the rows of a program: its operations, the others, and idleness."""
  summed = sum(part.seconds for part in parts) or 1.0
  shown, rest = parts[:_SHOWN], parts[_SHOWN:]
  others = Part(
    'others', sum(p.calls for p in rest), sum(p.seconds for p in rest)
  )
  rows = [
    {
      'program': program,
      'operation': part.name,
      'calls': part.calls,
      'seconds': part.seconds,
      'share': part.seconds / summed,
    }
    for part in itertools.chain(shown, [others] if rest else [])
  ]
  idle = {
    'program': program,
    'operation': '(device idle)',
    'calls': None,
    'seconds': total - busy,
    'share': (total - busy) / total if total else None,
  }
  return [*rows, idle]


def _programs(quick: bool) -> dict[str, Callable[[], Any]]:
  """Returns what is traced, by name; compiles when it is asked for."""
  width, dtype = ('tiny', 'float32') if quick else ('full', 'bfloat16')
  size = shared.Size(64, 96) if quick else shared.DAVIS_SIZE
  small = shared.Size(64, 96) if quick else shared.Size(256, 448)
  return {
    'frame': lambda: inference.jax_program(inference.Case(width, dtype), size),
    'step': lambda: training.jax_program(
      training.Case(width, small, 2 if quick else 16, dtype)
    ),
  }


def main() -> int:
  """Traces, prints, writes; returns the exit status."""
  parser = jobs.parser(__doc__, seconds=110)
  parser.add_argument(
    '--out', type=pathlib.Path, required=True, help='folder for the traces'
  )
  parser.set_defaults(command='gpu profiling')
  arguments = parser.parse_args()
  common.make_trace_folder(arguments.out)
  programs = _programs(arguments.quick)

  def measure(name: str) -> list[dict[str, Any]]:
    once = programs[name]()
    for _ in range(2):
      once()
    common.trace(arguments.out, name, once)
    (path,) = (arguments.out / name).rglob('perfetto_trace.json.gz')
    return _rows(name, *read(path))

  return jobs.run(arguments, programs, measure)


if __name__ == '__main__':
  sys.exit(main())
