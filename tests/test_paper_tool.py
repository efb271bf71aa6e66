"""The program that makes the paper's tables, with a tiny network."""

import csv
import shutil

import numpy as np
from PIL import Image
import pytest

from savos_jax import evaluate
from savos_jax import network
from savos_jax.configs import demo
from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.inference import dense_crf
from savos_jax.report import paper_figures
from savos_jax.tools import paper
from savos_jax.tools import paper_runs
from tests import davis_folders
from tests import results_folders
from tests import segtrack_folders
from tests import tiny_resnets

NAMES = ('libby', 'cows')  # Of the official list.


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
  path = tmp_path_factory.mktemp('network') / 'savos.safetensors'
  trained = network.Trained(
    tiny_resnets.MODEL, tiny_resnets.decided_params(), 7, False, {}
  )
  network.write(path, trained)
  return path


@pytest.fixture
def root(davis_folder):
  """Two sequences of DAVIS' list of 2016; there is none of 2017."""
  root = davis_folder(splits={'val': 2}, frames=5, year='2016')
  for number, name in enumerate(NAMES):
    for part in (davis_folders.images, davis_folders.annotations):
      part(root, f'val{number}').rename(part(root, name))
  (root / 'ImageSets' / '2016' / 'val.txt').write_text('\n'.join(NAMES))
  return root


def make(out, checkpoint, *more):
  paper.main([f'--out={out}', f'--checkpoint={checkpoint}', *map(str, more)])


def rows_of(out, name):
  with (out / 'tables' / f'{name}.csv').open(newline='') as file:
    return list(csv.DictReader(file))


def test_what_is_there_is_measured_and_what_is_not_is_named(
  root, checkpoint, tmp_path, monkeypatch, capsys
):
  def lacks():
    raise errors.SavosError('the dense CRF needs pydensecrf, which is not ...')

  monkeypatch.setattr(dense_crf, 'require', lacks)
  monkeypatch.setattr(paper_runs, 'ADD_ONS', {'crf': '+ dense CRF'})
  out = tmp_path / 'paper'
  asked = ('--davis', root, '--table', 1, 2, 'segtrack', 3, 4, '--figure', 6)
  make(out, checkpoint, *asked)
  results = results_folder.load(out / 'evaluations' / 'davis2016')
  own, *published = rows_of(out, 'table_1')
  assert own['source'] == 'measured'
  assert own['J'] == f'{100 * results.scores["global"]["J"]["mean"]:.1f}'
  assert own['over'] == '2 of 20 sequences'
  assert float(own['s a frame']) == pytest.approx(
    results.speed['seconds_a_frame'], rel=0.01
  )
  assert {row['source'] for row in published} == {'paper'}
  assert published[0]['J'] == '80.3'
  absent = {
    'table_2': 'no image list for year 2017',
    'segtrack': 'give --segtrack=ROOT',
    'table_3': 'launch/ablation.sh',
  }
  for name, reason in absent.items():
    first = rows_of(out, name)[0]
    assert (first['source'], first['J']) == ('not measured', '')
    assert reason in first['over']
  base, refined, *_ = rows_of(out, 'table_4')
  assert base['J'] == own['J']
  assert refined['source'] == 'not measured'
  assert 'pydensecrf' in refined['over']
  page = (out / 'tables.html').read_text()
  missing = paper_figures.BENCHMARKS['davis2016'].names - set(NAMES)
  assert f'not scored: {", ".join(sorted(missing))}.' in page
  assert 'href="evaluations/davis2016/results/report.html"' in page
  with Image.open(out / 'figure6.png') as picture:
    assert picture.width > 1000
  assert '| **savos_jax** | **measured** |' in capsys.readouterr().out
  monkeypatch.setattr(evaluate, 'evaluate', None)
  make(out, checkpoint, *asked)
  assert rows_of(out, 'table_1')[0] == own


def test_an_evaluation_of_something_else_is_done_again(
  root, checkpoint, tmp_path, monkeypatch
):
  out, other = tmp_path / 'paper', tmp_path / 'other.safetensors'
  make(out, checkpoint, '--davis', root, '--table=1')
  done = []
  monkeypatch.setattr(evaluate, 'evaluate', lambda *_: done.append(1))
  make(out, checkpoint, '--davis', root, '--table=1')
  assert not done
  params = tiny_resnets.network_params(tiny_resnets.MODEL, seed=1)
  network.write(
    other, network.Trained(tiny_resnets.MODEL, params, 7, False, {})
  )
  for changed in (
    [other, '--davis', root],
    [checkpoint, '--davis', root, '--flip'],
    [checkpoint, '--davis', root, '--zoom=2'],
  ):
    make(out, *changed, '--table=1')
    assert done.pop()
  moved = root.with_name('moved')
  root.rename(moved)
  make(out, checkpoint, '--davis', moved, '--table=1')
  assert not done
  davis_folders.images(moved, 'cows').joinpath('00004.jpg').unlink()
  davis_folders.annotations(moved, 'cows').joinpath('00004.png').unlink()
  make(out, checkpoint, '--davis', moved, '--table=1')
  assert done


@pytest.mark.slow
@pytest.mark.usefixtures('library_promotion')
def test_add_ons_tell_what_they_cost(root, checkpoint, tmp_path):
  pytest.importorskip('pydensecrf')
  out = tmp_path / 'paper'
  make(out, checkpoint, '--davis', root, '--table=4', '--online=1')
  base, taught, refined = (
    results_folder.load(out / 'evaluations' / key)
    for key in ('davis2016', 'online', 'crf')
  )
  assert refined.config['eval']['crf']
  assert taught.config['online']['steps'] == 1
  assert not base.config['online']['steps']
  _, *rows = rows_of(out, 'table_4')
  for one, row, name, spent in (
    (taught, rows[0], '+ online learning', 'learning_seconds'),
    (refined, rows[1], '+ dense CRF', 'refining_seconds'),
  ):
    speed = one.speed  # Of twice five frames.
    expected = speed['seconds_a_frame'] + speed[spent] / 10
    assert one.seconds_a_frame == pytest.approx(expected)
    added = expected - base.seconds_a_frame
    assert row['method'].lstrip("'") == f'savos_jax {name} ({added:+.2f} s)'
    assert row['J'] == f'{100 * one.scores["global"]["J"]["mean"]:.1f}'


def test_the_ablation_is_the_mean_of_its_seeds(root, tmp_path):
  runs = tmp_path / 'ablation'
  js = []
  for seed, shift in enumerate((2, 6)):
    workdir = runs / f'dream{seed}'
    results, _ = results_folders.write(workdir, root, shift=shift)
    js.append(100 * results.scores['global']['J']['mean'])
  out = tmp_path / 'paper'
  paper.main([f'--out={out}', '--table=3', f'--ablation={runs}'])
  basic, dream, attention, *published = rows_of(out, 'table_3')
  assert basic['source'] == attention['source'] == 'not measured'
  assert float(dream['J']) == pytest.approx(np.mean(js), abs=0.06)
  assert dream['over'] == (
    f'DAVIS-2016 val, 2 of 20 sequences, J {js[0]:.1f} and {js[1]:.1f} by seed'
  )
  assert len(published) == 3


@pytest.mark.slow
def test_one_network_on_all_data(
  root, checkpoint, tmp_path, monkeypatch, davis_folder
):
  make_config = demo.get_config
  monkeypatch.setattr(demo, 'get_config', lambda: _small(make_config))
  more = davis_folder(
    folder='crowd', splits={'val': 1}, frames=4, resolution='240p'
  )
  segtrack = segtrack_folders.make(tmp_path / 'SegTrackv2')
  out = tmp_path / 'paper'
  make(
    out, checkpoint, '--davis', root, '--segtrack', segtrack, '--more', more,
    '--table=generalisation', '--before', checkpoint,
  )  # fmt: skip
  rows = {row['sequence']: row for row in rows_of(out, 'generalisation')}
  assert {
    'DAVIS-2016 val, 2 of 20 sequences, 2 objects',
    'libby',
    'SegTrack v2, 3 of 14 sequences, 5 of 24 objects',
    'penguin',
    'crowd, 1 sequence, 1 object',
  } <= set(rows)
  crowd = results_folder.load(out / 'evaluations' / 'more')
  assert crowd.config['data']['resolution'] == '240p'
  mean = 100 * crowd.scores['videos']['val0']['J']['mean']
  assert rows['val0']['J'] == f'{mean:.1f}'
  for row in rows.values():  # The same network twice.
    assert (row['J'], row['F']) == (row['J before'], row['F before'])
  first = rows['crowd, 1 sequence, 1 object']['first mask copied: J']
  assert float(first) == pytest.approx(
    100 * crowd.run['baselines']['first mask copied']['J']['mean'], abs=0.06
  )
  with Image.open(out / 'failures.jpg') as picture:
    assert picture.height > 300  # Several rows.
  page = (out / 'tables.html').read_text()
  assert 'src="data:image/jpeg;base64,' in page


def _small(make_config):
  config = make_config()
  config.data.update(
    embedded_size=(36, 48), embedded_train_clips=1, embedded_val_clips=1,
    embedded_frames=4,
  )  # fmt: skip
  return config


def test_mistakes_are_told(tmp_path, capsys):
  for flags, message in (
    (['--davis=nowhere'], '--davis: nowhere is not a folder'),
    (['--table=5'], "invalid choice: '5'"),
  ):
    with pytest.raises(SystemExit) as caught:
      paper.main([f'--out={tmp_path / "out"}', *flags])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
  assert not (tmp_path / 'out').exists()


def test_files_of_others_are_not_replaced(tmp_path, root, capsys):
  out = tmp_path / 'paper'
  (out / 'tables').mkdir(parents=True)
  (out / 'tables' / 'table_3.csv').write_text('mine')
  with pytest.raises(SystemExit):
    paper.main([f'--out={out}', '--table=3'])
  assert 'table_3.csv' in capsys.readouterr().err
  assert (out / 'tables' / 'table_3.csv').read_text() == 'mine'
  shutil.rmtree(out)
  for _ in range(2):  # Its own are.
    paper.main([f'--out={out}', '--table=3'])
  assert len(rows_of(out, 'table_3')) == 6
