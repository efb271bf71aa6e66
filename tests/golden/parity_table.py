"""How far the Flax network is from the golden arrays; needs no torch.

  python tests/golden/parity_table.py

prints every measured error beside its bound, as a Markdown table.
`tests/test_parity.py` measures with the same functions.
"""

from collections.abc import Mapping
import functools
import pathlib
import sys
from typing import Any

from flax import traverse_util
import jax
import numpy as np
import optax

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import network_cases
import network_weights

from savos_jax.configs import default
from savos_jax.models import resnet
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.training import losses
from savos_jax.training import optimizer as optimizer_lib


@functools.partial(jax.jit, static_argnums=0)
def _stages(config: savos_config.SavosConfig, params: Any, x: jax.Array):
  encoder = resnet.ResNet(
    block_counts=config.block_counts,
    width_multiplier=config.width_multiplier,
    stride_variant=config.stride_variant,
    stem_features=config.stem_features,
    stem_pool_padding=config.stem_pool_padding,
  )
  return encoder.apply({'params': params['encoder']}, x[..., :3], x[..., 3:])


def _apply(
  config: savos_config.SavosConfig, params: Any, example: Mapping[str, Any]
):
  arguments = {k: v for k, v in example.items() if k != 'truth'}
  return savos.SAVOS(config).apply({'params': params}, **arguments)


_logits = jax.jit(_apply, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def _loss_and_gradients(config: savos_config.SavosConfig, params: Any, example):
  def loss(params):
    logits = _apply(config, params, example)
    margins = losses.margins_of(logits)
    return losses.cross_entropy(margins, example['truth'], 'mean').mean()

  return jax.value_and_grad(loss)(params)


def _in_torch_layout(tree: Any, names: tuple[str, ...]) -> dict[str, Any]:
  flat = traverse_util.flatten_dict(tree)
  return {
    name: network_weights.torch_layout(flat[network_weights.flax_path(name)])
    for name in names
  }


def _sgd(case: network_cases.Case, params: Any, example) -> dict[str, Any]:
  train = default.get_config().train
  train.update(
    optimizer='sgd',
    schedule='constant',
    learning_rate=network_cases.LEARNING_RATE,
    momentum=network_cases.MOMENTUM,
    weight_decay=case.weight_decay,
    clip_norm=0.0,
    freeze_batch_norm=True,
    warmup_steps=0,
    steps=network_cases.STEPS,
  )
  optimizer = optimizer_lib.make_optimizer(train, params, pretrained=True)

  @jax.jit
  def update(gradients, state, params):
    # Optax counts on JAX's usual promotion, that the tests switch off.
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(gradients, state, params)
      return optax.apply_updates(params, updates), state

  start, state, series = params, optimizer.init(params), []
  for _ in range(network_cases.STEPS):
    loss, gradients = _loss_and_gradients(case.config, params, example)
    params, state = update(gradients, state, params)
    series.append(loss)
  moved = jax.tree.map(np.subtract, jax.device_get(params), start)
  return {
    'losses': np.array(jax.device_get(series)),
    **_in_torch_layout(moved, network_cases.MOVED),
  }


def evaluate(
  case: network_cases.Case,
  params: Any = None,
  example: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
  """Computes in Flax what the golden arrays hold.

  Args:
    case: any, of `network_cases.CASES` or not.
    params: other parameters than the case's own.
    example: another input than the case's own; not for 'stages'.

  Returns:
    As `make_network_arrays.evaluate`.
  """
  if params is None:
    state = network_weights.torch_state(case.config, case.seed)
    params = network_weights.flax_params(case.config, state)
  example = network_cases.inputs(case) if example is None else example
  with jax.default_matmul_precision('highest'):
    if case.kind == 'stages':
      x = network_cases.stage_input(case)
      return network_cases.sampled(_stages(case.config, params, x))
    if case.kind == 'logits':
      return {'logits': np.asarray(_logits(case.config, params, example))}
    if case.kind == 'gradients':
      _, gradients = _loss_and_gradients(case.config, params, example)
      return _in_torch_layout(gradients, network_cases.GRADIENTS)
    return _sgd(case, params, example)


def measure(case: network_cases.Case) -> list[network_cases.Difference]:
  """Compares the Flax network with the golden arrays of a case."""
  return network_cases.differences(
    case.kind, evaluate(case), network_cases.load(case)
  )


def table() -> str:
  """Returns all measured errors as a Markdown table."""
  lines = [
    '| case | quantity | error | bound | PyTorch float32 against float64 |',
    '| --- | --- | --- | --- | --- |',
  ]
  for case in network_cases.CASES:
    rounding = network_cases.load(case, 'rounding')
    for found in measure(case):
      # Shapes are equal or not: no figure.
      if not found.quantity.endswith('shape'):
        lines.append(
          f'| {case.kind}: {case.name} | {found.quantity} | {found.error:.1e} '
          f'| {found.bound:.0e} | {rounding[found.quantity]:.1e} |'
        )
  return '\n'.join(lines)


if __name__ == '__main__':
  print(table())
