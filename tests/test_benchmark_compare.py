"""Two files of a benchmark, compared."""

import json

import pytest

from savos_jax.foundation import errors
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import compare


def row(size, median, fastest=None, slowest=None, share=None):
  return {
    'size': size, 'objects': 1, 'compile_s': 3.0, 'median_s': median,
    'fastest_s': fastest or median, 'slowest_s': slowest or median,
    'share_of_limit': share,
  }  # fmt: skip


@pytest.fixture
def write(tmp_path):
  def write(name, rows, **more):
    path = tmp_path / name
    told = {'benchmark': 'inference', 'device': {'cores': 2}, 'rows': rows}
    path.write_text(json.dumps(told | more))
    return path

  return write


def test_rows_of_both_files_are_compared(write):
  old = write('old.json', [row('1x1', 9.0), row('2x2', 1.0, 0.8, 1.6, 0.5)])
  # The order of rows is no matter, nor what the other one lacks.
  new = write('new.json', [row('2x2', 0.5, 0.4, 1.0, 0.6), row('3x3', 2.0)])
  assert list(compare.compare(old, new)) == [
    {
      'size': '2x2', 'objects': 1, 'old_s': 1.0, 'new_s': 0.5, 'ratio': 2.0,
      'least': 0.8, 'most': 4.0, 'to_limit': 1.2,
    }
  ]  # fmt: skip


def test_what_did_not_fit_the_memory_is_left_out(write):
  nothing = row('2x2', None)
  old = write('old.json', [row('1x1', 1.0), row('2x2', 1.0)])
  new = write('new.json', [nothing, row('1x1', 2.0)])
  (found,) = compare.compare(old, new)
  assert (found['size'], found['ratio'], found['to_limit']) == (
    '1x1', 0.5, None,
  )  # fmt: skip


def test_a_slower_row_ends_with_status_2(write, capsys):
  old, new = (
    write('old.json', [row('1', 1.0)]),
    write('new.json', [row('1', 2)]),
  )
  benchmark.main(['compare', str(old), str(new), '--least=0.5'])
  assert '|   0.5 |' in capsys.readouterr().out
  with pytest.raises(SystemExit) as caught:
    benchmark.main(['compare', str(old), str(new), '--least=0.6'])
  told = capsys.readouterr()
  assert caught.value.code == 2
  assert '|   0.5 |' in told.out
  assert f'{new}: 1 of its rows are slower' in told.err


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('{', 'no JSON'),
    ('{"rows": []}', "has no 'benchmark'"),
    ('{"benchmark": "data", "device": {}, "rows": [{"a": 1}]}', 'rows have no'),
    ('{"benchmark": "inference", "device": {}, "rows": []}', 'holds no times'),
    (
      json.dumps(
        {'benchmark': 'inference', 'device': {}, 'rows': [row('9', 1.0)]}
      ),
      'has no row in common',
    ),
    (
      json.dumps(
        {'benchmark': 'training', 'device': {}, 'rows': [row('1', 1.0)]}
      ),
      'from benchmark training',
    ),
    (
      json.dumps(
        {'benchmark': 'inference', 'device': {}, 'rows': [row('1', 'fast')]}
      ),
      'rows have no median_s',
    ),
  ],
)
def test_an_error_names_the_file(write, tmp_path, text, told):
  old, new = write('old.json', [row('1', 1.0)]), tmp_path / 'new.json'
  new.write_text(text)
  with pytest.raises(errors.SavosError) as caught:
    list(compare.compare(old, new))
  assert str(caught.value).startswith(f'{new}: ')
  assert told in str(caught.value)
  assert '\n  Expected ' in str(caught.value)


def test_a_file_that_is_not_there(tmp_path, write, capsys):
  new = write('new.json', [row('1', 1.0)])
  with pytest.raises(SystemExit) as caught:
    benchmark.main(['compare', str(tmp_path / 'none.json'), str(new)])
  assert caught.value.code == 2
  assert 'none.json' in capsys.readouterr().err
