"""The command savos-jax, and configurations by their names."""

from importlib import metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import tomllib

import cv2
import numpy as np
import pytest

import savos_jax
from savos_jax import cli
from savos_jax import configs
from savos_jax import main
from savos_jax.foundation import errors
from savos_jax.foundation import extras

ROOT = pathlib.Path(__file__).parents[1]


def test_help_names_every_command(capsys):
  cli.main([])
  told = capsys.readouterr().out
  for name, (module, does) in cli._COMMANDS.items():
    assert f'{name} ' in told
    assert does in told
    assert importlib.util.find_spec(f'savos_jax.{module}')


def test_every_tool_is_a_command():
  tools = {path.stem for path in (ROOT / 'savos_jax' / 'tools').glob('*.py')}
  # What all have, and what one is made of.
  parts = {
    'dream_making', 'dream_pictures', 'marking', 'networks', 'paper_rows',
    'paper_runs', 'paper_writing', 'segmenting',
  }  # fmt: skip
  tools -= {'__init__', 'command', 'flags'} | parts
  found = {module.split('.')[-1] for module, _ in cli._COMMANDS.values()}
  assert tools <= found


def test_a_command_gets_its_arguments(capsys):
  with pytest.raises(SystemExit) as stopped:
    cli.main(['pack', '--out=a'])
  assert stopped.value.code == 2
  assert 'nothing to pack' in capsys.readouterr().err


def test_no_such_command(capsys):
  for name, meant in (('segmnet', ' Did you mean segment?'), ('xyz', '')):
    with pytest.raises(SystemExit) as stopped:
      cli.main([name])
    assert stopped.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f'savos-jax: no command {name!r}.{meant}'
    assert told[2] == 'usage: savos-jax COMMAND ...'


def test_the_version_is_that_of_the_package(capsys, monkeypatch):
  monkeypatch.setattr(metadata, 'version', {'savos_jax': '1.2.3'}.__getitem__)
  cli.main(['--version'])
  assert capsys.readouterr().out == 'savos-jax 1.2.3\n'

  def absent(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(metadata, 'version', absent)
  cli.main(['--version'])
  assert capsys.readouterr().out == 'savos-jax 0+unknown\n'
  with pytest.raises(AttributeError, match='no attribute'):
    _ = savos_jax.__versions__


def test_configurations_by_name():
  folder = pathlib.Path(configs.__file__).parent
  assert folder == ROOT / 'configs'
  assert main.by_name('--config=davis17') == f'--config={folder / "davis17.py"}'
  path = folder / 'shipped.py'
  assert main.by_name('--config=shipped:all') == f'--config={path}:all'
  for other in (
    f'--config={folder / "davis17.py"}',
    '--config.train.steps=3',
    '--workdir=davis17',
    '--config',
  ):
    assert main.by_name(other) == other
  assert main.joined(['a', '--config', 'demo', 'b']) == [
    *('a', '--config=demo', 'b')
  ]
  assert main.joined(['a', '--config']) == ['a', '--config']
  with pytest.raises(OSError, match=r'davis99.*\n.*davis17'):
    main.by_name('--config=davis99')


def test_the_full_set_is_the_package_with_its_extras():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  lines = (ROOT / 'requirements.txt').read_text().splitlines()
  assert [line for line in lines if not line.startswith('#')] == [
    '--editable .[tfds,export,grain,parquet,studio]'
  ]
  for library in ('tensorflow', 'jax', 'onnx'):
    assert not any(library in needed for needed in project['dependencies'])


def test_a_library_that_is_missing_is_named_with_its_extra():
  assert extras.require('json.decoder', 'tf', 'this').JSONDecoder
  with pytest.raises(
    errors.SavosError, match=r'this needs absent, .*\n.*savos_jax\[tf\]'
  ):
    extras.require('absent.module', 'tf', 'this')


@pytest.mark.parametrize(
  'call',
  [
    ['train', '--config=demo', '--workdir=w'],
    ['evaluate', '--help'],
    ['export', '--out=o'],
    ['benchmark', 'inference'],
    ['segment', '--video=v', '--mask=m', '--out=o', '--runtime=jax'],
  ],
)
def test_without_jax_it_is_told_what_to_install(call, tmp_path):
  """As `pip install savos_jax[onnx]` has it: none of [jax] can be imported."""
  code = (
    'import sys\n'
    'from savos_jax.foundation import extras\n'
    'sys.modules |= dict.fromkeys(extras._OF_JAX)\n'
    'from savos_jax import cli\n'
    'cli.main(sys.argv[1:])'
  )
  if 'segment' in call:
    folder = tmp_path / 'v'
    folder.mkdir()
    cv2.imwrite(str(folder / '0.png'), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'm.png'), np.full((8, 8), 255, np.uint8))
    call = [word.replace('=m', '=m.png') for word in call]
  ended = subprocess.run(
    [sys.executable, '-c', code, *call],
    cwd=tmp_path, capture_output=True, text=True, check=False,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )  # fmt: skip
  assert ended.returncode == 2, ended.stderr
  assert 'Traceback' not in ended.stderr
  assert "pip install 'savos_jax[jax]'" in ended.stderr
