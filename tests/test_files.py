"""Files appear whole or not at all."""

import pytest

from savos_jax import errors
from savos_jax import files


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
