"""docs/segment.ipynb: runs from top to bottom, and is committed with outputs.

`python -m tests.test_notebook` runs it and keeps the outputs, whenever one of
its cells or the shipped network has changed.
"""

import base64
import os
import pathlib
import re

import cv2
import nbclient
import nbformat
import numpy as np
import pytest

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.video import sources
from tests import tiny_resnets

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
PATH = ROOT / 'docs' / 'segment.ipynb'
_MOST_BYTES = 500_000
_TABLE_ROW = re.compile(r'^(\D.*?) +(\d+\.\d) +(\d+\.\d)$', re.MULTILINE)
# /home/..., C:\..., ~/... and what else depends on who ran it.
_MACHINE_PATH = re.compile(r'(?<![\w.:/<])/\w[\w.-]*/|\b[A-Z]:\\|~/|/site-pack')


def run(
  folder: pathlib.Path,
  root: pathlib.Path,
  checkpoint: str | pathlib.Path = checkpoints.DEFAULT,
  **environment: str,
):
  """Executes the notebook in a kernel of its own.

  Args:
    folder: where the kernel starts.
    root: has savos_jax; the notebook writes root/runs.
    checkpoint: the network in place of the shipped one.
    **environment: more variables of the kernel.

  Returns:
    The notebook with the outputs of this run.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell raised.
  """
  notebook = nbformat.read(PATH, as_version=4)
  cell = code_cells(notebook)['load']
  shipped = f'CHECKPOINT = {checkpoints.DEFAULT!r}'
  assert shipped in cell.source
  source = cell.source
  cell.source = source.replace(shipped, f'CHECKPOINT = {str(checkpoint)!r}')
  client = nbclient.NotebookClient(
    notebook,
    timeout=300,  # Seconds a cell: against hanging.
    kernel_name='python3',
    record_timing=False,
    coalesce_streams=True,
    resources={'metadata': {'path': str(folder)}},
  )
  environment = {**os.environ, 'PYTHONPATH': str(root), **environment}
  # With it a kernel shows less: not what C++ writes to standard error.
  environment.pop('PYTEST_CURRENT_TEST', None)
  notebook = client.execute(env=environment)
  cell.source = source
  return notebook


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
  """Returns J and F of each row that the notebook prints."""
  rows = _TABLE_ROW.findall(printed(code_cells(notebook)['options']))
  return {name: (float(j), float(f)) for name, j, f in rows}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """A repository without runs: nothing is overwritten."""
  folder = tmp_path_factory.mktemp('repository')
  (folder / 'savos_jax').symlink_to(ROOT / 'savos_jax', True)
  return folder


@pytest.fixture(scope='module')
def executed(root, tmp_path_factory):
  elsewhere = tmp_path_factory.mktemp('elsewhere')
  # The shipped network takes a minute to compile in all its variants.
  tiny = tmp_path_factory.mktemp('network') / 'tiny.safetensors'
  params = tiny_resnets.drawn_params()
  network.write(tiny, network.Trained(tiny_resnets.MODEL, params, 4, False, {}))
  notebook = run(
    elsewhere,
    root,
    tiny,
    IPYTHONDIR=str(elsewhere / 'ipython'),  # Nobody's start-up files.
    JAX_DISABLE_MOST_OPTIMIZATIONS='1',  # Nearly all of the time is compiling.
  )
  assert {path.name for path in elsewhere.iterdir()} <= {'ipython'}
  return notebook


@pytest.fixture(scope='module')
def committed():
  return nbformat.read(PATH, as_version=4)


def test_it_runs_without_a_word_of_warning(executed):
  assert noise(executed) == []


def test_every_option_is_scored(executed):
  scores = table(executed)
  assert list(scores) == [
    'one scale',
    'three scales',
    'flip',
    'winner takes all',
    'chunk of 1',
    'first mask copied',
  ]
  assert all(0 <= value <= 100 for row in scores.values() for value in row)


def test_pictures_are_shown_and_written(executed, root):
  shown = {
    name: [picture.shape for picture in images(cell)]
    for name, cell in code_cells(executed).items()
    if images(cell)
  }
  assert shown['first-frame'] == [(256, 448, 3)]
  assert shown['cutout'] == [(128, 224, 4)]
  strips = {'track-strip', 'enter', 'own-video'}
  assert set(shown) == {'first-frame', 'cutout', *strips}
  assert {path.name for path in (root / 'runs').iterdir()} == {'notebook'}
  video = sources.open_video(root / 'runs' / 'notebook' / 'overlay.mp4')
  assert len(list(video.frames())) == 20


def test_committed_outputs_are_the_shipped_networks(committed):
  text = printed(code_cells(committed)['load'])
  assert text == f'trained for {network.load("default").step} steps\n'
  scores = table(committed)
  assert scores['one scale'] > scores['first mask copied']
  assert noise(committed) == []
  counts = [cell.execution_count for cell in code_cells(committed).values()]
  assert counts == list(range(1, len(counts) + 1))


def test_committed_outputs_are_of_these_cells(committed, executed):
  before, now = code_cells(committed), code_cells(executed)
  for name, cell in now.items():
    old, new = images(before[name]), images(cell)
    assert [p.shape for p in old] == [p.shape for p in new], name
    if name not in ('load', 'options'):  # These depend on the network.
      assert printed(before[name]) == printed(cell)
  assert table(committed).keys() == table(executed).keys()
  copied = 'first mask copied'
  assert table(committed)[copied] == pytest.approx(
    table(executed)[copied], abs=0.5
  )


def test_committed_file_is_small_and_of_no_machine(committed):
  assert PATH.stat().st_size < _MOST_BYTES
  assert committed.metadata == {
    'kernelspec': {
      'display_name': 'Python 3',
      'language': 'python',
      'name': 'python3',
    },
    'language_info': {'name': 'python'},
  }
  for cell in committed.cells:
    texts = [cell.source]
    for output in cell.get('outputs', []):
      texts += [output.get('text', ''), *output.get('traceback', [])]
      texts.append(output.get('data', {}).get('text/plain', ''))
    assert not cell.metadata
    for text in texts:
      assert not _MACHINE_PATH.search(text), text


def refresh() -> None:
  """Runs the notebook where it is and writes it with its outputs."""
  notebook = run(PATH.parent, ROOT)
  notebook.metadata.language_info = {'name': 'python'}
  nbformat.write(notebook, PATH)


if __name__ == '__main__':
  refresh()
