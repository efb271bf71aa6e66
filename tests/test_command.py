"""What the programs share: paths of flags, and files that are not replaced."""

import argparse
import os
import pathlib

import pytest

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.tools import command


def test_a_path_is_not_empty(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert command.path('~/a b') == pathlib.Path('/home/me/a b')
  assert command.path('~nobody-of-this-name/a').name == 'a'
  for text in ('', ' '):  # As of a variable that is not set.
    with pytest.raises(argparse.ArgumentTypeError, match='empty'):
      command.path(text)


def test_what_is_there_is_replaced_where_the_user_says_so(tmp_path):
  path = tmp_path / 'scores.json'
  command.check_outputs([None, path, tmp_path / 'new' / 'x.csv'], [None])
  path.write_text('mine')
  with pytest.raises(errors.SavosError, match='--overwrite replaces'):
    command.check_outputs([path], [])
  command.check_outputs([path], [], overwrite=True)
  dangling = tmp_path / 'link'
  dangling.symlink_to('absent')
  with pytest.raises(errors.SavosError, match='exists already'):
    command.check_outputs([dangling], [])


def test_a_manifest_tells_whose_a_file_is(tmp_path):
  path, theirs = tmp_path / 'report.html', tmp_path / 'theirs.html'
  with files.claimed(tmp_path), files.replacing(path) as partial:
    partial.write_text('ours')
  theirs.write_text('theirs')
  command.check_outputs([path], [])
  with pytest.raises(errors.SavosError, match=r'did not write.*theirs\.html'):
    command.check_outputs([theirs], [], overwrite=True)


@pytest.mark.parametrize('how', ['itself', 'link', 'hard link', 'folder'])
def test_what_is_read_is_never_replaced(tmp_path, how):
  used = tmp_path / 'data' / 'a.json'
  used.parent.mkdir()
  used.write_text('{}')
  path, inputs = tmp_path / 'out.json', [used]
  if how == 'itself':
    path = used
  elif how == 'link':
    path.symlink_to(used)
  elif how == 'hard link':
    os.link(used, path)
  else:
    path, inputs = used, [used.parent]
  with pytest.raises(errors.SavosError, match='is read by this run'):
    command.check_outputs([path], inputs, overwrite=True)


def test_where_nothing_can_be_written_is_told_before_the_work(
  tmp_path, monkeypatch
):
  (tmp_path / 'file').touch()
  for path, expected in (
    (tmp_path / 'file' / 'below' / 'x', 'file is a file'),
    (tmp_path, 'a folder'),
  ):
    with pytest.raises(errors.SavosError, match=expected):
      command.check_outputs([path], [])
  with pytest.raises(errors.SavosError, match='written twice'):
    command.check_outputs([tmp_path / 'x', tmp_path / '.' / 'x'], [])
  monkeypatch.setattr(os, 'access', lambda *_: False)
  with pytest.raises(errors.SavosError, match='is not writable'):
    command.check_outputs([tmp_path / 'x'], [])
