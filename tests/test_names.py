"""Names from lists that become parts of paths."""

import pathlib

import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import segtrack
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import names

WRONG = ('', ' ', '.', '..', 'a/b', '/', 'a\\b', 'a\0b', 'a\tb', 'a\x1b[2J')


@pytest.mark.parametrize('name', WRONG)
def test_what_leads_out_of_a_folder_is_refused(name):
  with pytest.raises(
    errors.SavosError, match=r'^a list: .* is not a valid name'
  ):
    names.check(name, 'a list')


@pytest.mark.parametrize(
  'name', ['bear', 'my bear', 'Bär', '熊', '..bear', '-']
)
def test_spaces_and_any_script_are_fine(name):
  assert names.check(name, 'a list') == name


@pytest.mark.parametrize('name', ['..', 'a/../b', '/a', 'a//b'])
def test_no_record_has_such_a_name(name):
  with pytest.raises(errors.SavosError, match='is not a valid name'):
    sequences.Sequence(name, (), (), 1, 1, (1,))


def test_a_photo_is_named_with_its_folder():
  assert sequences.Sequence('stills/1', (), (), 1, 1, (1,)).name == 'stills/1'


def written(folder: pathlib.Path, content: str) -> pathlib.Path:
  path = folder / 'val.txt'
  path.write_bytes(content.encode())
  return path


@pytest.mark.parametrize(
  'line',
  [
    'my bear',
    '/JPEGImages/480p/my bear/0.jpg /Annotations/480p/my bear/0.png',
    '/JPEGImages/480p/my bear/0.jpg',
  ],
)
def test_lists_of_any_editor(tmp_path, line):
  path = written(tmp_path, f'\ufeff{line}\r\nbus\r\n')
  assert davis.read_image_list(path) == ['my bear', 'bus']


@pytest.mark.parametrize('line', ['..', '/JPEGImages/480p/../0.jpg'])
def test_a_list_that_leads_elsewhere_is_refused(tmp_path, line):
  path = written(tmp_path, f'bear\n{line}\n')
  with pytest.raises(
    errors.SavosError, match=r"line 2: '\.\.' is not a valid name"
  ):
    davis.read_image_list(path)


def test_segtracks_lists_likewise(tmp_path):
  assert segtrack.read_names(written(tmp_path, '\ufeff*bird of\n')) == [
    'bird of'
  ]
  with pytest.raises(errors.SavosError, match='is not a valid name'):
    segtrack.read_names(written(tmp_path, '*..\n'))
