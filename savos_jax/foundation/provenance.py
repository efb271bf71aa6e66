"""The revision and device that produced a result."""

import collections
import pathlib
import platform
import subprocess

import jax

_PACKAGE = pathlib.Path(__file__).parent


def _git(*arguments: str) -> str:
  """Returns what git prints about this program, '' where it can't."""
  command = ('git', '-C', str(_PACKAGE), *arguments)
  try:
    result = subprocess.run(
      command, capture_output=True, text=True, timeout=10, check=True
    )
  except (OSError, subprocess.SubprocessError):
    return ''
  return result.stdout.strip()


def revision() -> str:
  """Returns the git commit, with '-dirty' if files were changed.

  'unknown' without git or outside a repository.
  """
  # An installed package may lie inside the repository of another project.
  if not _git('ls-files', '__init__.py'):
    return 'unknown'
  described = _git(
    'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'
  )
  return described or 'unknown'


def _processor() -> str:
  """Returns the CPU's name; its architecture where that is all there is."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text('utf-8')
  except OSError:
    text = ''
  for line in text.splitlines():
    name, _, value = line.partition(':')
    if name.strip() == 'model name' and value.strip():
      return value.strip()
  return platform.processor() or platform.machine()


def device() -> str:
  """Returns number and kind of JAX's devices, such as '1 x NVIDIA H100'."""
  if jax.default_backend() == 'cpu':
    return f'CPU, {_processor()}'
  kinds = collections.Counter(one.device_kind for one in jax.devices())
  return ', '.join(f'{count} x {kind}' for kind, count in kinds.items())
