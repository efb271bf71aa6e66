"""The curves of a training as table and picture."""

import csv

from clu import metric_writers
import pytest

from savos_jax.foundation import errors
from savos_jax.tools import curves as tool
from savos_jax.training import curves


def write_logs(workdir, rows):
  """Writes one file of events: step -> curves."""
  writer = metric_writers.SummaryWriter(str(workdir / 'logs'))
  for step, values in rows.items():
    writer.write_scalars(step, values)
  writer.close()


@pytest.fixture
def trained(tmp_path):
  write_logs(
    tmp_path,
    {
      10: {'iou': 0.25, 'loss': 2.0},
      15: {'validation/J': 0.5},
      20: {'iou': 0.5, 'loss': 1.0},
      30: {'iou': 0.75, 'loss': 0.5},
    },
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
  # What a file of events is called begins with the second it was made in.
  (first,) = (trained / 'logs').iterdir()
  first.rename(first.with_name('events.out.tfevents.1.a'))
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


def test_lines_of_a_machine_without_tensorboard(tmp_path):
  path = tmp_path / 'logs' / 'metrics.jsonl'
  path.parent.mkdir()
  path.write_text(
    '{"step": 10, "iou": 0.25}\n{"step": 20, "iou": 0.5, "loss": 1}\n'
    '{"step": 30, "iou": 0.6}\n{"step": 20, "iou": 0.75}\n'
  )
  # Steps taken again count as the last time, and what came after is gone.
  expected = {'iou': {10: 0.25, 20: 0.75}, 'loss': {20: 1.0}}
  assert curves.read(path) == expected
  assert curves.read(tmp_path) == expected
  for line in ('{"iou": 1}', '[' * 10**5, '{"step": 1e999}'):
    path.write_text(f'{line}\n')
    with pytest.raises(errors.SavosError, match='line 1: no numbers of a'):
      curves.read(path)
