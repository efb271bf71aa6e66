"""The limit of a program: arithmetic, and what is counted."""

import jax
import jax.numpy as jnp
import pytest

from savos_jax.models import convolutions
from savos_jax.tools.benchmark import program
from savos_jax.tools.benchmark import roofline

# 100 operations and 10 bytes a second; half as many in bfloat16.
PEAKS = roofline.Peaks({'float32': 100.0, 'bfloat16': 50.0}, 10.0)


@pytest.mark.parametrize(
  ('flops', 'accessed', 'expected'),
  [
    (400.0, 10.0, (4.0, 'operations')),
    (400.0, 80.0, (8.0, 'bytes')),
    (400.0, None, (4.0, 'operations')),
    (None, 80.0, (None, None)),
  ],
)
def test_limit(flops, accessed, expected):
  found = roofline.limit_seconds(flops, accessed, PEAKS, 'float32')
  assert found == expected


def test_bfloat16_is_never_slower_than_widened():
  assert PEAKS.best_flops('bfloat16') == 100
  fast = roofline.Peaks({'float32': 100.0, 'bfloat16': 200.0}, 10.0)
  assert fast.best_flops('bfloat16') == 200
  assert fast.best_flops('float32') == 100


def test_columns_are_none_where_nothing_ran():
  found = roofline.columns(None, 4e9, 1e9, None, 'float32')
  assert found == {
    'gflop': 4.0, 'gbyte': 1.0, 'gflop_per_s': None, 'share_of_limit': None,
    'limited_by': None,
  }  # fmt: skip
  assert not any(roofline.columns(8.0, None, None, PEAKS, 'float32').values())


@pytest.mark.parametrize(
  ('backend', 'accessed', 'share', 'bound'),
  [
    # 4 s of operations in 8 s.
    ('cpu', 10.0, 0.5, 'operations'),
    # The operations are shared by two devices.
    ('gpu', 10.0, 0.25, 'operations'),
    # 6 s on each device, which on a CPU follow each other.
    ('gpu', 60.0, 0.75, 'bytes'),
    ('cpu', 60.0, 1.5, 'bytes'),
  ],
)
def test_devices_share_the_work(monkeypatch, backend, accessed, share, bound):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  found = roofline.columns(8.0, 400.0, accessed, PEAKS, 'float32', devices=2)
  assert (found['share_of_limit'], found['limited_by']) == (share, bound)
  assert found['gbyte'] == pytest.approx(2e-9 * accessed)


def shaped(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_operations_are_those_counted_by_hand():
  product = program.operations(jnp.matmul, shaped(5, 7), shaped(7, 11))
  assert product == 2 * 5 * 7 * 11

  def convolve(x, kernel):
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  found = program.operations(convolve, shaped(2, 10, 9, 4), shaped(3, 3, 4, 6))
  assert found == 2 * (2 * 8 * 7) * (3 * 3 * 4) * 6


def test_operations_of_winograds_filtering_are_the_plain_ones():
  height, width, channels = 120, 140, 128
  found = program.operations(
    convolutions.convolve_3x3,
    shaped(1, height, width, channels),
    shaped(3, 3, channels, channels),
  )
  # Products with the zeros beyond the border are not counted.
  inside = (3 * height - 2) * (3 * width - 2)
  assert found == 2 * inside * channels**2


def test_a_program_tells_its_bytes_and_memory():
  compiled = jax.jit(jnp.negative).lower(shaped(1000)).compile()
  assert program.bytes_accessed(compiled) == 8000
  memory = program.memory_gib(compiled)
  assert memory['temporary_gib'] == 0
  assert memory['total_gib'] == pytest.approx(8000 / 2**30)


class Silent:
  """A compiled program of a backend that tells nothing."""

  def __init__(self, costs):
    self._costs = costs

  def cost_analysis(self):
    return self._costs

  def memory_analysis(self):
    return None


@pytest.mark.parametrize('costs', [None, {}, {'bytes accessed': -1.0}])
def test_what_a_compiler_does_not_tell_is_none(costs):
  assert program.bytes_accessed(Silent(costs)) is None
  assert set(program.memory_gib(Silent(costs)).values()) == {None}


def test_peaks_are_measured():
  peaks = roofline.measure(['bfloat16'], product_size=32, copy_mib=1)
  assert list(peaks.flops) == ['float32', 'bfloat16']
  assert min(*peaks.flops.values(), peaks.bytes) > 0
  assert set(peaks.block()) == {
    'float32_product_gflop_per_s', 'bfloat16_product_gflop_per_s',
    'copy_gb_per_s',
  }  # fmt: skip
