"""Errors for people: a message, a status, nothing that steers a terminal."""

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
