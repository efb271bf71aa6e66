"""Times the import of weights, in processes of their own."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from savos_jax.foundation import errors
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output

# Not this package's: what the benchmarks load is no part of the peak. What the
# program imports when it runs is no part of its seconds.
_WORKER = """
import json, sys, time
from savos_jax.foundation import memory
from savos_jax.tools import import_backbone
from savos_jax.weights import formats, import_summary, pretrained
started = time.perf_counter()
import_backbone.main(sys.argv[1:])
seconds = time.perf_counter() - started
print(json.dumps({'seconds': seconds, 'peak_gib': memory.peak_gib()}))
"""


def import_once(path: pathlib.Path, out: pathlib.Path) -> dict[str, float]:
  """Imports a file in another process.

  Args:
    path: the file to import.
    out: the file to write.

  Returns:
    `seconds` of the import, `with_start` those of the process, `peak_gib`.

  Raises:
    SavosError: it can't be imported.
  """
  started = time.perf_counter()
  done = subprocess.run(
    [
      *(sys.executable, '-c', _WORKER),
      *(str(path), f'--out={out}', '--overwrite'),
    ],
    # The weights are only moved: no accelerator is started for them.
    env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )
  elapsed = time.perf_counter() - started
  if done.returncode:
    message = done.stderr.strip().removeprefix('error: ')
    raise errors.SavosError(message or f'{path}: the import ended without word')
  return json.loads(done.stdout.splitlines()[-1]) | {'with_start': elapsed}


def measure(path: pathlib.Path, repeats: int) -> dict[str, str | float]:
  """Imports a file several times, after once that brings it into memory.

  Args:
    path: the file to import.
    repeats: timed.

  Returns:
    The row.

  Raises:
    SavosError: it can't be imported.
  """
  with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder) / 'backbone.safetensors'
    found = [import_once(path, out) for _ in range(1 + repeats)][1:]
  return {
    'file': path.name,
    'file_mb': path.stat().st_size / 1e6,
    **common.spread([one['seconds'] for one in found]),
    'with_start_s': statistics.median(one['with_start'] for one in found),
    'peak_gib': max(one['peak_gib'] for one in found),
  }


def run(arguments: argparse.Namespace) -> None:
  """Measures; prints each row when it is there.

  Raises:
    SavosError: a file can't be imported, or the JSON not be written.
  """
  out = output.Output(arguments)
  for path in arguments.file:
    out.add(measure(path.expanduser(), arguments.repeats))
