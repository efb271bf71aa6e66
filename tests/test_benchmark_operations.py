"""Operations of a frame: what they are told to compute, and the table."""

import json

import jax
import jax.numpy as jnp
import pytest

from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.tools.benchmark import instructions
from savos_jax.tools.benchmark import operations


def compiled(function, *shapes):
  structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  text = jax.jit(function).lower(*structs).compile().as_text()
  return instructions.read(text).values()


def convolve(x, kernel):
  layout = ('NHWC', 'HWIO', 'NHWC')
  return jax.lax.conv_general_dilated(
    x, kernel, (2, 2), 'SAME', dimension_numbers=layout
  )


@pytest.mark.parametrize(
  ('function', 'shapes', 'result', 'flops'),
  [
    (jnp.matmul, ((96, 32), (32, 64)), (96, 64), 2 * 96 * 32 * 64),
    (jnp.matmul, ((4, 9, 8), (4, 8, 7)), (4, 9, 7), 2 * 4 * 9 * 8 * 7),
    (convolve, ((1, 8, 6, 5), (3, 3, 5, 16)), (1, 4, 3, 16), 2 * 192 * 45),
  ],
)
def test_products_are_counted(function, shapes, result, flops):
  found = compiled(function, *shapes)
  assert max(one.flops for one in found) == flops
  (one,) = {one for one in found if one.flops and one.result == result}
  assert one.flops == flops


def test_bytes_are_what_is_read_and_written():
  found = compiled(lambda x, y: x * jnp.exp(y), (1000,), (1000,))
  assert max(one.bytes for one in found) == 3 * 4 * 1000
  assert not any(one.flops for one in found)


def test_an_operation_has_its_layer():
  text = """
HloModule jit_one_step

%fused (a: f32[2,8], b: f32[8,4]) -> f32[2,4] {
  %a = f32[2,8]{1,0} parameter(0)
  %b = f32[8,4]{1,0} parameter(1)
  ROOT %d = f32[2,4]{1,0} dot(%a, %b), lhs_contracting_dims={1}
}

ENTRY %main (x: f32[2,8], w: f32[8,4]) -> f32[2,4] {
  %x = f32[2,8]{1,0} parameter(0)
  %w = f32[8,4]{1,0} parameter(1)
  ROOT %f = f32[2,4]{1,0} fusion(%x, %w), kind=kCustom, calls=%fused, \
metadata={op_name="jit(one_step)/SAVOS.decode_finely/decoder.fine/conv1/cond/\
branch_0_fun/while/body/closed_call/ptc,pcf->ptf/dot_general" id=7}
}
"""
  assert instructions.read(text)['f'] == instructions.Instruction(
    'decoder/conv1', 'dot_general', (2, 4), 128.0, 4.0 * (16 + 32 + 8)
  )


def test_the_fewest_seconds_are_of_a_frame():
  calls = {'twice': [3.0, 1.0, 2.0, 4.0], 'sometimes': [1.0]}
  assert operations._fewest(calls, 2) == {'twice': 4.0}


def test_the_table(tmp_path):
  path = tmp_path / 'figures.json'
  benchmark.main([
    'operations', '--size=64x96', '--zoom=0', '--max_size=0', '--frames=2',
    '--top=1000', '--product_size=64', '--copy_mib=1', f'--json={path}',
  ])  # fmt: skip
  rows = json.loads(path.read_text())['rows']
  gflop = {}
  for runtime in ('jax', 'onnx'):
    own = [row for row in rows if row['runtime'] == runtime]
    times = [row['ms'] for row in own]
    assert times == sorted(times, reverse=True)
    assert sum(row['share_of_frame'] for row in own) == pytest.approx(
      1, rel=1e-4
    )
    assert all(row['share_of_limit'] >= 0 for row in own)
    gflop[runtime] = sum(
      row['gflop']
      for row in own
      if row['layer'] == 'decoder/attention_res3/conv1'
    )
  # 8x12 pixels, 128 features, nine positions of 256 channels.
  counted = 2e-9 * 8 * 12 * 128 * 9 * 256
  assert gflop == pytest.approx({'jax': counted, 'onnx': counted}, rel=1e-3)
