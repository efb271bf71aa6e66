"""Texts and JSON of others: what is no text is not read; JSON has a form."""

import os
import pathlib

import pytest

import savos_jax
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import json_files

# They read what this program or the system wrote a moment ago.
_OWN = (
  'foundation/cgroups.py', 'foundation/cores.py', 'foundation/memory.py',
  'foundation/provenance.py', 'foundation/files.py', 'foundation/processor.py',
  'foundation/typed.py',
  'datasets/tfds_davis.py', 'report/html_page.py',
  'exporting/onnx_folder.py', 'exporting/page/serve.py', 'studio/results.py',
  'synthetic/embedded_clips.py',
  'tools/benchmark/import_backbone.py',
  'tools/benchmark/loaders.py', 'tools/benchmark/operations.py',
  'tools/benchmark/studio.py',
  'tools/many/segmenting_all.py', 'tools/paper_runs.py', 'tools/segmenting.py',
  'training/best.py', 'training/record.py',
)  # fmt: skip


def test_nothing_else_reads_texts_of_others():
  root = pathlib.Path(savos_jax.__file__).parent
  found = set()
  for path in root.rglob('*.py'):
    text = path.read_text().replace('files.read_text(', '')
    if 'json.load' in text or '.read_text(' in text:
      found.add(str(path.relative_to(root)))
  assert found <= set(_OWN)


def test_the_mark_of_an_encoding_is_none_of_the_text(tmp_path):
  path = tmp_path / 'list.txt'
  path.write_bytes(b'\xef\xbb\xbfb\xc3\xa4r\n')
  assert files.read_text(path) == 'bär\n'


@pytest.mark.parametrize(
  ('make', 'found'),
  [
    (lambda path: None, 'no such file'),
    (os.mkfifo, 'a pipe'),
    (os.mkdir, 'a folder'),
    (lambda path: path.symlink_to('/dev/zero'), 'a device'),
    (lambda path: path.symlink_to(path), 'Too many levels of symbolic links'),
    (lambda path: path.write_bytes(b'\xff\xfea'), 'not a text in UTF-8'),
    (
      lambda path: (path.touch(), os.truncate(path, 1 << 40)),
      '1099511627776 bytes',
    ),
  ],
)
def test_what_is_no_text_is_told_at_once(tmp_path, make, found):
  path = tmp_path / 'told.json'
  make(path)
  with pytest.raises(errors.SavosError, match=f'{path}: {found}.*\n  Expected'):
    json_files.read(path, 'Expected a text.', {})


@pytest.mark.parametrize(
  ('content', 'found'),
  [
    ('{', 'no JSON'),
    ('[' * 10**5, 'no JSON: nested too deeply'),
    ('[' * 99 + ']' * 99, 'no JSON: nested too deeply'),
    (r'["\ud800"]', 'no JSON'),
    (r'{"a": {"\ud800": 1}}', 'no JSON'),
    ('3', 'it is 3'),
  ],
)
def test_what_is_no_json_is_told(tmp_path, content, found):
  path = tmp_path / 'told.json'
  path.write_text(content)
  with pytest.raises(errors.SavosError, match=f'{path}: {found}.*\n  Expected'):
    json_files.read(path, 'Expected names.', {})
