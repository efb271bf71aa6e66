"""How every program starts: --help, the name it goes by, what it can lack."""

import os
import pathlib
import subprocess
import sys

import pytest

from savos_jax import cli
from savos_jax.tools.benchmark import __main__ as benchmark

ROOT = pathlib.Path(__file__).parents[1]
# What takes long to import, and what only the extras bring.
HEAVY = (
  'av', 'clu', 'cv2', 'flax', 'grain', 'h5py', 'jax', 'libtpu', 'numpy', 'onnx',
  'optax', 'orbax', 'skimage', 'starlette', 'tensorboard', 'tensorboardX',
  'tensorflow', 'tensorflow_datasets', 'torch', 'uvicorn',
)  # fmt: skip
MODULES = sorted({
  f'savos_jax.{module.removesuffix(".__main__")}'
  for module, _ in cli._COMMANDS.values()
})  # fmt: skip
MEASURED = [['benchmark', name] for name in benchmark._BENCHMARKS]
# Python as it is where packages are not installed.
_ABSENT = """
import importlib.util
import sys

def is_absent(name):
  return name.partition('.')[0] in {absent!r}

class Absent:
  def find_spec(self, name, path=None, target=None):
    if is_absent(name):
      raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Absent())
find_spec = importlib.util.find_spec
importlib.util.find_spec = (
  lambda name, package=None: None if is_absent(name) else find_spec(name)
)
"""
_AS_MAIN = """
import runpy

sys.argv[0] = sys.argv.pop(1)
runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
"""
_AS_COMMAND = """
from savos_jax import cli

sys.argv[0] = '/usr/bin/savos-jax'
cli.main()
"""


def start(code, *arguments, absent):
  return subprocess.run(
    [sys.executable, '-c', _ABSENT.format(absent=absent) + code, *arguments],
    cwd=ROOT,
    env=os.environ | {'COLUMNS': '80', 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )


def told(done):
  assert done.returncode == 0, done.stderr
  assert not done.stderr
  return done.stdout


@pytest.mark.parametrize('module', MODULES)
def test_help_waits_for_no_library(module):
  text = told(start(_AS_MAIN, module, '--help', absent=HEAVY))
  assert f'python -m {module} ' in text


@pytest.mark.parametrize(
  'call', [[], *([name] for name in cli._COMMANDS), *MEASURED], ids=' '.join
)
def test_help_of_the_command_waits_for_no_library(call):
  text = told(start(_AS_COMMAND, *call, '--help', absent=HEAVY))
  assert ' '.join(['savos-jax', *call]) in text
  # Its examples can be copied.
  module = cli._COMMANDS[call[0]][0].removesuffix('.__main__') if call else ''
  assert f'python -m savos_jax.{module}' not in text


def test_training_tells_its_flags():
  text = told(start(_AS_COMMAND, 'train', '-h', absent=HEAVY))
  assert '--workdir' in text
  assert '--mode' not in text
  refused = start(_AS_COMMAND, 'train', '--workdr=a', absent=HEAVY)
  assert refused.returncode == 2
  assert refused.stderr.startswith('error: Unknown command line flag')


@pytest.mark.parametrize('absent', ['starlette', 'uvicorn', 'wsproto'])
def test_the_studio_names_what_it_lacks(tmp_path, absent):
  out = tmp_path / 'project'
  found = start(_AS_COMMAND, 'studio', f'--out={out}', absent=(absent,))
  assert found.returncode == 2
  assert found.stderr.startswith(f'error: the studio needs {absent}, ')
  assert 'savos_jax[studio]' in found.stderr
  assert not out.exists()


@pytest.mark.parametrize('absent', ['clu', 'tensorboard', 'tensorflow'])
def test_curves_are_written_and_read_where_a_library_is_missing(
  tmp_path, absent
):
  code = (
    'import pathlib\n'
    'from savos_jax.training import curves, metric_writing\n'
    'folder = pathlib.Path(sys.argv[1])\n'
    'writer = metric_writing.open_writer(folder / "logs")\n'
    'writer.write_scalars(20, {"loss": 0.5})\n'
    'writer.close()\n'
    'print(curves.read(folder))'
  )
  assert '0.5' in told(start(code, str(tmp_path), absent=(absent,)))
