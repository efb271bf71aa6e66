"""The benchmarks of inference and training; no speed is asserted."""

import dataclasses
import functools
import json

import jax
import pytest

from savos_jax import network
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark import training
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import state as state_lib

pytestmark = pytest.mark.slow

CONFIG = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1), width_multiplier=0.0625, decoder_features=8
)
TINY = ('--width_multiplier=0.0625', '--decoder_features=8')
PEAKS = ('--product_size=64', '--copy_mib=1')
CASE = training.Case(shared.Size(32, 40), 2, 'float32', 1, 'detached', False, 1)


def test_inference_reports_setting_and_figures(tmp_path, capsys):
  path, profiles = tmp_path / 'figures.json', tmp_path / 'profiles'
  benchmark.main([
    'inference', '--size=32x40', '--zoom=0', '--frames=3', '--objects=2',
    f'--json={path}', f'--trace={profiles}', *TINY, *PEAKS,
  ])  # fmt: skip
  result = json.loads(path.read_text())
  assert result['flags']['size'] == ['32x40']
  assert str(tmp_path) not in path.read_text()
  (row,) = result['rows']
  assert (row['size'], row['objects'], row['compute_dtype']) == (
    '32x40', 2, 'float32',
  )  # fmt: skip
  assert 0 < row['fastest_s'] <= row['median_s'] <= row['slowest_s']
  assert row['compile_s'] > 0
  assert 0 < row['temporary_gib'] < row['total_gib'] < 0.1
  assert 0.05 < row['peak_gib'] < 24
  for rate, amount in (('frames_per_s', 1), ('gflop_per_s', row['gflop'])):
    assert row[rate] == pytest.approx(amount / row['median_s'], rel=1e-4)
  limits = {
    'operations': (
      row['gflop'] / result['peaks']['float32_product_gflop_per_s']
    ),
    'bytes': row['gbyte'] / result['peaks']['copy_gb_per_s'],
  }
  assert row['limited_by'] == max(limits, key=limits.get)
  share = max(limits.values()) / row['median_s']
  assert row['share_of_limit'] == pytest.approx(share, rel=1e-4)
  assert 'https://ui.perfetto.dev' in capsys.readouterr().out
  for name in ('*.xplane.pb', 'perfetto_trace.json.gz'):
    assert list((profiles / '32x40_0.0_2_float32').rglob(name))


def test_a_frame_is_compiled_once(monkeypatch, caplog):
  monkeypatch.setattr(inference, 'operations', lambda *_: 1e6)
  case = inference.Case(shared.Size(32, 40), 0.0, 1, 'float32')
  config = options.InferenceConfig(scales=(1.0, 0.5))
  peaks = roofline.Peaks({'float32': 1e9}, 1e9)
  with jax.log_compiles(), caplog.at_level('WARNING'):
    row = inference.measure(CONFIG, config, case, 1, peaks)
  # What the tracker calls is what was compiled ahead of it.
  assert caplog.text.count('Finished XLA compilation of jit(one_step)') == 1
  assert row['gflop'] == 1e-3


def test_operations_count_objects_and_scales():
  model = savos.SAVOS(CONFIG)
  one, two, scaled = (
    inference.operations(
      model, options.InferenceConfig(scales=scales), (64, 96), objects
    )
    for objects, scales in ((1, (1.0,)), (2, (1.0,)), (1, (1.0, 0.5)))
  )
  # The RGB part of the first convolution is shared: 49 * 3 products a pixel
  # and feature, of 49 * 4.
  assert 1.7 * one < two < 2 * one
  assert 1.2 * one < scaled < 1.35 * one


def test_without_flags_as_the_shipped_network_segments():
  arguments = benchmark._parse(['inference'])
  told = network.load('default').config['eval']
  assert arguments.zoom == [told['zoom']]
  assert arguments.short_side == told['short_side']


def test_windows_share_nothing():
  model = savos.SAVOS(CONFIG)
  one, two = (
    inference.operations(
      model, options.InferenceConfig(zoom=2.0), (64, 96), objects
    )
    for objects in (1, 2)
  )
  assert two == pytest.approx(2 * one)


def test_windows_are_measured():
  case = inference.Case(shared.Size(64, 96), 2.0, 2, 'float32')
  config = options.InferenceConfig(short_side=32)
  peaks = roofline.Peaks({'float32': 1e9}, 1e9)
  row = inference.measure(CONFIG, config, case, 1, peaks)
  assert (row['zoom'], row['objects']) == (2.0, 2)
  # What the network sees is a quarter of the frame's pixels.
  whole = inference.operations(
    savos.SAVOS(CONFIG), options.InferenceConfig(), (64, 96), 2
  )
  assert 1e9 * row['gflop'] < whole / 2


def parameter_count():
  params = jax.eval_shape(
    functools.partial(state_lib.init_params, savos.SAVOS(CONFIG)),
    jax.random.key(0),
  )
  return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.usefixtures('library_promotion')
def test_training_step_is_measured_on_all_devices():
  peaks = roofline.Peaks({'float32': 1e9}, 1e9)
  row = training.measure(CONFIG, CASE, 2, peaks)
  # The state alone: parameters, their average, two moments.
  state = 4 * 4 * parameter_count() / 2**30
  assert row['temporary_gib'] > 0
  assert row['temporary_gib'] + state < row['total_gib'] < 1
  assert 0 < row['fastest_s'] <= row['median_s'] <= row['slowest_s']
  assert row['examples_per_s'] == pytest.approx(2 / row['median_s'])
  assert row['examples_per_s_a_device'] == pytest.approx(
    row['examples_per_s'] / jax.device_count()
  )
  # What is computed again, or in parts, is not counted twice.
  again = dataclasses.replace(CASE, rematerialise=True, accumulation=2)
  assert row['gflop'] == training.operations(CONFIG, again) / 1e9
  # Forwards and backwards, of two frames an example.
  one = inference.operations(
    savos.SAVOS(CONFIG), options.InferenceConfig(), (32, 40), 1
  )
  assert 2 * 3 * one < 1e9 * row['gflop'] < 2 * 8 * one
  assert row['share_of_limit'] > 0


@pytest.mark.usefixtures('library_promotion')
def test_the_papers_step_keeps_one_array_a_parameter_besides():
  def kept(preset):
    case = dataclasses.replace(CASE, preset=preset)
    _, state = training._train_step(CONFIG, case, None)
    return sum(leaf.size for leaf in jax.tree.leaves(state))

  assert kept('practical') // parameter_count() == 4
  assert kept('paper') // parameter_count() == 2


def test_too_little_memory_leaves_figures_out(capsys, monkeypatch):
  def compile_step(*_):
    raise jax.errors.JaxRuntimeError(message)

  monkeypatch.setattr(training, 'compile_step', compile_step)
  monkeypatch.setattr(training, 'operations', lambda *_: 2e9)
  message = 'RESOURCE_EXHAUSTED: Out of memory'
  row = training.measure(CONFIG, CASE, 2, roofline.Peaks({'float32': 1.0}, 1.0))
  assert (row['batch_size'], row['median_s'], row['gflop']) == (2, None, 2.0)
  assert row['share_of_limit'] is None
  told = capsys.readouterr().err
  assert told.startswith('32x40_2_float32_1_detached_False_1_practical: ')
  message = 'INTERNAL: something else'
  with pytest.raises(jax.errors.JaxRuntimeError, match='something else'):
    training.measure(CONFIG, CASE, 2)


def test_training_prints_a_row_for_each_combination(
  capsys, tmp_path, monkeypatch
):
  asked = []

  def measure(config, case, repeats, peaks, folder):
    asked.append((config, case, repeats, peaks, folder))
    return common.identity(case) | {'median_s': None}

  monkeypatch.setattr(training, 'measure', measure)
  path = tmp_path / 'figures.json'
  benchmark.main([
    'training', '--size', '32x40', '64x40', '--batch_size=2',
    '--compute_dtype', 'float32', 'bfloat16', '--rematerialise', 'on',
    '--compile_only', f'--json={path}', *TINY,
  ])  # fmt: skip
  assert [(str(case.size), case.compute_dtype) for _, case, *_ in asked] == [
    ('32x40', 'float32'), ('32x40', 'bfloat16'),
    ('64x40', 'float32'), ('64x40', 'bfloat16'),
  ]  # fmt: skip
  for config, case, *rest in asked:
    assert config.compute_dtype == case.compute_dtype
    assert (case.batch_size, case.rematerialise) == (2, True)
    assert rest == [0, None, None]
  lines = capsys.readouterr().out.splitlines()
  assert [line.startswith('| 32x40 |') for line in lines[-4:]] == [
    True, True, False, False,
  ]  # fmt: skip
  assert len(json.loads(path.read_text())['rows']) == 4


def test_parts_and_presets_are_combined():
  arguments = benchmark._parse([
    'training', '--accumulation', '1', '2', '--preset', 'practical', 'paper',
    '--rematerialise', 'off',
  ])  # fmt: skip
  assert [(c.accumulation, c.preset) for c in training.cases(arguments)] == [
    (1, 'practical'), (1, 'paper'), (2, 'practical'), (2, 'paper'),
  ]  # fmt: skip


def test_one_frame_is_measured_once():
  arguments = benchmark._parse([
    'training', '--clip_frames', '1', '2',
    '--recurrence', 'detached', 'through_time',
  ])  # fmt: skip
  found = training.cases(arguments)
  assert [
    (case.clip_frames, case.recurrence, case.rematerialise) for case in found
  ] == [
    (1, 'detached', False), (1, 'detached', True),
    (2, 'detached', False), (2, 'detached', True),
    (2, 'through_time', False), (2, 'through_time', True),
  ]  # fmt: skip


def test_a_profile_needs_a_folder(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  with pytest.raises(errors.SavosError, match='another --trace'):
    common.make_trace_folder(tmp_path / 'file' / 'profiles')
