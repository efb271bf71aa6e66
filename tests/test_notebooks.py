"""docs/notebooks: run from top to bottom, and are committed with outputs.

`python -m tests.test_notebooks NAME...` runs some of them, by default all, and
keeps the outputs, whenever a cell or the shipped network has changed.
"""

import base64
import os
import pathlib
import re
import sys
import tempfile
import types

import cv2
from IPython.core import inputtransformer2
import nbclient
import nbformat
import numpy as np
import pytest

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.video import sources
from tests import tiny_resnets

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / 'docs' / 'notebooks'
NAMES = sorted(path.stem for path in FOLDER.glob('*.ipynb'))
_MOST_BYTES = 300_000
_TABLE_ROW = re.compile(r'^(\D.*?) +(\d+\.\d) +(\d+\.\d)$', re.MULTILINE)
# /home/..., C:\..., ~/... and what else depends on who ran it.
_MACHINE_PATH = re.compile(r'(?<![\w.:/<])/\w[\w.-]*/|\b[A-Z]:\\|~/|/site-pack')
# Cells whose text tells the time, rounding, or what the network is worth.
_VARYING = {'load', 'correct', 'options', 'train', 'score', 'check', 'mistake'}
# What makes a notebook fast: a cell, what it says, what a test has instead.
_SMALLER: dict[str, tuple[tuple[str, str, str], ...]] = {
  'own_video': (
    ('load', "CHECKPOINT = 'default'", 'CHECKPOINT = {network!r}'),
  ),
  'tiny_network': (
    ('config', 'import demo', 'import smoke'),
    ('config', 'STEPS = 200', 'STEPS = 4'),
  ),
  'port_backbone': (),
}


def read(name: str):
  """Returns a notebook as it is committed."""
  return nbformat.read(FOLDER / f'{name}.ipynb', as_version=4)


def run(notebook, folder: pathlib.Path, root: pathlib.Path, **environment):
  """Executes a notebook in a kernel of its own; it gets the outputs.

  Args:
    notebook: as read.
    folder: where the kernel starts, and what is written goes.
    root: has savos_jax.
    **environment: more variables of the kernel.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell raised.
  """
  client = nbclient.NotebookClient(
    notebook,
    timeout=600,  # Seconds a cell: against hanging.
    kernel_name='python3',
    record_timing=False,
    coalesce_streams=True,
    resources={'metadata': {'path': str(folder)}},
  )
  environment = {**os.environ, 'PYTHONPATH': str(root), **environment}
  # With it a kernel shows less: not what C++ writes to standard error.
  environment.pop('PYTEST_CURRENT_TEST', None)
  client.execute(env=environment)


def code_cells(notebook):
  """Returns the cells of code by their ids, in order."""
  return {c.id: c for c in notebook.cells if c.cell_type == 'code'}


def printed(cell) -> str:
  """Returns what a cell wrote to standard output."""
  return ''.join(o.text for o in cell.outputs if o.get('name') == 'stdout')


def images(cell) -> list[np.ndarray]:
  """Returns the pictures that a cell shows, BGR or BGRA uint8 [H, W, C]."""
  encoded = [
    data
    for output in cell.outputs
    for kind, data in output.get('data', {}).items()
    if kind.startswith('image/')
  ]
  return [
    cv2.imdecode(
      np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED
    )
    for data in encoded
  ]


def noise(notebook) -> list[str]:
  """Returns tracebacks and whatever was written to standard error."""
  outputs = [o for c in code_cells(notebook).values() for o in c.outputs]
  return [
    output.get('text') or output.ename
    for output in outputs
    if output.output_type == 'error' or output.get('name') == 'stderr'
  ]


def table(notebook) -> dict[str, tuple[float, float]]:
  """Returns J and F of each row that a notebook prints."""
  rows = _TABLE_ROW.findall(printed(code_cells(notebook)['options']))
  return {name: (float(j), float(f)) for name, j, f in rows}


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
  """A network for which nothing takes long to compile."""
  path = tmp_path_factory.mktemp('network') / 'tiny.safetensors'
  params = tiny_resnets.drawn_params()
  network.write(path, network.Trained(tiny_resnets.MODEL, params, 4, False, {}))
  return path


@pytest.fixture(scope='module')
def executed(tmp_path_factory, tiny):
  """Runs a notebook, smaller: its name -> the notebook and its folder."""
  done: dict = {}

  def execute(name):
    if name not in done:
      notebook = read(name)
      cells = code_cells(notebook)
      for cell, before, after in _SMALLER[name]:
        assert before in cells[cell].source
        after = after.format(network=str(tiny))
        cells[cell].source = cells[cell].source.replace(before, after)
      folder = tmp_path_factory.mktemp(name)
      run(
        notebook,
        folder,
        ROOT,
        IPYTHONDIR=str(folder / 'ipython'),  # Nobody's start-up files.
        JAX_DISABLE_MOST_OPTIMIZATIONS='1',  # Most of the time is compiling.
      )
      done[name] = notebook, folder
    return done[name]

  return execute


slow = pytest.mark.slow
every = pytest.mark.parametrize('name', NAMES)


def test_all_of_them_are_tried():
  assert set(NAMES) == set(_SMALLER)


@slow
@every
def test_it_runs_without_a_word_of_warning(executed, name):
  notebook, folder = executed(name)
  assert noise(notebook) == []
  assert {path.name for path in folder.iterdir()} <= {'ipython', 'runs'}
  assert {path.name for path in (folder / 'runs').iterdir()} == {name}


@slow
@every
def test_committed_outputs_are_of_these_cells(executed, name):
  before, now = code_cells(read(name)), code_cells(executed(name)[0])
  for cell, found in now.items():
    kept = before[cell]
    assert len(images(kept)) == len(images(found)), cell
    if cell not in _VARYING:
      assert printed(kept) == printed(found)
      shapes = [[p.shape for p in images(each)] for each in (kept, found)]
      assert shapes[0] == shapes[1]


@slow
def test_own_video_scores_every_option_and_writes_a_video(executed):
  notebook, folder = executed('own_video')
  scores = table(notebook)
  assert list(scores) == [
    *('one scale', 'three scales', 'winner takes all', 'first mask copied'),
  ]
  assert all(0 <= value <= 100 for row in scores.values() for value in row)
  committed = table(read('own_video'))
  assert committed.keys() == scores.keys()
  copied = 'first mask copied'
  assert committed[copied] == pytest.approx(scores[copied], abs=0.5)
  video = sources.open_video(folder / 'runs' / 'own_video' / 'overlay.mp4')
  assert len(list(video.frames())) == 40
  assert images(code_cells(notebook)['cutout'])[0].shape == (128, 224, 4)


def test_own_video_shows_the_shipped_network_and_what_a_correction_brings():
  cells = code_cells(read('own_video'))
  step = network.load(checkpoints.DEFAULT).step
  assert printed(cells['load']) == f'trained for {step} steps\n'
  scores = table(read('own_video'))
  assert scores['one scale'] > scores['first mask copied']
  before, after = map(float, re.findall(r'\d+\.\d', printed(cells['correct'])))
  assert after > before


@slow
def test_the_tiny_network_was_trained_and_scored(executed):
  notebook, folder = executed('tiny_network')
  workdir = folder / 'runs' / 'tiny_network' / 'workdir'
  assert (workdir / 'results' / 'scores.json').is_file()
  assert 'step 4/4' in printed(code_cells(notebook)['train'])


@every
def test_committed_file_is_small_quiet_and_of_no_machine(name):
  assert (FOLDER / f'{name}.ipynb').stat().st_size < _MOST_BYTES
  notebook = read(name)
  assert noise(notebook) == []
  counts = [cell.execution_count for cell in code_cells(notebook).values()]
  assert counts == list(range(1, len(counts) + 1))
  assert notebook.metadata == {
    'kernelspec': {
      'display_name': 'Python 3',
      'language': 'python',
      'name': 'python3',
    },
    'language_info': {'name': 'python'},
  }
  for cell in notebook.cells:
    texts = [cell.source]
    for output in cell.get('outputs', []):
      texts += [output.get('text', ''), *output.get('traceback', [])]
      texts.append(output.get('data', {}).get('text/plain', ''))
    assert not cell.metadata
    for text in texts:
      assert not _MACHINE_PATH.search(text), text


@every
@pytest.mark.parametrize('installed', [True, False])
def test_the_install_cell_installs_where_nothing_is(name, installed):
  source = code_cells(read(name))['install'].source
  code = inputtransformer2.TransformerManager().transform_cell(source)
  imports = 'import glob\nimport importlib.util\n'
  assert imports in code
  calls = []
  found = types.SimpleNamespace(find_spec=lambda wanted: installed or None)
  exec(
    code.replace(imports, ''),
    {
      'get_ipython': lambda: types.SimpleNamespace(
        run_line_magic=lambda magic, line: calls.append((magic, line))
      ),
      'glob': types.SimpleNamespace(glob=lambda pattern: ['a.whl']),
      'importlib': types.SimpleNamespace(util=found),
    },
  )
  line = 'install --quiet "{wheels[0]}[jax]"'
  assert calls == ([] if installed else [('pip', line)])


def refresh(name: str) -> None:
  """Runs a notebook and writes it with its outputs."""
  notebook = read(name)
  with tempfile.TemporaryDirectory() as folder:
    run(notebook, pathlib.Path(folder), ROOT)
  notebook.metadata.language_info = {'name': 'python'}
  nbformat.write(notebook, FOLDER / f'{name}.ipynb')


if __name__ == '__main__':
  for chosen in sys.argv[1:] or NAMES:
    refresh(chosen)
