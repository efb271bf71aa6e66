"""The Flax network equals an independent PyTorch one, number for number.

Against golden arrays, for which no torch is needed; where torch is installed,
also against the PyTorch definition itself, on weights and sizes that no golden
array has.
"""

import dataclasses
import pathlib
import sys

import jax
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'golden'))
import network_cases
import network_weights
import parity_table

_OTHER_SEED = 11


def _name(case):
  return f'{case.kind}: {case.name}'


every_case = pytest.mark.parametrize('case', network_cases.CASES, ids=_name)


def over_bound(kind, found, wanted):
  """Describes what differs too much; NaN does."""
  return [
    str(difference)
    for difference in network_cases.differences(kind, found, wanted)
    if not difference.error < difference.bound
  ]


def worst(case, found):
  """The largest error against the golden arrays, as a multiple of its bound."""
  differences = network_cases.differences(
    case.kind, found, network_cases.load(case)
  )
  return max(d.error / d.bound for d in differences)


def params_of(case, **changes):
  state = network_weights.torch_state(case.config, case.seed)
  return network_weights.flax_params(case.config, state, **changes)


@every_case
def test_flax_gives_the_golden_arrays(case):
  found = parity_table.evaluate(case)
  assert not over_bound(case.kind, found, network_cases.load(case))


def test_weights_are_those_of_the_golden_arrays():
  # Should NumPy ever draw other numbers, this tells it from a wrong network.
  for case in network_cases.CASES:
    if case.config.width_multiplier < 0.5:
      state = network_weights.torch_state(case.config, case.seed)
      stored = network_cases.load(case, 'weights')
      assert network_weights.fingerprint(state) == stored['fingerprint']


@pytest.mark.parametrize(
  'change', [{'stem_pool_padding': (1, 1)}, {'stride_variant': 'v1.5'}]
)
def test_a_shifted_pixel_breaks_the_bound(change):
  case = network_cases.case_of('stages', 'narrow, v1')
  config = dataclasses.replace(case.config, **change)
  found = parity_table.evaluate(dataclasses.replace(case, config=config))
  # Only values can differ: v1 and v1.5, (0, 1) and (1, 1) give equal shapes.
  assert worst(case, found) > 1000


def test_frames_that_changed_places_break_the_bound():
  case = network_cases.case_of('logits', 'narrow')
  example = network_cases.inputs(case)
  example['frame'], example['reference_frame'] = (
    example['reference_frame'], example['frame'],
  )  # fmt: skip
  assert worst(case, parity_table.evaluate(case, example=example)) > 1000


def test_another_epsilon_of_batch_norm_breaks_the_bound():
  case = network_cases.case_of('logits', 'narrow')
  params = params_of(case, batch_norm_epsilon=2e-4)
  assert worst(case, parity_table.evaluate(case, params)) > 1


def test_reversed_colours_break_the_bound():
  case = network_cases.case_of('logits', 'narrow')
  params = params_of(case)
  kernel = params['encoder']['conv1']['kernel']
  params['encoder']['conv1']['kernel'] = kernel[:, :, [2, 1, 0, 3]]
  assert worst(case, parity_table.evaluate(case, params)) > 1000


def test_weights_that_do_not_decay_break_the_bound():
  decayed = network_cases.case_of('sgd', 'weight decay')
  plain = network_cases.load(network_cases.case_of('sgd', 'plain'))
  assert worst(decayed, plain) > 10


def test_a_wrong_shape_or_no_number_breaks_the_bound():
  case = network_cases.case_of('logits', 'narrow')
  golden = network_cases.load(case)
  for wrong in (golden['logits'][:1], golden['logits'] * np.nan):
    assert over_bound('logits', {'logits': wrong}, golden)
  with pytest.raises(ValueError, match='logits'):
    network_cases.differences('logits', {}, golden)


@pytest.fixture
def torch_side():
  """The PyTorch definition; skips the test where torch is missing."""
  pytest.importorskip('torch', reason='torch is not installed')
  import make_network_arrays

  return make_network_arrays


@every_case
def test_torch_gives_the_golden_arrays_live(torch_side, case):
  found = torch_side.evaluate(case)
  assert not over_bound(case.kind, found, network_cases.load(case))


@pytest.mark.parametrize(
  ('kind', 'name', 'size'),
  [
    ('stages', 'narrow, v1', (96, 64)),
    ('logits', 'narrow', (131, 97)),
    ('gradients', 'narrow', (128, 128)),
  ],
)
def test_flax_equals_torch_on_other_weights_live(torch_side, kind, name, size):
  golden = network_cases.case_of(kind, name)
  case = dataclasses.replace(golden, seed=_OTHER_SEED, size=size)
  wanted = torch_side.evaluate(case)
  assert not over_bound(kind, parity_table.evaluate(case), wanted)


def test_torch_has_the_parameters_of_flax_and_no_more_live(torch_side):
  for case in network_cases.CASES:
    network = torch_side.torch_savos.Savos(case.config)
    # Four numbers a channel in a BatchNorm, of which two remain; the counter.
    state = {
      name: tensor.numel()
      for name, tensor in network.state_dict().items()
      if not name.endswith(
        ('running_mean', 'running_var', 'num_batches_tracked')
      )
    }
    shapes = jax.eval_shape(
      parity_table.savos.SAVOS(case.config).init,
      jax.random.key(0),
      *(
        jax.ShapeDtypeStruct((1, 64, 64, *rest), np.float32)
        for rest in ((3,), (), (3,), ())
      ),
    )
    assert sum(state.values()) == sum(s.size for s in jax.tree.leaves(shapes))
