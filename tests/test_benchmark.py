"""The benchmark runs and reports what was asked for; no speed is asserted."""

import functools
import json

import jax
import pytest

from savos_jax.evaluation import protocol
from savos_jax.inference import options
from savos_jax.models import savos
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import evaluation
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import training
from savos_jax.training import state as state_lib

TINY = ('--width_multiplier=0.0625', '--decoder_features=8')


def test_inference_reports_setting_and_figures(capsys):
  benchmark.main([
    'inference', '--height=32', '--width=40', '--frames=3',
    '--objects=2', *TINY,
  ])  # fmt: skip
  result = json.loads(capsys.readouterr().out)
  assert (result['height'], result['width'], result['objects']) == (32, 40, 2)
  fastest, median, slowest = (
    result[f'{name}_s_per_frame'] for name in ('fastest', 'median', 'slowest')
  )
  assert 0 <= fastest <= median <= slowest
  assert result['first_frames_with_compilation_s'] > median
  assert 0.05 < result['peak_memory_gib'] < 24
  rate = result['gflop_per_frame'] / median
  assert result['gflop_per_s'] == pytest.approx(rate, rel=0.05)
  assert result['matrix_product_gflop_per_s'] > 0


def test_operations_count_objects_and_scales():
  config = savos.SavosConfig(
    block_counts=(1, 1, 1, 1), width_multiplier=0.0625, decoder_features=8
  )
  model = savos.SAVOS(config)
  params = jax.eval_shape(
    functools.partial(state_lib.init_params, model), jax.random.key(0)
  )
  one, two, scaled = (
    inference._operations(
      model, params, options.InferenceConfig(scales=scales), (64, 96), objects
    )
    for objects, scales in ((1, (1.0,)), (2, (1.0,)), (1, (1.0, 0.5)))
  )
  # The RGB part of the first convolution is shared: 49 * 3 products a pixel
  # and feature, of 49 * 4.
  assert 1.7 * one < two < 2 * one
  assert 1.2 * one < scaled < 1.35 * one


@pytest.mark.usefixtures('library_promotion')
def test_training_step_is_measured():
  config = savos.SavosConfig(
    block_counts=(1, 1, 1, 1), width_multiplier=0.0625, decoder_features=8
  )
  row = training.measure(config, (1, 32, 40), 1, 'detached', False, repeats=2)
  # The state alone: parameters, their average, two moments.
  state = 4 * 4 * parameter_count(config) / 2**30
  assert row.temporary_gib > 0
  assert row.temporary_gib + state < row.total_gib < 1
  assert 0 < row.fastest_s_per_step <= row.median_s_per_step
  assert row.compile_s > row.fastest_s_per_step
  assert row.device_peak_gib is None  # Not known on a CPU.


def parameter_count(config):
  params = jax.eval_shape(
    functools.partial(state_lib.init_params, savos.SAVOS(config)),
    jax.random.key(0),
  )
  return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_training_prints_a_row_for_each_combination(
  capsys, tmp_path, monkeypatch
):
  asked = []

  def measure(config, shape, *rest):
    asked.append((config.decoder_features, shape, *rest))
    return training.Row(*rest[:3], 0.5, 1.5, 20.0, 4.0, 3.0, None)

  monkeypatch.setattr(training, 'measure', measure)
  path = tmp_path / 'figures.json'
  benchmark.main([
    'training', '--height=32', '--width=40', '--batch_size=1',
    '--clip_frames', '1', '3', '--recurrence', 'through_time',
    '--rematerialise', 'on', '--repeats=2', f'--json={path}', *TINY,
  ])  # fmt: skip
  assert asked == [
    (8, (1, 32, 40), 1, 'through_time', True, 2),
    (8, (1, 32, 40), 3, 'through_time', True, 2),
  ]
  header, _, *lines = capsys.readouterr().out.splitlines()
  figures = '0.500 | 1.500 | 20.000 | 4.000 | 3.000 | -'
  assert header.startswith('| clip_frames | recurrence | rematerialise |')
  assert lines == [f'| {t} | through_time | on | {figures} |' for t in (1, 3)]
  result = json.loads(path.read_text())
  assert (result['height'], result['batch_size']) == (32, 1)
  assert result['device']
  assert [row['clip_frames'] for row in result['rows']] == [1, 3]
  assert result['rows'][0]['median_s_per_step'] == 4.0


def test_data_reports_dreams_steps_and_the_pipeline(capsys, davis_folder):
  root = davis_folder(year='2016', splits={'train': 2})
  benchmark.main([
    'data', f'--root={root}', '--frames=2', '--repeats=1', '--examples=6',
  ])  # fmt: skip
  *dreams, pipeline = map(json.loads, capsys.readouterr().out.splitlines())
  assert [(row['size'], row['merge']) for row in dreams] == [
    ('256x512', 'poisson'), ('256x512', 'feather'),
    ('480x854', 'poisson'), ('480x854', 'feather'),
  ]  # fmt: skip
  for row in dreams:
    steps = [row[name] for name in row if name.endswith('_ms')]
    assert len(steps) == 7  # Five steps, the inpainting and the previous mask.
    assert min(steps) >= 0
    assert row['dreams_per_second_and_core'] > 0
  assert pipeline['pipeline_examples_per_second'] > 0
  assert {'clip_ms', 'dream_ms'} & set(pipeline)


SCORED = ('--repeats=1', '--workers=2')
STEPS = ('reading', 'j', 'f')


def test_evaluation_scores_made_up_masks(capsys):
  benchmark.main([
    'evaluation', '--height=48', '--width=80', '--objects=2', '--frames=3',
    *SCORED,
  ])  # fmt: skip
  row = json.loads(capsys.readouterr().out)
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
    row = json.loads(capsys.readouterr().out)
    assert (row['scored_frames'], row['scored_objects']) == (2, objects)


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


def test_one_frame_is_measured_once():
  found = training.combinations(
    [1, 2], ['detached', 'through_time'], ['off', 'on']
  )
  assert found[:2] == [(1, 'detached', 'off'), (1, 'detached', 'on')]
  assert len(found) == len(set(found)) == 6


@pytest.mark.parametrize(
  'arguments',
  [
    ('inference', '--frames=0'),
    ('inference', '--width_multiplier=0'),
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
