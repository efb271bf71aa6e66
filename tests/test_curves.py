"""The curves of a training as table and picture."""

import csv

import pytest

from savos_jax.foundation import errors
from savos_jax.tools import curves as tool
from savos_jax.training import curves
from savos_jax.training import event_files


def _clu(folder):
  metric_writers = pytest.importorskip(
    'clu.metric_writers', reason='clu is not installed'
  )
  return metric_writers.SummaryWriter(str(folder))


WRITERS = {
  'clu': _clu,
  'own': event_files.Writer,
}


def write_logs(workdir, rows, writer='own'):
  """Writes one file of events: step -> curves."""
  writer = WRITERS[writer](workdir / 'logs')
  for step, values in rows.items():
    writer.write_scalars(step, values)
  writer.close()


@pytest.fixture(params=WRITERS)
def trained(request, tmp_path):
  write_logs(
    tmp_path,
    {
      10: {'iou': 0.25, 'loss': 2.0},
      15: {'validation/J': 0.5},
      20: {'iou': 0.5, 'loss': 1.0},
      30: {'iou': 0.75, 'loss': 0.5},
    },
    request.param,
  )
  return tmp_path


def test_table_has_a_row_a_step_and_a_column_a_curve(trained):
  path = trained / 'curves.csv'
  tool.main([str(trained), '--csv', str(path)])
  with path.open(newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['step'] for row in rows] == ['10', '15', '20', '30']
  assert [row['iou'] for row in rows] == ['0.25', '', '0.5', '0.75']
  assert [row['validation/J'] for row in rows] == ['', '0.5', '', '']


def test_a_curve_with_the_name_of_a_formula(tmp_path):
  curves.write_csv(tmp_path / 'a.csv', {'=cmd': {1: -0.5}})
  assert (tmp_path / 'a.csv').read_text() == "step,'=cmd\n1,-0.5\n"


def test_steps_taken_again_count_as_the_last_time(trained):
  write_logs(trained, {20: {'iou': 0.1}, 25: {'iou': 0.2}})
  found = curves.read(trained)
  assert found['iou'] == pytest.approx({10: 0.25, 20: 0.1, 25: 0.2})
  assert found['loss'][30] == 0.5


def test_lines_go_from_value_to_value(trained, tmp_path):
  chart = curves.chart(curves.read(trained))
  assert 'IoU, training: mean 46.9' in chart.label
  assert 'lowest 25.0 at step 10, highest 75.0 at step 30' in chart.label
  assert 'J, validation: mean 50.0' in chart.label
  tool.main([str(trained), '--png', str(tmp_path / 'a' / 'curves.png')])
  assert (tmp_path / 'a' / 'curves.png').stat().st_size > 1000


def test_a_folder_without_curves_is_named(tmp_path, capsys):
  with pytest.raises(errors.SavosError, match='no curves'):
    curves.read(tmp_path)
  write_logs(tmp_path, {1: {'evaluation/J': 0.5}})
  with pytest.raises(errors.SavosError, match='none of iou'):
    curves.chart(curves.read(tmp_path))
  with pytest.raises(SystemExit):
    tool.main([str(tmp_path)])
  assert 'expected --csv, --png or both' in capsys.readouterr().err
