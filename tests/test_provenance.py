"""The revision that results are marked with, with and without git."""

import shutil
import subprocess

import pytest

from savos_jax.foundation import provenance


@pytest.fixture
def package(monkeypatch, tmp_path):
  """A folder that stands for this package's own."""
  monkeypatch.setattr(provenance, '_PACKAGE', tmp_path)
  (tmp_path / '__init__.py').touch()
  return tmp_path


def test_without_a_repository(package):
  assert provenance.revision() == 'unknown'


def test_without_git(package, monkeypatch):
  monkeypatch.setenv('PATH', str(package))
  assert provenance.revision() == 'unknown'


@pytest.mark.skipif(not shutil.which('git'), reason='git is not installed')
def test_in_a_repository(package):
  def git(*arguments):
    who = ('-c', 'user.name=a', '-c', 'user.email=a@b')
    subprocess.run(['git', '-C', package, *who, *arguments], check=True)

  git('init', '--quiet')
  (package / 'README').touch()
  git('add', 'README')
  git('commit', '--quiet', '--message=one')
  # Another project's, in which this package is installed.
  assert provenance.revision() == 'unknown'
  git('add', '__init__.py')
  git('commit', '--quiet', '--message=two')
  clean = provenance.revision()
  assert len(clean) == 12
  assert int(clean, 16)
  (package / '__init__.py').write_text('# Changed.\n')
  assert provenance.revision() == f'{clean}-dirty'
