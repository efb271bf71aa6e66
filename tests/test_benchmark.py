"""What all benchmarks share; data, evaluation, import. No speed is asserted."""

import argparse
import json
import subprocess
import sys

import pytest
import safetensors.numpy

from savos_jax.data import pipeline
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import evaluation
from savos_jax.tools.benchmark import loaders
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared
from tests import sampling_videos
from tests import tiny_resnets


def tables(printed: str) -> list[list[dict[str, str]]]:
  """Returns the rows of each Markdown table: column -> cell."""
  found, heading = [], None
  for line in printed.splitlines():
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    if not line.startswith('|'):
      heading = None
    elif heading is None:
      heading = cells
      found.append([])
    elif set(line) - set('| -'):
      found[-1].append(dict(zip(heading, cells, strict=True)))
  return found


@pytest.fixture
def arguments(tmp_path):
  return argparse.Namespace(
    command='made_up', json=tmp_path / 'made' / 'figures.json',
    trace=tmp_path, size=[shared.Size(48, 80)], frames=3,
  )  # fmt: skip


ROW = {
  'size': '48x80', 'on': True, 'unknown': None, 'many': 1234.567,
  'few': 0.0123456789, 'share_of_limit': 1.0734, 'count': 12345,
}  # fmt: skip


def test_rows_are_told_and_kept_as_they_come(capsys, arguments):
  out = output.Output(arguments, peaks={'copy_gb_per_s': 45.678})
  first = capsys.readouterr().out
  assert 'peaks: copy_gb_per_s 45.7' in first
  assert 'cores ' in first
  out.add(ROW)
  (rows,) = tables(capsys.readouterr().out)
  assert rows == [
    {
      'size': '48x80', 'on': 'on', 'unknown': '-', 'many': '1235',
      'few': '0.0123', 'share_of_limit': '107 %', 'count': '12345',
    }
  ]  # fmt: skip
  result = json.loads(arguments.json.read_text())
  assert result['benchmark'] == 'made_up'
  # Neither the file itself nor the profiles change what is measured.
  assert result['flags'] == {'size': ['48x80'], 'frames': 3}
  assert result['peaks'] == {'copy_gb_per_s': 45.678}
  assert {'device', 'devices', 'cores', 'python', 'jax', 'jaxlib', 'flax',
          'numpy', 'revision', 'date'} == set(result['device'])  # fmt: skip
  assert result['rows'] == [ROW | {'many': 1234.57, 'few': 0.0123457}]


def test_other_columns_get_another_heading(capsys, arguments):
  out = output.Output(arguments)
  for row in ({'a': 1}, {'a': 2}, {'b': 3}):
    out.add(row)
  assert tables(capsys.readouterr().out) == [
    [{'a': '1'}, {'a': '2'}], [{'b': '3'}],
  ]  # fmt: skip
  assert len(json.loads(arguments.json.read_text())['rows']) == 3


def test_a_json_that_cannot_be_written_is_told(arguments):
  arguments.json.parent.write_text('a file in the way')
  with pytest.raises(errors.SavosError, match='could not be written'):
    output.Output(arguments).add({'a': 1})


def test_data_reports_dreams_steps_and_the_loaders(capsys, davis_folder):
  root = davis_folder(year='2016', splits={'train': 2})
  benchmark.main([
    'data', f'--root={root}', '--frames=2', '--repeats=1', '--examples=8',
    '--workers=1',
  ])  # fmt: skip
  dreams, (alone,), rows = tables(capsys.readouterr().out)
  assert [(row['size'], row['merge']) for row in dreams] == [
    ('256x512', 'poisson'), ('256x512', 'feather'),
    ('480x854', 'poisson'), ('480x854', 'feather'),
  ]  # fmt: skip
  for row in dreams:
    steps = [row[name] for name in row if name.endswith('_ms')]
    assert len(steps) == 7  # Five steps, the inpainting and the previous mask.
    assert min(map(float, steps)) >= 0
    assert float(row['dreams_per_second_and_core']) > 0
  assert alone['clip_ms'] != '-' or alone['dream_ms'] != '-'
  peaks = {row['loader']: float(row['peak_gib']) for row in rows}
  assert list(peaks) == pipeline.installed_loaders()
  # TensorFlow, or a second process, takes more than threads do.
  assert 0.05 < peaks.pop('threads') < min(peaks.values())
  for row in rows:
    assert float(row['examples_per_second']) > 0
    assert float(row['first_batch_s']) > 0


def test_a_damaged_frame_is_told_by_a_loader(tmp_path):
  video = sampling_videos.open_video(tmp_path, 'video', 3)
  for path in video.frames:
    path.write_bytes(b'nothing')
  sampler = sampling_videos.make([video])
  with pytest.raises(errors.SavosError, match=rf'^{video.frames[0].parent}'):
    loaders.measure('threads', sampler.example, (64, 96), 4, 2, 1)


SCORED = ('--repeats=1', '--workers=2')
STEPS = ('reading', 'j', 'f')


def test_evaluation_scores_made_up_masks(tmp_path):
  path = tmp_path / 'figures.json'
  benchmark.main([
    'evaluation', '--size=48x80', '--objects=2', '--frames=3',
    f'--json={path}', *SCORED,
  ])  # fmt: skip
  result = json.loads(path.read_text())
  assert (result['benchmark'], result['flags']['size']) == (
    'evaluation', '48x80',
  )  # fmt: skip
  (row,) = result['rows']
  assert (row['scored_frames'], row['scored_objects']) == (3, 2)
  slowest, median, fastest = (
    row[f'{name}_frames_per_s'] for name in ('slowest', 'median', 'fastest')
  )
  assert 0 < slowest <= median <= fastest
  assert min(row[f'{name}_alone_frames_per_s'] for name in STEPS) > 0


def test_made_up_masks_are_neither_perfect_nor_hopeless(tmp_path):
  videos = evaluation.write_masks(tmp_path, (60, 90), objects=2, frames=3)
  scores = protocol.score_results(tmp_path / 'results', videos, progress=False)
  assert len(scores.objects) == 2
  for score in scores.objects:
    assert len(score.j) == 3
    assert 0.3 < score.j.min() <= score.j.max() < 1
    assert 0.1 < score.f.min() <= score.f.max() < 1


def test_evaluation_scores_given_folders(capsys, tmp_path):
  evaluation.write_masks(tmp_path, (30, 40), objects=3, frames=2)
  folders = (
    f'--results={tmp_path / "results"}',
    f'--annotations={tmp_path / "annotations"}',
  )
  for rules, objects in (('davis2016', 1), ('davis2017', 3)):
    benchmark.main(['evaluation', *folders, f'--protocol={rules}', *SCORED])
    ((row,),) = tables(capsys.readouterr().out)
    assert row['scored_frames'] == '2'
    assert row['scored_objects'] == str(objects)


@pytest.mark.parametrize(
  ('given', 'lacking'),
  [('results', 'annotations'), ('annotations', 'results')],
)
def test_evaluation_wants_both_folders_or_none(
  capsys, tmp_path, given, lacking
):
  with pytest.raises(SystemExit) as caught:
    benchmark.main(['evaluation', f'--{given}={tmp_path}'])
  assert caught.value.code
  assert f'--{given} without --{lacking}' in capsys.readouterr().err


def test_import_is_measured_in_a_process_of_its_own(capsys, tmp_path):
  path = tmp_path / 'model.safetensors'
  safetensors.numpy.save_file(tiny_resnets.tensors(), path)
  benchmark.main(['import', f'--file={path}', '--repeats=1'])
  ((row,),) = tables(capsys.readouterr().out)
  assert row['file'] == 'model.safetensors'
  assert 0 < float(row['median_s']) < float(row['with_start_s'])
  # This process has JAX and TensorFlow; that one has JAX.
  assert 0.05 < float(row['peak_gib']) < 0.5
  assert list(tmp_path.iterdir()) == [path]


def test_import_tells_what_is_wrong_with_a_file(capsys, tmp_path):
  path = tmp_path / 'model.safetensors'
  path.write_bytes(b'nothing of the kind')
  with pytest.raises(SystemExit) as caught:
    benchmark.main(['import', f'--file={path}'])
  assert caught.value.code == 2
  message = capsys.readouterr().err
  assert message.startswith(f'error: {path}')
  assert 'Traceback' not in message


def test_a_peak_is_not_that_of_who_started_the_process():
  large = bytearray(300 * 2**20)
  code = 'from savos_jax.foundation import memory; print(memory.peak_gib())'
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert 0 < float(done.stdout) < len(large) / 2**30


@pytest.mark.parametrize(
  'text', ['axb', '480', '480x', '0x854', '1x2x3', '-1x2']
)
def test_sizes_that_are_none(capsys, text):
  with pytest.raises(SystemExit) as caught:
    benchmark.main(['inference', f'--size={text}'])
  assert caught.value.code == 2
  assert f'{text}: expected HEIGHTxWIDTH in pixels' in capsys.readouterr().err


def test_the_studio_is_asked_for_frames(capsys, tmp_path):
  path = tmp_path / 'studio.json'
  benchmark.main([
    'studio', '--size=48x64', '--frames=30', '--seeks=5', f'--json={path}'
  ])  # fmt: skip
  rows = {row['what']: row for row in json.loads(path.read_text())['rows']}
  assert list(rows) == [
    'while decoding', 'all kept', 'any', 'small', 'each in order'
  ]  # fmt: skip
  assert rows['each in order']['frames'] == rows['all kept']['frames'] == 30
  assert 0 < rows['any']['median_ms'] <= rows['any']['slowest_ms']
  assert rows['all kept']['disk_gb'] > 0
  with pytest.raises(SystemExit):
    benchmark.main(['studio', f'--video={path}'])
  assert 'text, not a video' in capsys.readouterr().err


@pytest.mark.parametrize('command', ['data', 'inference', 'training'])
def test_help_tells_defaults(capsys, command):
  with pytest.raises(SystemExit) as caught:
    benchmark.main([command, '--help'])
  assert not caught.value.code
  text = capsys.readouterr().out
  assert '(default: ' in text
  for clumsy in ('default: None', 'default: [', 'default: False'):
    assert clumsy not in text


@pytest.mark.parametrize(
  'arguments',
  [
    ('inference', '--frames=0'),
    ('inference', '--width_multiplier=0'),
    ('inference', '--objects=255'),
    ('inference', '--compute_dtype=float16'),
    ('inference', '--scales=9'),
    ('evaluation', '--size=no'),
    ('import', '--file'),
    ('training', '--batch_size=3'),
    ('training', '--batch_size=no'),
    ('training', '--clip_frames=0'),
    ('training', '--recurrence=both'),
  ],
)
def test_bad_arguments_are_refused(capsys, arguments):
  with pytest.raises(SystemExit) as caught:
    benchmark.main(arguments)
  assert caught.value.code == 2
  assert arguments[1][2:].split('=')[0] in capsys.readouterr().err
