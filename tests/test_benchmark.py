"""The benchmark runs and reports what was asked for; no speed is asserted."""

import json
import sys

import pytest

from savos_jax.tools import benchmark


def run(monkeypatch, capsys, *arguments):
  monkeypatch.setattr(sys, 'argv', ['benchmark', *arguments])
  benchmark.main()
  return json.loads(capsys.readouterr().out)


def test_inference_reports_setting_and_figures(monkeypatch, capsys):
  result = run(
    monkeypatch, capsys, 'inference', '--height=32', '--width=40',
    '--frames=3', '--objects=2', '--width_multiplier=0.0625',
    '--decoder_features=8',
  )  # fmt: skip
  assert (result['height'], result['width'], result['objects']) == (32, 40, 2)
  fastest, median, slowest = (
    result[f'{name}_s_per_frame'] for name in ('fastest', 'median', 'slowest')
  )
  assert 0 <= fastest <= median <= slowest
  assert result['first_frames_with_compilation_s'] > median
  assert 0.05 < result['peak_memory_gib'] < 24


@pytest.mark.parametrize('argument', ['--frames=0', '--width_multiplier=0'])
def test_bad_arguments_are_refused(monkeypatch, capsys, argument):
  monkeypatch.setattr(sys, 'argv', ['benchmark', 'inference', argument])
  with pytest.raises(SystemExit):
    benchmark.main()
  assert argument[2:].split('=')[0] in capsys.readouterr().err
