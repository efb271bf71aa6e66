"""The program that exports a network."""

import pytest

from savos_jax import network
from savos_jax.tools import export
from tests import tiny_resnets

MODEL = tiny_resnets.LOOKING_BACK


def written(path, evaluated=None):
  params = tiny_resnets.network_params(MODEL)
  config = {'eval': evaluated or {}}
  network.write(path, network.Trained(MODEL, params, 7, False, config))
  return path


def test_onnx(tmp_path, capsys):
  checkpoint = written(tmp_path / 'savos.safetensors')
  export.main([f'--checkpoint={checkpoint}', f'--out={tmp_path / "out"}'])
  said = capsys.readouterr().out
  for name in ('savos.json', 'reference.onnx', 'step.onnx'):
    assert name in said
  assert 'largest difference in probability' in said
  assert '0 of ' in said
  # Its own results are replaced, others' are not.
  export.main([f'--checkpoint={checkpoint}', f'--out={tmp_path / "out"}'])
  (tmp_path / 'out' / 'step.onnx').write_text('mine')
  with pytest.raises(SystemExit):
    export.main([f'--checkpoint={checkpoint}', f'--out={tmp_path / "out"}'])
  assert (tmp_path / 'out' / 'step.onnx').read_text() == 'mine'


@pytest.mark.parametrize(
  ('flags', 'evaluated', 'said'),
  [
    (['--size=250x448'], {}, 'such as 256x448'),
    ([], {'memory_frames': 3}, 'memory_frames=3'),
  ],
)
def test_what_can_not_be_exported_is_said_first(
  flags, evaluated, said, tmp_path, capsys
):
  checkpoint = written(tmp_path / 'savos.safetensors', evaluated)
  with pytest.raises(SystemExit):
    export.main(
      [f'--checkpoint={checkpoint}', f'--out={tmp_path / "out"}', *flags]
    )
  assert said in capsys.readouterr().err
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('flag', ['--size=256', '--objects=0', '--objects=999'])
def test_flags_are_refused(flag, tmp_path, capsys):
  with pytest.raises(SystemExit):
    export.main([f'--out={tmp_path}', flag])
  assert 'expected' in capsys.readouterr().err
