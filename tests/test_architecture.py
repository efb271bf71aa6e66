"""Which part of the package may import which: from lower floors alone."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / 'savos_jax'
# From the ground up; parts of one floor know nothing of each other. Each is a
# folder of the package, or a module at its top.
FLOORS = (
  {'foundation', 'configs'},
  {'checkpoints', 'models', 'datasets', 'objective'},
  {'annotations', 'data', 'evaluation', 'pictures', 'weights', 'inference'},
  {'synthetic', 'report', 'video', 'online'},
  {'rules', 'studio'},
  {'settings'},
  {'opening'},
  {'training'},
  {'network'},
  {'validation', 'splits'},
  {'evaluate', 'exporting'},
  {'main', 'tools'},
  {'cli'},
)


def parts_imported(tree):
  """Yields the part of each import from the package, and its line."""
  for node in ast.walk(tree):
    if not isinstance(node, ast.ImportFrom) or node.level:
      continue
    package, *inside = (node.module or '').split('.')
    if package == 'savos_jax':
      for alias in node.names:
        yield (inside[0] if inside else alias.name), node.lineno


def test_no_import_runs_upwards():
  floor_of = {part: i for i, floor in enumerate(FLOORS) for part in floor}
  wrong, seen = [], set()
  for path in sorted(PACKAGE.rglob('*.py')):
    here = path.relative_to(PACKAGE)
    part = here.parts[0].removesuffix('.py')
    if part == '__init__':
      continue
    seen.add(part)
    assert part in floor_of, f'{part}: say on which floor it is'
    wrong += [
      f'{here}:{line} imports {other}'
      for other, line in parts_imported(ast.parse(path.read_text('utf-8')))
      if other != part and floor_of[other] >= floor_of[part]
    ]
  assert not wrong
  assert seen >= {'models', 'training', 'cli'}


@pytest.mark.parametrize(
  'part',
  [
    'datasets',
    'data',
    'synthetic',
    'pictures',
    'annotations',
    'evaluation',
    'report',
  ],
)
def test_what_works_without_a_network_imports_neither_jax_nor_tensorflow(part):
  code = (
    'import importlib, pkgutil, sys\n'
    f'import savos_jax.{part} as part\n'
    'for module in pkgutil.iter_modules(part.__path__):\n'
    '  importlib.import_module(f"{part.__name__}.{module.name}")\n'
    'print(sorted({"jax", "tensorflow"} & set(sys.modules)))'
  )
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == '[]'
