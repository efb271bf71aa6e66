"""Job 1: checks that the network computes the right results on this device.

  python launch/gpu/correctness.py --out=correctness.json [--pack=train.pack]

Compares this device at the highest precision with the tests' golden arrays
from PyTorch, within the tests' bounds, and reports the errors of the device's
default precision and of bfloat16. With a pack (savos_jax.tools.pack), the
shipped network segments frames of its first video on the device and on the
CPU, and the masks are compared. The exit status is 1 if a bound is exceeded.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import sys
import time

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / 'tests' / 'golden'))
sys.path.insert(0, str(_ROOT))

import jax
import network_cases
import network_weights
import numpy as np
import parity_table

from savos_jax import network
from savos_jax.datasets import pack
from savos_jax.foundation import provenance
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos

_PRECISIONS = {'default': 'float32', 'bfloat16': 'bfloat16'}


def _bounds(case: network_cases.Case) -> list[dict]:
  """Returns each measured error of a case beside its bound."""
  return [
    {
      'case': f'{case.kind}: {case.name}',
      'quantity': found.quantity,
      'error': float(found.error),
      'bound': float(found.bound),
    }
    for found in parity_table.measure(case)
  ]


def _at_precision(case: network_cases.Case, dtype: str) -> dict:
  """Returns the error of a case's logits at the device's own precision."""
  state = network_weights.torch_state(case.config, case.seed)
  params = network_weights.flax_params(case.config, state)
  config = dataclasses.replace(case.config, compute_dtype=dtype)
  apply = jax.jit(savos.SAVOS(config).apply)
  example = network_cases.inputs(case)
  arguments = {k: v for k, v in example.items() if k != 'truth'}
  logits = np.asarray(apply({'params': params}, **arguments))
  golden = network_cases.load(case)['logits']
  error = np.abs(logits - golden).max() / np.abs(golden).max()
  return {'case': f'{case.kind}: {case.name}', 'error': float(error)}


def _masks(record, frames: int, device) -> np.ndarray:
  """Segments a video's first frames on a device: labels [frames, H, W]."""
  trained = network.load('default')
  config = options.InferenceConfig(short_side=256, zoom=2.0)
  with jax.default_device(device):
    params = jax.device_put(trained.params, device)
    tracker = tracker_lib.Tracker(trained.model, params, config)
    first = record.labels(0)
    tracker.start(record.frame(0), first, [1])
    steps = [tracker.step(record.frame(i)) for i in range(1, frames)]
  return np.stack([first, *steps])


def _compared(record, frames: int) -> dict:
  """Returns how alike the masks of this device and of the CPU are."""
  here = _masks(record, frames, jax.devices()[0])
  there = _masks(record, frames, jax.devices('cpu')[0])
  both, either = (here & there).sum(), (here | there).sum()
  return {
    'video': record.name,
    'frames': frames,
    'equal_pixels': float((here == there).mean()),
    'iou': float(both / max(1, either)),
    'iou_of_last_frame': float(
      (here[-1] & there[-1]).sum() / max(1, (here[-1] | there[-1]).sum())
    ),
  }


def _try(results: dict, name: str, function, *arguments) -> None:
  """Adds what a function returns, or what went wrong, and goes on."""
  begun = time.monotonic()
  try:
    found = function(*arguments)
    results.setdefault(name, []).extend(
      found if isinstance(found, list) else [found]
    )
  except Exception as error:  # Whatever it is, it is a result here.
    results['failed'].append(f'{name}: {type(error).__name__}: {error}'[:500])
  print(f'{name}: {time.monotonic() - begun:.1f} s', flush=True)


def main() -> int:
  """Measures, prints a table, writes JSON; returns the exit status."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  for name, required, text in (
    ('out', True, 'file for the results, JSON'),
    ('pack', False, 'pack whose first video is segmented'),
  ):
    parser.add_argument(
      f'--{name}', type=pathlib.Path, required=required, help=text
    )
  parser.add_argument(
    '--frames', type=int, default=12, help='of that video (default 12)'
  )
  parser.add_argument(
    '--quick',
    action='store_true',
    help='one case and three frames: check that the job runs here',
  )
  arguments = parser.parse_args()
  cases, frames = network_cases.CASES, arguments.frames
  if arguments.quick:
    cases, frames = cases[:1], 3
  results: dict = {'failed': [], 'device': provenance.device()}
  results['jax'] = jax.__version__
  for case in cases:
    _try(results, 'bounds', _bounds, case)
  for case in cases:
    if case.kind == 'logits':
      for name, dtype in _PRECISIONS.items():
        _try(results, name, _at_precision, case, dtype)
  if arguments.pack:
    with contextlib.suppress(IndexError):
      videos = [r for r in pack.read(arguments.pack) if len(r) > 1]
      _try(results, 'masks', _compared, videos[0], frames)
  arguments.out.write_text(json.dumps(results, indent=2) + '\n')
  broken = [
    row for row in results.get('bounds', []) if not row['error'] <= row['bound']
  ]
  print('| case | quantity | error | bound |\n| --- | --- | --- | --- |')
  for row in results.get('bounds', []):
    print(
      f'| {row["case"]} | {row["quantity"]} | {row["error"]:.1e} '
      f'| {row["bound"]:.0e} |'
    )
  for name in (*_PRECISIONS, 'masks', 'failed'):
    print(f'{name}: {results.get(name)}')
  print(f'{len(broken)} of {len(results.get("bounds", []))} bounds broken')
  return 1 if broken or results['failed'] else 0


if __name__ == '__main__':
  sys.exit(main())
