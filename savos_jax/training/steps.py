"""One training step: a pure function that the caller jits."""

from collections.abc import Mapping
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from savos_jax import objective as objective_lib
from savos_jax.models import savos
from savos_jax.training import accumulation
from savos_jax.training import recurrence
from savos_jax.training import sharding
from savos_jax.training import state as state_lib


def _ema_decay(step: jax.Array | np.ndarray, decay: float) -> jax.Array:
  """Averages over fewer steps at first, to forget the initial values."""
  step = step.astype(jnp.float32)
  return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def train_step(
  state: state_lib.TrainState,
  batch: Mapping[str, jax.Array],
  factor: jax.Array | None = None,
  *,
  model: savos.SAVOS,
  optimizer: optax.GradientTransformation,
  objective: objective_lib.Objective,
  ema_decay: float,
  mesh: jax.sharding.Mesh | None = None,
  parts: int = 1,
) -> tuple[state_lib.TrainState, dict[str, jax.Array]]:
  """Takes one step.

  Args:
    state: before the step.
    batch: uint8 arrays from `data.pipeline`, frames [B, T, H, W, 3].
    factor: of the learning rate, for schedules over time; a scalar, or None
      for 1.
    model: the network.
    optimizer: the optimiser.
    objective: the loss to minimise.
    ema_decay: largest decay of the averaged parameters; 0: no averaging.
    mesh: devices that share the batch; None for a single one.
    parts: number of parts that each device's share is split into.

  Returns:
    The state after the step, and scalar metrics of the state before it: those
    of `recurrence.gradients`, and `gradient_norm`.
  """
  take = functools.partial(
    recurrence.gradients, model=model, objective=objective
  )
  take = accumulation.in_parts(take, parts)
  if mesh is not None:
    take = sharding.over_devices(take, mesh)
  gradients, metrics = take(state.params, batch)
  updates, opt_state = optimizer.update(
    gradients, state.opt_state, state.params
  )
  if factor is not None:
    # Multiplying by the rate is the last thing an optimiser does.
    updates = jax.tree.map(lambda update: factor * update, updates)
  params = optax.apply_updates(state.params, updates)
  ema_params = state.ema_params
  if ema_decay:
    decay = _ema_decay(state.step, ema_decay)
    ema_params = jax.tree.map(
      lambda average, new: decay * average + (1.0 - decay) * new,
      ema_params,
      params,
    )
  metrics['gradient_norm'] = optax.tree.norm(gradients)
  return (
    state_lib.TrainState(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      ema_params=ema_params,
    ),
    metrics,
  )
