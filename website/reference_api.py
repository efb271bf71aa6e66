"""The reference of the Python API: a page a folder, from its docstrings."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parents[1] / 'savos_jax'
_API = 'reference/api'


def _modules(folder: pathlib.Path) -> list[pathlib.Path]:
  return [
    path
    for path in sorted(folder.glob('*.py'))
    if not path.stem.startswith('_')
  ]


def _summary(path: pathlib.Path) -> str:
  """Returns the first sentence of a module's docstring."""
  text = ast.get_docstring(ast.parse(path.read_text('utf-8'))) or ''
  return text.partition('\n')[0]


def _folders() -> list[pathlib.Path]:
  """Returns the folders of the package that hold modules, tools aside."""
  found = sorted({path.parent for path in PACKAGE.rglob('*.py')})
  tools = PACKAGE / 'tools'
  return [
    folder
    for folder in found
    if (folder / '__init__.py').exists()
    and _modules(folder)
    and tools not in (folder, *folder.parents)
  ]


def _dotted(path: pathlib.Path) -> str:
  return '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)


def pages() -> dict[str, str]:
  """Returns page -> Markdown; one for each folder, and last their list."""
  made = {}
  index = [
    '# Python API',
    '',
    'Made from the docstrings. [Call it from Python](../../how-to/python.md) '
    'shows the few functions that most programs need. Programs of '
    '`savos_jax.tools` are in [Commands](../commands.md).',
    '',
    '| package | modules |',
    '| --- | --- |',
  ]
  for folder in _folders():
    name = _dotted(folder)
    file = f'{name.partition(".")[2] or "savos_jax"}.md'
    text = [f'# {name}', '']
    init = folder / '__init__.py'
    if init.exists() and _summary(init):
      text += [_summary(init), '']
    for module in _modules(folder):
      text += [f'::: {_dotted(module)}', '']
    made[f'{_API}/{file}'] = '\n'.join(text)
    links = ', '.join(
      f'[{module.stem}]({file}#{_dotted(module)})'
      for module in _modules(folder)
    )
    index.append(f'| [`{name}`]({file}) | {links} |')
  made[f'{_API}/index.md'] = '\n'.join(index) + '\n'
  return made
