"""Trainings on several devices and in several processes, to be compared.

The tests' own process has two devices: what needs eight, or several processes,
runs as programs do.
"""

import os
import pathlib
import socket
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).parents[1]
BATCH_SIZE = 8
STEPS = 3
_FLAGS = (
  '--config=configs/smoke.py',
  f'--config.train.batch_size={BATCH_SIZE}',
  f'--config.train.steps={STEPS}',
  '--config.train.log_every=1',
  '--config.sampling.clip_frames=1',
  '--config.sampling.dream_fraction=0.0',
)


def _environment(devices: int, **more: str) -> dict[str, str]:
  flags = f'--xla_force_host_platform_device_count={devices}'
  return os.environ | {
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': flags,
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',  # Most of the time is compilation.
    **more,
  }


def _command(workdir: pathlib.Path, *flags: str) -> list[str]:
  return [
    sys.executable, '-m', 'savos_jax.main', f'--workdir={workdir}', *_FLAGS,
    *flags,
  ]  # fmt: skip


def on_devices(
  workdir: pathlib.Path, devices: int, *flags: str
) -> subprocess.CompletedProcess:
  """Trains in one process with so many virtual devices."""
  return subprocess.run(
    _command(workdir, '--mode=train', *flags),
    cwd=REPOSITORY, env=_environment(devices), capture_output=True, text=True,
    timeout=300, check=False,
  )  # fmt: skip


def in_processes(
  workdir: pathlib.Path, count: int, *flags: str
) -> subprocess.CompletedProcess:
  """Trains and evaluates in so many processes, each with one device."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  return subprocess.run(
    ['launch/local_processes.sh', str(count), *_command(workdir, *flags)[3:]],
    cwd=REPOSITORY,
    env=_environment(1, PYTHON=sys.executable, PORT=str(port)),
    capture_output=True, text=True, timeout=300, check=False,
  )  # fmt: skip
