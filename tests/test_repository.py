"""What stands around the package: workflows, releases, citation, make help."""

import json
import pathlib
import re
import subprocess
import tomllib

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))
# An action of one commit, with the version that it is.
_PINNED = re.compile(r'uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$')


def project() -> dict:
  return tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def targets() -> set[str]:
  """Returns what is declared .PHONY in the Makefile."""
  text = (ROOT / 'Makefile').read_text().replace('\\\n', ' ')
  return set(re.search(r'^\.PHONY:(.*)$', text, re.MULTILINE)[1].split())


def test_make_help_lists_every_target():
  told = subprocess.run(
    ['make', '--no-print-directory', 'help'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.splitlines()
  rows = [re.fullmatch(r'make ([a-z-]+) +(\S.*)', line) for line in told]
  assert {row[1] for row in rows} == targets()
  assert len(rows) == len(targets())


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_pinned_and_need_no_secret(path):
  text = path.read_text()
  workflow = yaml.safe_load(text)
  uses = [line for line in text.splitlines() if 'uses:' in line]
  assert uses
  assert all(_PINNED.search(line) for line in uses)
  assert 'secrets.' not in text
  assert workflow['permissions'] == {'contents': 'read'}
  for job in workflow['jobs'].values():
    assert job['timeout-minutes'] <= 150
    assert 'permissions' not in job
    for step in job['steps']:
      called = re.findall(r'make ([\w-]+)', step.get('run', ''))
      assert set(called) <= targets()


def test_the_pythons_that_are_declared_are_tested():
  jobs = yaml.safe_load((ROOT / '.github/workflows/ci.yml').read_text())['jobs']
  tested = jobs['test']['strategy']['matrix']['python']
  named = (name.rpartition(' ')[2] for name in project()['classifiers'])
  declared = [name for name in named if re.fullmatch(r'3\.\d+', name)]
  assert tested == declared
  assert project()['requires-python'] == f'>={tested[0]}'


def test_the_version_is_released_in_the_changelog_and_the_citation():
  version = project()['version']
  changelog = (ROOT / 'CHANGELOG.md').read_text()
  released = re.findall(
    r'^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$', changelog, re.MULTILINE
  )
  assert released[0][0] == version
  assert changelog.index('## [Unreleased]') < changelog.index(f'[{version}] -')
  citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
  assert citation['version'] == version
  assert citation['date-released'].isoformat() == released[0][1]
  assert citation['license'] == project()['license']


def test_the_changelog_has_the_sections_of_its_form():
  lines = (ROOT / 'CHANGELOG.md').read_text().splitlines()
  sections = {line[4:] for line in lines if line.startswith('### ')}
  assert sections <= {
    *('Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'),
    'Performance',
  }


def test_hooks_have_the_versions_of_the_package():
  (local,) = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())[
    'repos'
  ]
  needed = {
    each
    for hook in local['hooks']
    for each in hook.get('additional_dependencies', ())
  }
  assert needed <= set(project()['optional-dependencies']['test'])


@pytest.mark.parametrize('name', ['Dockerfile', 'Dockerfile.cuda'])
def test_containers_copy_what_the_wheel_is_built_of(name):
  allowed = (ROOT / '.dockerignore').read_text().splitlines()
  assert [line[1:] for line in allowed if line.startswith('!')] == [
    *('LICENSE', 'README.md', 'configs', 'pyproject.toml', 'savos_jax'),
    'setup.py',
  ]
  text = (ROOT / name).read_text()
  extras = set(re.search(r'\$\{wheel\}\[([a-z,]+)\]', text)[1].split(','))
  assert extras <= set(project()['optional-dependencies'])
  assert re.search(r'^USER \d+$', text, re.MULTILINE)


def test_the_devcontainer_installs_what_make_does():
  text = (ROOT / '.devcontainer' / 'devcontainer.json').read_text()
  container = json.loads(text)
  assert container['postCreateCommand'] == 'make install'
  assert container['image'].endswith(f'python:{_lowest()}-bookworm')


def _lowest() -> str:
  return project()['requires-python'].removeprefix('>=')


def test_issue_forms_are_whole():
  for path in sorted((ROOT / '.github' / 'ISSUE_TEMPLATE').glob('*.yml')):
    form = yaml.safe_load(path.read_text())
    if path.stem == 'config':
      continue
    assert {'name', 'description', 'body'} <= set(form)
    ids = [part['id'] for part in form['body'] if part['type'] != 'markdown']
    assert len(ids) == len(set(ids)) > 0
