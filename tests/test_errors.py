"""Errors for people: a message, a status, nothing that steers a terminal."""

import os
import subprocess
import sys

import pytest

from savos_jax.foundation import errors


def _printed(capsys, error, status):
  with pytest.raises(SystemExit) as caught, errors.reported():
    raise error
  assert caught.value.code == status
  return capsys.readouterr().err


def test_a_message_and_a_status(capsys):
  error = errors.SavosError('a.png: is Ä 中.\n  Expected b.')
  assert _printed(capsys, error, 2) == 'error: a.png: is Ä 中.\n  Expected b.\n'
  assert _printed(capsys, errors.Incomplete('a'), 3) == 'error: a\n'


def test_a_name_does_not_steer_the_terminal(capsys):
  error = errors.SavosError('\x1b[2J\x1b]0;x\x07a\rb\x9b\u202ec\ud800')
  assert _printed(capsys, error, 2) == (
    'error: \\x1b[2J\\x1b]0;x\\x07a\\rb\\x9b\\u202ec\\ud800\n'
  )


def test_a_name_has_an_end(capsys):
  error = errors.SavosError(f'{"a" * 10**6}\nExpected b.')
  printed = _printed(capsys, error, 2)
  assert len(printed) < 5000
  assert printed.endswith('a...\nExpected b.\n')


class JaxRuntimeError(Exception):
  """Called as JAX's is."""


def _not_utf8(text):
  with pytest.raises(UnicodeEncodeError) as caught:
    text.encode()
  return caught.value


@pytest.mark.parametrize(
  ('error', 'expected', 'status'),
  [
    (errors.Incomplete('half'), 'half', 3),
    (PermissionError(13, 'Permission denied', '/a/b'), '/a/b: Permission', 2),
    (OSError(36, 'File name too long', 'x' * 300), 'File name too long', 2),
    (MemoryError(), '--max_size', 2),
    (JaxRuntimeError('RESOURCE_EXHAUSTED: 9 GB'), '--chunk', 2),
    (RuntimeError("can't start new thread"), '--chunk', 2),
    (RuntimeError("Symlink loop from '/a'"), 'to an existing', 2),
    (OSError(28, 'No space left on device'), 'free space where', 2),
    (OSError(24, 'Too many open files'), 'ulimit -n', 2),
    (_not_utf8('<p>a/\udcff.png</p>'), "udcff.png</p>': a name that is", 2),
  ],
)
def test_what_nobody_explained_is_one_message(capsys, error, expected, status):
  with pytest.raises(SystemExit) as ended, errors.reported():
    raise error
  assert ended.value.code == status
  said = capsys.readouterr().err
  assert said.startswith('error: ')
  assert expected in said


@pytest.mark.parametrize(
  'error', [ValueError('ours'), OSError('no path'), JaxRuntimeError('other')]
)
def test_a_mistake_of_ours_is_not_hidden(error):
  with pytest.raises(type(error)), errors.reported():
    raise error


# As most people run it: what is printed may still be unwritten at the end.
_BUFFERED = {k: v for k, v in os.environ.items() if k != 'PYTHONUNBUFFERED'}


def test_a_reader_that_has_gone_is_no_traceback():
  code = (
    'from savos_jax.foundation import errors\n'
    'with errors.reported():\n'
    '  for number in range(100000):\n'
    '    print(number)\n'
  )
  with subprocess.Popen(
    [sys.executable, '-c', code],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env=_BUFFERED,
  ) as program:
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b''
    assert program.wait() == 141


_PRINTS = (
  'import os\n'
  'from savos_jax.foundation import errors\n'
  'with errors.reported():\n'
  '  with open("f", "w") as file:\n'
  '    os.write(1, b"low")\n'
  '    print("high", flush=True)\n'
  '  raise errors.SavosError("a")\n'
)


@pytest.mark.parametrize('streams', ['>&-', '2>&-', '<&- >&- 2>&-'])
def test_a_stream_that_is_closed_is_no_file_that_is_opened(tmp_path, streams):
  done = subprocess.run(
    ['sh', '-c', f'"{sys.executable}" -c "$0" {streams}', _PRINTS],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': os.getcwd()},
    capture_output=True,
    check=False,
  )
  assert done.returncode == 2
  assert b'Traceback' not in done.stderr
  assert (tmp_path / 'f').read_bytes() == b''


def test_a_full_disk_behind_standard_output_is_one_message():
  code = (
    'from savos_jax.foundation import errors\n'
    'with errors.reported():\n'
    '  print("a")\n'
  )
  with open('/dev/full', 'w') as full:
    done = subprocess.run(
      [sys.executable, '-c', code],
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
      env=_BUFFERED,
    )
  assert done.returncode == 2
  assert done.stderr.startswith('error: No space left on device.')
  assert 'ignored' not in done.stderr


@pytest.mark.parametrize(
  ('line', 'status'),
  [
    ('sys.stderr.write("half a line")', 0),
    ('raise errors.SavosError("a")', 2),
    ('raise errors.Incomplete("a")', 3),
  ],
)
def test_a_message_that_nobody_can_read_leaves_the_status(line, status):
  """Python tries again at its end to write what is left, and ends with 120."""
  code = (
    'import sys\n'
    'from savos_jax.foundation import errors\n'
    f'with errors.reported():\n  {line}\n'
  )
  with open('/dev/full', 'w') as full:
    done = subprocess.run(
      [sys.executable, '-c', code], stderr=full, check=False, env=_BUFFERED
    )
  assert done.returncode == status


def test_what_the_system_refuses_is_no_damage():
  assert errors.is_of_system(MemoryError())
  assert errors.is_of_system(PermissionError(13, 'Permission denied'))
  assert not errors.is_of_system(OSError('image file is truncated'))
  assert not errors.is_of_system(ValueError('zip'))


def test_names_that_are_not_utf8_are_printed():
  code = (
    'from savos_jax.foundation import errors\n'
    'with errors.reported():\n'
    '  print("\\udcff.mp4")\n'
    '  raise errors.SavosError("\\udcfe.png: x")\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    check=False,
    env={**os.environ, 'PYTHONIOENCODING': 'utf-8:strict'},
  )
  assert done.returncode == 2
  assert b'.mp4' in done.stdout
  assert done.stderr.startswith(b'error: ')
