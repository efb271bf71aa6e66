"""The program that exports a network."""

import collections
import json
import warnings

import jax
import onnx
import pytest

from configs import default
from savos_jax import evaluate
from savos_jax import network
from savos_jax.foundation import errors
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


def test_tflite(tmp_path, capsys):
  pytest.importorskip('tensorflow')
  checkpoint = written(tmp_path / 'savos.safetensors')
  call = [f'--checkpoint={checkpoint}', f'--out={tmp_path / "out"}']
  call += ['--format=tflite', '--dtype=float16']
  with pytest.raises(SystemExit):
    export.main(call)
  assert '--size=256x448 --objects=1' in capsys.readouterr().err
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Of the interpreter's next home.
    export.main([*call, '--size=64x96', '--objects=2'])
  assert '0 of 12288 pixels' in capsys.readouterr().out
  told = json.loads((tmp_path / 'out' / 'savos.json').read_text())
  assert told['functions']['step']['outputs']['probability'] == {
    'shape': [2, 64, 96], 'dtype': 'float32',
  }  # fmt: skip


@pytest.mark.parametrize(
  ('evaluated', 'flags', 'pixels'),
  [
    ({}, [], 2 * 128 * 224),
    ({'background': 'max'}, ['--objects=1'], 128 * 224),
    ({'aggregation': 'winner_takes_all'}, ['--size=50x70'], 2 * 64 * 96),
    (
      {'zoom': 2.0, 'short_side': 32}, ['--size=50x70', '--dtype=float16'],
      2 * 64 * 96,
    ),
    (
      {'memory_frames': 2}, ['--size=64x96', '--objects=3'], 3 * 64 * 96,
    ),
  ],
)  # fmt: skip
def test_stablehlo_is_all_of_a_step(evaluated, flags, pixels, tmp_path, capsys):
  checkpoint = written(tmp_path / 'savos.safetensors', evaluated)
  out = tmp_path / 'out'
  export.main(
    [f'--checkpoint={checkpoint}', f'--out={out}', '--format=stablehlo', *flags]
  )
  said = capsys.readouterr().out
  assert f'0 of {pixels} pixels' in said
  told = json.loads((out / 'savos.json').read_text())
  inputs = told['functions']['step']['inputs']
  assert ('memory.views.0.keys' in inputs) == ('memory_frames' in evaluated)
  assert set(told['functions']['step']['outputs']) >= {
    'confidence', 'guidance', 'labels',
  }  # fmt: skip
  exported = jax.export.deserialize(bytearray((out / 'step.jax').read_bytes()))
  assert exported.platforms == ('cpu', 'cuda', 'tpu')


@pytest.mark.parametrize(
  ('evaluated', 'flags', 'said'),
  [
    ({'zoom': 2.0}, [], '--size=480x854'),
    ({'memory_frames': 2}, ['--size=64x96'], '--objects is missing'),
  ],
)
def test_stablehlo_that_can_not_be_is_said_first(
  evaluated, flags, said, tmp_path, capsys
):
  checkpoint = written(tmp_path / 'savos.safetensors', evaluated)
  out = tmp_path / 'out'
  with pytest.raises(SystemExit):
    export.main(
      [
        f'--checkpoint={checkpoint}',
        f'--out={out}',
        '--format=stablehlo',
        *flags,
      ]
    )
  assert said in capsys.readouterr().err
  assert not out.exists()


def test_int8(davis_folder, tmp_path, capsys):
  checkpoint = written(tmp_path / 'savos.safetensors')
  out = tmp_path / 'out'
  call = [f'--checkpoint={checkpoint}', f'--out={out}']
  export.main(call)
  call.append('--dtype=int8')
  with pytest.raises(SystemExit):
    export.main(call)
  assert '--calibrate is missing' in capsys.readouterr().err
  export.main([*call, f'--calibrate={davis_folder(splits={"train": 2})}'])
  assert 'largest difference' in capsys.readouterr().out
  # Those of the export before are not left.
  assert not (out / 'weights.safetensors').exists()
  nodes = onnx.load(out / 'step.onnx').graph.node
  kinds = collections.Counter(node.op_type for node in nodes)
  assert kinds['QuantizeLinear'] >= kinds['Conv'] - 2 > 10
  with pytest.raises(SystemExit):
    export.main([*call, '--format=stablehlo'])


def test_an_exported_network_is_evaluated(davis_folder, tmp_path):
  root, out = davis_folder(splits={'val': 1}), tmp_path / 'out'
  checkpoint = written(tmp_path / 'savos.safetensors')
  export.main([f'--checkpoint={checkpoint}', f'--out={out}'])
  config = default.get_config()
  config.data.root, config.data.val_split = str(root), 'val'
  config.eval.strips = config.eval.report = False
  scores = []
  for path in (checkpoint, out):
    config.eval.checkpoint = str(path)
    found = evaluate.evaluate(config, tmp_path / path.stem)
    scores.append(found.j.mean)
    told = json.loads((tmp_path / path.stem / 'results/run.json').read_text())
    assert told['step'] == 7
  assert scores[0] == pytest.approx(scores[1], abs=0.01)
  config.online.steps = 3
  with pytest.raises(errors.SavosError, match='cannot learn'):
    evaluate.evaluate(config, tmp_path / 'other')
