"""The program that makes and compares reports."""

import json
import os
import shutil

import numpy as np
import pytest

from savos_jax.datasets import davis
from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.tools import report
from tests import results_folders


@pytest.fixture
def evaluated(davis_folder, tmp_path):
  root = davis_folder(splits={'val': 1}, frames=5, year='2016')
  results_folders.write(tmp_path / 'run', root)
  return tmp_path / 'run'


def test_report_is_made_again_from_the_folder(evaluated, capsys):
  report.main([str(evaluated / 'results')])
  page = (evaluated / 'results' / 'report.html').read_text()
  assert page.count('<img') == 9
  assert (evaluated / 'results' / 'plots' / 'time_val0.png').is_file()
  assert 'report.html' in capsys.readouterr().out


def test_the_working_directory_will_do(evaluated, tmp_path):
  out = tmp_path / 'page.html'
  report.main([str(evaluated), '--out', str(out)])
  assert out.is_file()
  assert not (evaluated / 'results' / 'report.html').exists()


def test_moved_data_are_named_and_can_be_given(evaluated, tmp_path, capsys):
  (tmp_path / 'DAVIS').rename(tmp_path / 'moved')
  report.main([str(evaluated)])
  page = (evaluated / 'results' / 'report.html').read_text()
  assert '<img' not in page
  assert 'no pictures' in capsys.readouterr().out
  report.main([str(evaluated), '--data', str(tmp_path / 'moved')])
  assert '<img' in (evaluated / 'results' / 'report.html').read_text()


def test_without_a_configuration_there_are_no_pictures(evaluated, capsys):
  (evaluated / 'config.json').unlink()
  report.main([str(evaluated)])
  page = (evaluated / 'results' / 'report.html').read_text()
  assert 'no recorded configuration' in page
  assert 'configuration is not recorded' in page


def test_a_configuration_that_can_not_be_one_is_no_traceback(evaluated):
  path = evaluated / 'config.json'
  config = json.loads(path.read_text())
  path.write_text(json.dumps(config | {'../mine.png': 1}))
  report.main([str(evaluated)])
  page = (evaluated / 'results' / 'report.html').read_text()
  assert 'is from another version' in page


def test_comparison_says_what_is_left_out(
  evaluated, davis_folder, tmp_path, capsys
):
  root = davis_folder(folder='B', splits={'val': 2}, frames=5, year='2016')
  results_folders.write(tmp_path / 'more', root)
  report.main([str(evaluated), '--compare', str(tmp_path / 'more')])
  assert 'val1 of more' in capsys.readouterr().out
  page = (evaluated / 'results' / 'report.html').read_text()
  assert 'more − run' in page
  assert (evaluated / 'results' / 'plots' / 'comparison.png').is_file()


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (None, r'no scores\.json'),
    ('{', r'scores\.json: no JSON'),
    ('[' * 10**5, 'nested too deeply'),
    ('{"global": {}}', "it has no 'sequences'"),
    ('[]', r'it is \[\]'),
  ],
)
def test_folders_without_scores_are_explained(tmp_path, content, message):
  if content is not None:
    (tmp_path / 'scores.json').write_text(content)
  with pytest.raises(errors.SavosError, match=message):
    results_folder.load(tmp_path)


@pytest.mark.parametrize(
  ('name', 'content', 'message'),
  [
    ('speed.json', {'frames': 3}, "it has no 'sequences'"),
    ('run.json', {'date': [1]}, r'date is \[1\]'),
    ('run.json', {'config': {'data': {'year': 2016}}}, 'config.data.year is'),
    ('../config.json', {'data': [1]}, r'data is \[1\]'),
    ('scores.json', {'notes': 'a'}, "notes is 'a'"),
    ('scores.json', {'videos': {'a': {'objects': [1]}}}, "videos.a has no 'J'"),
  ],
)
def test_what_a_report_is_made_of_is_not_believed(
  evaluated, name, content, message
):
  path = evaluated / 'results' / name
  before = json.loads(path.read_text()) if path.exists() else {}
  path.write_text(json.dumps(before | content))
  with pytest.raises(errors.SavosError, match=message):
    results_folder.load(evaluated)


def test_scores_that_are_at_odds_are_refused(evaluated):
  path = evaluated / 'results' / 'scores.json'
  scores = json.loads(path.read_text())
  scores['sequences']['val0']['frames']['J'].pop()
  path.write_text(json.dumps(scores))
  with pytest.raises(errors.SavosError, match='val0 with more frames'):
    results_folder.load(evaluated)
  scores['sequences']['other'] = scores['sequences'].pop('val0')
  scores['sequences']['other']['frames']['F'].pop()
  path.write_text(json.dumps(scores))
  with pytest.raises(errors.SavosError, match='val0 with objects without'):
    results_folder.load(evaluated)


def test_scores_without_sequences_are_refused(evaluated):
  path = evaluated / 'results' / 'scores.json'
  scores = json.loads(path.read_text())
  path.write_text(json.dumps(scores | {'sequences': {}, 'videos': {}}))
  with pytest.raises(errors.SavosError, match='no sequences'):
    results_folder.load(evaluated)


def test_the_date_is_the_recorded_one_or_that_of_the_scores(evaluated):
  results = evaluated / 'results'
  os.utime(results / 'scores.json', (86400 * 365, 86400 * 365))
  assert results_folder.load(results).date.startswith('197')
  (results / 'run.json').write_text('{"date": "2020-02-03 04:05+00:00"}')
  assert results_folder.load(results).date == '2020-02-03 04:05+00:00'


def test_the_time_of_a_frame_has_all_that_is_done_for_it(evaluated):
  results = evaluated / 'results'
  assert np.isnan(results_folder.load(results).seconds_a_frame)
  speed = dict.fromkeys(
    ('total_seconds', 'network_share', 'first_seconds', 'peak_gib'), 0.5
  )
  speed |= {'sequences': 1, 'frames': 5, 'seconds_a_frame': 0.25}
  path = results / 'speed.json'
  path.write_text(json.dumps(speed))
  assert results_folder.load(results).seconds_a_frame == 0.25
  speed |= {'refining_seconds': 5.0, 'learning_seconds': 10.0}
  path.write_text(json.dumps(speed))
  assert results_folder.load(results).seconds_a_frame == 3.25


def test_mistakes_end_with_status_2_and_no_traceback(tmp_path, capsys):
  with pytest.raises(SystemExit) as caught:
    report.main([str(tmp_path / 'nowhere')])
  assert caught.value.code == 2
  assert 'no such folder' in capsys.readouterr().err


def test_undefined_scores_are_dashes(evaluated):
  path = evaluated / 'results' / 'scores.json'
  content = json.loads(path.read_text())
  nothing = {'mean': None, 'recall': None, 'decay': None}
  empty = {'J': nothing, 'F': nothing, 'frames': {'J': [], 'F': []}}
  content['sequences']['val0'] = empty
  content['global'] = {'J': nothing, 'F': nothing, 'J&F': None}
  path.write_text(json.dumps(content))
  report.main([str(evaluated)])
  page = (evaluated / 'results' / 'report.html').read_text()
  assert 'Not scored.' in page
  assert 'nan' not in page


def test_an_evaluation_begins_without_earlier_results(evaluated):
  results = evaluated / 'results'
  with files.claimed(results):
    for name in ('strips/val0.png', 'masks/val0/00009.png', 'report.html'):
      with files.replacing(results / name) as partial:
        partial.write_text('of an earlier evaluation')
  for name in ('notes.txt', 'plots/mine.svg', 'masks/other/00000.png'):
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    (results / name).write_text('mine')
  shutil.rmtree(results / 'masks' / 'val0')
  for name in ('scores.json', 'run.json'):
    (results / name).unlink(missing_ok=True)
  with files.claimed(results) as manifest:
    results_folder.begin(manifest, [])
  left = {p for p in results.rglob('*') if p.is_file()}
  assert {p.name for p in left if not p.name.startswith('.')} == {
    'notes.txt',
    'mine.svg',
    '00000.png',
  }


@pytest.mark.parametrize(
  'name',
  ['report.html', 'plots/x.png', 'val_results-x.csv', 'masks/val0/y.png'],
)
def test_an_evaluation_refuses_files_of_others(davis_folder, tmp_path, name):
  videos = davis.load(davis_folder(splits={'val': 1}), 'val')
  path = tmp_path / 'results' / name
  path.parent.mkdir(parents=True)
  path.write_text('mine')
  with (
    files.claimed(tmp_path / 'results') as manifest,
    pytest.raises(errors.SavosError, match=path.name),
  ):
    results_folder.begin(manifest, videos)
  assert path.read_text() == 'mine'


@pytest.mark.parametrize(
  ('name', 'content'),
  [
    ('run.json', {'config': 5}),
    ('run.json', {'config': {'data': 5}}),
    ('run.json', {'baselines': {'a': {'J': {'mean': 'x'}}}}),
    ('run.json', {'date': 5}),
    ('speed.json', {'seconds_a_frame': 0.1}),
    ('speed.json', {'seconds_a_frame': 'x'}),
    ('../config.json', {'data': [1]}),
  ],
)
def test_what_files_beside_the_scores_tell_is_checked(
  evaluated, capsys, name, content
):
  (evaluated / 'results' / name).write_text(json.dumps(content))
  with pytest.raises(SystemExit) as caught:
    report.main([str(evaluated)])
  assert caught.value.code == 2
  assert name.removeprefix('../') in capsys.readouterr().err
  assert not (evaluated / 'results' / 'report.html').exists()
