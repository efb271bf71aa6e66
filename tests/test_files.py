"""Files appear whole or not at all."""

from concurrent import futures
import os
import pathlib
import socket
import threading

import pytest

from savos_jax.foundation import errors
from savos_jax.foundation import files


def test_a_failed_write_keeps_the_old_file(tmp_path):
  path = tmp_path / 'scores.json'
  path.write_text('old')

  def fail():
    with files.replacing(path) as partial:
      partial.write_text('half of the n')
      raise RuntimeError

  with pytest.raises(RuntimeError):
    fail()
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


def test_a_finished_write_takes_the_place(tmp_path):
  path = tmp_path / 'made' / 'scores.json'
  for text in ('first', 'second'):
    with files.replacing(path) as partial:
      partial.write_text(text)
      assert not path.exists() or path.read_text() == 'first'
    assert path.read_text() == text
  assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with (
    pytest.raises(errors.SavosError, match='could not be written'),
    files.replacing(tmp_path / 'file' / 'x.json'),
  ):
    pass


def test_two_threads_may_write_one_file_at_once(tmp_path):
  path = tmp_path / 'scores.json'
  both = threading.Barrier(2, timeout=10)
  partials = []

  def write(text):
    with files.replacing(path) as partial:
      partial.write_text(text)
      partials.append(partial)
      both.wait()
      assert partial.read_text() == text

  with futures.ThreadPoolExecutor(2) as pool:
    for task in [pool.submit(write, text) for text in ('one', 'other')]:
      task.result()
  assert len(set(partials)) == 2
  for partial in partials:  # What a killed process leaves is out of the way.
    assert partial.name.startswith('.')
    assert partial.suffix == path.suffix
  assert path.read_text() in ('one', 'other')
  assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_named(tmp_path):
  (tmp_path / 'file').touch()
  (tmp_path / 'link').symlink_to('file')
  (tmp_path / 'loop').symlink_to('loop')
  os.mkfifo(tmp_path / 'pipe')
  found = {
    'file': '',
    'link': '',
    'absent': 'no such file',
    'file/below': 'no such file',
    'null\0': 'no such file',
    'loop': 'Too many levels of symbolic links',
    '.': 'a folder',
    'pipe': 'a pipe',
  }
  assert {name: files.problem(tmp_path / name) for name in found} == found
  assert files.problem('/dev/zero') == 'a device'
  with socket.socket(socket.AF_UNIX) as opened:
    opened.bind(str(tmp_path / 's'))
    assert files.problem(tmp_path / 's') == 'a socket'


def test_what_is_written_survives_a_power_cut(tmp_path, monkeypatch):
  """The file is on the disk before it has its name, the name after that."""
  path, done = tmp_path / 'scores.json', []
  sync, rename = os.fsync, os.replace

  def fsync(descriptor):
    done.append(pathlib.Path(os.readlink(f'/proc/self/fd/{descriptor}')))
    sync(descriptor)

  def replace(source, target):
    done.append('renamed')
    rename(source, target)

  monkeypatch.setattr(os, 'fsync', fsync)
  monkeypatch.setattr(os, 'replace', replace)
  with files.replacing(path) as partial:
    partial.write_text('text')
  assert done == [partial, 'renamed', tmp_path]


def test_what_may_not_be_read_is_no_damage(tmp_path, monkeypatch):
  path = tmp_path / 'a.txt'
  path.write_bytes(b'\xef\xbb\xbfbear')
  assert files.read_text(path) == 'bear'
  path.write_bytes(b'\xff')
  with pytest.raises(errors.SavosError, match=r'a\.txt: not a text in UTF-8'):
    files.read_text(path)
  os.mkfifo(tmp_path / 'pipe')
  with pytest.raises(errors.SavosError, match='pipe: a pipe'):
    files.read_text(tmp_path / 'pipe')

  def refuse(path, *_):
    raise PermissionError(13, 'Permission denied', path)

  monkeypatch.setattr(os, 'open', refuse)  # Root may read anything.
  assert files.problem(path) == 'Permission denied'


def test_what_is_no_file_is_not_replaced(tmp_path):
  """A rename over a device is the end of the device."""
  os.mkfifo(tmp_path / 'pipe')
  with (
    pytest.raises(errors.SavosError, match='pipe: a pipe'),
    files.replacing(tmp_path / 'pipe'),
  ):
    pass
  assert (tmp_path / 'pipe').is_fifo()
