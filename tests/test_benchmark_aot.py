"""Programs for TPUs that are not here; the compiling needs libtpu."""

import dataclasses
import importlib.util
import math

import jax
import pytest

from savos_jax.foundation import errors
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import aot
from savos_jax.tools.benchmark import gpus
from savos_jax.tools.benchmark import hlo
from savos_jax.tools.benchmark import training
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import state as state_lib

CONFIG = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1), width_multiplier=0.0625, decoder_features=8
)
_HLO = """
ENTRY %main {
  %a = f32[2,3]{1,0} parameter(0)
  %b = (f32[4]{0}, bf16[2,2]{1,0}) all-reduce(f32[4]{0} %x, bf16[2,2] %y)
  %c = (f32[8]{0}, /*index=1*/f32[8]{0}) all-reduce-start(f32[8]{0} %z)
  %d = f32[8]{0} all-reduce-done(%c)
  %e = u32[] all-gather(u32[] %w), dimensions={0}
  %f = f32[2,3]{1,0} add(%a, %a), metadata={op_name="all-reduce"}
}
"""

needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None,
  reason="needs the TPU compiler: pip install -e '.[aot]'",
)
needs_cuda_compiler = pytest.mark.skipif(
  importlib.util.find_spec('jax_cuda12_plugin') is None,
  reason='needs the compiler for GPUs: jax-cuda12-plugin, jax-cuda12-pjrt',
)


def test_collectives_are_counted_once_each():
  assert hlo.collectives(_HLO) == {
    'all-reduce': (2, 4 * 4 + 4 * 2 + 8 * 4),
    'all-gather': (1, 4),
  }
  assert not hlo.collectives('%a = f32[2] add(%b, %c)')


_CYCLES = """
%fused (a: f32[2]) -> f32[2] {
  ROOT %b = f32[2] add(%a, %a), backend_config={"estimated_cycles":"1000"}
}
ENTRY %main (a: f32[2]) -> f32[2] {
  %c = f32[2] fusion(%a), calls=%fused, backend_config={"estimated_cycles":"40"}
  %d = f32[2] add(%c, %c), backend_config={"w":{"estimated_cycles":"7"}}
}
"""


def test_cycles_are_those_of_what_the_program_calls():
  assert hlo.cycles(_CYCLES) == 47
  assert hlo.cycles(_HLO) is None
  # How often the loop's body runs is not known.
  assert hlo.cycles(_CYCLES.replace(' add(%c', ' while(%c')) is None


@pytest.mark.parametrize('topology', ['v5e', 'v5e:', 'v99:2x2', 'v5e:3x5'])
def test_unknown_topologies_are_explained(topology, capsys):
  with pytest.raises(SystemExit, match='2'):
    benchmark.main(['aot', f'--topology={topology}'])
  error = capsys.readouterr().err
  assert f'--topology {topology}: ' in error
  assert 'v5e:2x4' in error
  assert 'Traceback' not in error


@needs_libtpu
@pytest.mark.usefixtures('library_promotion')
def test_tiny_network_is_compiled_for_a_slice():
  case = aot.Case(
    'training', 'v5e:1x1', shared.Size(64, 96), 'float32', False, 2
  )
  alone = aot.measure(CONFIG, case, 1, None)
  case = dataclasses.replace(case, topology='v5e:2x4')
  slice_ = aot.measure(CONFIG, case, 1, alone['per_s'])
  assert alone['collectives'] == 'none'
  # The gradients and metrics of all chips in one reduction.
  shapes = jax.tree.leaves(state_lib.param_shapes(savos.SAVOS(CONFIG)))
  parameters = sum(math.prod(leaf.shape) for leaf in shapes)
  count, kind, megabytes, _ = slice_['collectives'].split()
  assert (count, kind) == ('1', 'all-reduce')
  assert float(megabytes) == pytest.approx(4 * parameters / 1e6, rel=0.02)
  assert (alone['chips'], slice_['chips']) == (1, 8)
  for row in alone, slice_:
    assert 0 < row['temporary_gib'] <= row['total_gib'] < row['memory_gib']
    assert row['compute_s'] > 0
  assert alone['collective_s'] == 0 < slice_['collective_s']
  assert alone['efficiency'] == 1
  assert 0.1 < slice_['efficiency'] < 1
  # A chip's work does not depend on how many there are.
  assert slice_['gflop'] == pytest.approx(alone['gflop'], rel=0.05)


@needs_libtpu
def test_what_does_not_fit_is_said(capsys):
  benchmark.main([
    'aot', '--topology=v5e:1x1', '--size=480x854', '--batch_size=4096',
    '--program=inference', '--width_multiplier=0.0625', '--decoder_features=8',
  ])  # fmt: skip
  assert 'does not fit' in capsys.readouterr().out


@needs_libtpu
def test_chips_of_a_topology():
  assert len(aot.find_chips('v5e:1x1')) == 1
  assert len(aot.find_chips('v5e:4x4')) == 16
  with pytest.raises(errors.SavosError, match='v5e:7x9'):
    aot.find_chips('v5e:7x9')


def test_a_card_without_its_compiler_is_explained(monkeypatch, capsys):
  monkeypatch.setattr(gpus.importlib.util, 'find_spec', lambda _: None)
  with pytest.raises(SystemExit, match='2'):
    benchmark.main(['aot', '--topology=rtx_2080_ti'])
  error = capsys.readouterr().err
  assert '--topology rtx_2080_ti: ' in error
  assert f'jax-cuda12-plugin=={jax.__version__}' in error


def test_parts_must_be_equal():
  with pytest.raises(errors.SavosError, match='multiples of 4'):
    training.check(
      training.Case(shared.Size(64, 96), 2, 'float32', 1, 'detached', False, 4),
      1,
    )


@needs_cuda_compiler
@pytest.mark.usefixtures('library_promotion')
@pytest.mark.parametrize('card', gpus.CARDS)
def test_tiny_network_is_compiled_for_a_card(card):
  case = aot.Case(
    'training', card, shared.Size(64, 96), 'float32', False, 2, 2, 'paper'
  )
  row = aot.measure(CONFIG, case, 1, None)
  assert (row['chips'], row['collectives']) == (1, 'none')
  assert 0 < row['temporary_gib'] < row['total_gib'] < row['memory_gib']
  # What is not known is not 0.
  assert row['gflop'] is row['gbyte'] is row['compute_s'] is None
