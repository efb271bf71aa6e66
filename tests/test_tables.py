"""Scores as JSON, CSV and a table."""

import csv
import json

import numpy as np
import pytest

from savos_jax.evaluation import protocol
from savos_jax.evaluation import tables
from savos_jax.foundation import errors


@pytest.fixture
def scores():
  """Two objects whose statistics are easy to tell apart."""
  return protocol.Scores(
    (
      protocol.ObjectScore(
        'bear_1', np.array([0.9, 0.7, 0.5, 0.3]), np.array([1, 1, 1, 0.75])
      ),
      protocol.ObjectScore(
        'bear_2', np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 0.6, 0.8])
      ),
    )
  )


@pytest.fixture
def undefined():
  """The scores of a video without scored frames."""
  return protocol.Scores(
    (protocol.ObjectScore('short', np.zeros(0), np.zeros(0)),)
  )


def test_json_has_the_agreed_form(scores):
  found = tables.to_json_dict(scores)
  assert list(found) == ['global', 'sequences']
  assert list(found['global']) == ['J', 'F', 'J&F']
  assert found['global']['J'] == pytest.approx(
    {'mean': 0.425, 'recall': 0.25, 'decay': (0.4 - 0.2) / 2}
  )
  assert found['global']['F'] == pytest.approx(
    {'mean': (0.9375 + 0.35) / 2, 'recall': 0.75, 'decay': (0.125 - 0.7) / 2}
  )
  assert found['global']['J&F'] == pytest.approx((0.425 + 0.64375) / 2)
  assert list(found['sequences']) == ['bear_1', 'bear_2']
  bear = found['sequences']['bear_1']
  assert list(bear) == ['J', 'F', 'frames']
  assert bear['J'] == pytest.approx({'mean': 0.6, 'recall': 0.5, 'decay': 0.4})
  assert bear['frames'] == {
    'J': [0.9, 0.7, 0.5, 0.3],
    'F': [1.0, 1.0, 1.0, 0.75],
  }


def test_written_json_reads_back(scores, tmp_path):
  path = tmp_path / 'new' / 'folder' / 'scores.json'
  tables.write_json(path, scores)
  assert json.loads(path.read_text()) == tables.to_json_dict(scores)
  assert [p.name for p in path.parent.iterdir()] == ['scores.json']


def test_undefined_values_are_null(undefined, tmp_path):
  tables.write_json(tmp_path / 'scores.json', undefined)
  text = (tmp_path / 'scores.json').read_text()
  assert 'NaN' not in text
  found = json.loads(text)
  assert found['global']['J&F'] is None
  assert found['sequences']['short']['F'] == {
    'mean': None,
    'recall': None,
    'decay': None,
  }
  assert found['sequences']['short']['frames'] == {'J': [], 'F': []}


def test_csv_files_are_those_of_the_official_tool(scores, tmp_path):
  paths = tables.write_csv(tmp_path / 'results', scores, 'val')
  assert [path.name for path in paths] == [
    'global_results-val.csv',
    'per-sequence_results-val.csv',
  ]
  assert paths[0].read_bytes() == (
    b'J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n'
    b'0.534,0.425,0.250,0.100,0.644,0.750,-0.287\n'
  )
  assert paths[1].read_bytes() == (
    b'Sequence,J-Mean,F-Mean\nbear_1,0.600,0.938\nbear_2,0.250,0.350\n'
  )


def test_csv_holds_no_formula(tmp_path):
  names = ('=cmd_1', '-dog', 'mbike-trick_1')
  frame = np.ones(1)
  scores = protocol.Scores(
    tuple(protocol.ObjectScore(name, frame, frame) for name in names)
  )
  _, path = tables.write_csv(tmp_path, scores, 'val')
  assert path.read_text().splitlines()[1:] == [
    "'=cmd_1,1.000,1.000",
    "'-dog,1.000,1.000",
    'mbike-trick_1,1.000,1.000',
  ]


def test_csv_leaves_undefined_values_empty(undefined, tmp_path):
  paths = tables.write_csv(tmp_path, undefined, 'train')
  assert paths[0].name == 'global_results-train.csv'
  with paths[1].open() as file:
    assert list(csv.reader(file))[1] == ['short', '', '']


def test_table_rows_and_figures(scores):
  perfect = protocol.Scores(
    (protocol.ObjectScore('x', np.ones(3), np.ones(3)),)
  )
  table = tables.format_table(scores, {'all background': perfect})
  lines = [line for line in table.splitlines() if not line.startswith('-')]
  rows = [' '.join(line.split()) for line in lines]
  assert rows[1] == 'bear_1 76.9 60.0 50.0 40.0 93.8 100.0 12.5'
  assert rows[2] == 'bear_2 30.0 25.0 0.0 -20.0 35.0 50.0 -70.0'
  assert rows[3] == 'mean of 2 53.4 42.5 25.0 10.0 64.4 75.0 -28.7'
  assert rows[4] == (
    'baseline: all background 100.0 100.0 100.0 0.0 100.0 100.0 0.0'
  )
  assert len(lines) == 5
  assert len({len(line) for line in table.splitlines()}) == 1  # Aligned.


def test_table_of_undefined_scores_and_of_small_decays(undefined):
  assert tables.format_table(undefined).splitlines()[2].split() == (
    ['short'] + ['-'] * 7
  )
  flat = protocol.ObjectScore('flat', np.ones(4), np.array([1, 1, 1 - 1e-5, 1]))
  rising = protocol.ObjectScore('rising', flat.f[::-1], flat.f[::-1])
  assert '-0.0' not in tables.format_table(protocol.Scores((flat, rising)))


def test_an_impossible_path_is_an_error_that_names_it(scores, tmp_path):
  (tmp_path / 'file').write_text('in the way')
  path = tmp_path / 'file' / 'scores.json'
  with pytest.raises(errors.SavosError, match=r'scores\.json: could not be'):
    tables.write_json(path, scores)


@pytest.fixture
def of_two_videos():
  """One video with two objects, one with one."""
  return protocol.Scores(
    (
      protocol.ObjectScore('a_1', np.ones(2), np.ones(2), 'a', ('1', '2')),
      protocol.ObjectScore('a_2', np.zeros(2), np.ones(2), 'a', ('1', '2')),
      protocol.ObjectScore('b', np.zeros(1), np.ones(1), 'b', ('7',)),
    ),
    'segtrack',
  )


def test_json_of_a_known_protocol_has_videos_and_their_mean(of_two_videos):
  found = tables.to_json_dict(of_two_videos)
  assert found['protocol'] == 'segtrack'
  assert found['global']['J']['mean'] == pytest.approx(1 / 3)
  assert found['sequences_mean']['J']['mean'] == pytest.approx(1 / 4)
  assert found['sequences_mean']['J&F'] == pytest.approx(5 / 8)
  assert found['videos']['a']['J']['mean'] == 0.5
  assert found['videos']['a']['objects'] == ['a_1', 'a_2']
  assert found['videos']['a']['frames'] == ['1', '2']
  assert found['videos']['b']['objects'] == ['b']
  merged = protocol.Scores(of_two_videos.objects, 'davis2016')
  assert 'sequences_mean' not in tables.to_json_dict(merged)


def test_table_of_segtrack_shows_both_means(of_two_videos):
  rows = [
    ' '.join(line.split())
    for line in tables.format_table(of_two_videos).splitlines()
  ]
  assert rows[-2].startswith('mean of 3 objects 66.7 33.3')
  assert rows[-1].startswith('mean of 2 sequences 62.5 25.0')
