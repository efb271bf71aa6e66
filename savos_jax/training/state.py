"""The state that training carries from step to step."""

import dataclasses
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from savos_jax.models import savos
from savos_jax.models import savos_config


@struct.dataclass
class TrainState:
  """The contents of a checkpoint.

  Attributes:
    step: steps taken, int32 scalar.
    params: the network's parameters.
    opt_state: the optimiser's state.
    ema_params: averaged parameters; {} if averaging is off.
  """

  step: jax.Array | np.ndarray
  params: Any
  opt_state: Any
  ema_params: Any

  @property
  def best_params(self) -> Any:
    """The averaged parameters, if there are any, else `params`."""
    return self.ema_params or self.params


def init_params(model: savos.SAVOS, key: jax.Array) -> Any:
  """Draws initial parameters; no shape depends on the image size."""
  side = savos_config.SIZE_MULTIPLE
  frame = jnp.zeros((1, side, side, 3))
  mask = frame[..., 0]
  return model.init(key, frame, mask, frame, mask)['params']


def param_shapes(model: savos.SAVOS) -> Any:
  """Returns the shapes of the parameters without drawing any."""
  return jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))


def start_from(state: TrainState, params: Any) -> TrainState:
  """Returns the state at step 0 with other parameters, also as the average.

  Args:
    state: from `create`.
    params: like `state.params`, from a file.
  """
  # Copied, because a training step donates the arrays of its state.
  return dataclasses.replace(
    state,
    params=jax.tree.map(jnp.array, params),
    ema_params=jax.tree.map(jnp.array, params) if state.ema_params else {},
  )


def create(
  model: savos.SAVOS,
  key: jax.Array,
  optimizer: optax.GradientTransformation,
  use_ema: bool,
) -> TrainState:
  """Makes the state at step 0.

  Args:
    model: the network.
    key: of the initial parameters.
    optimizer: the optimiser.
    use_ema: whether to keep averaged parameters.

  Returns:
    The state.
  """
  params = init_params(model, key)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=optimizer.init(params),
    ema_params=jax.tree.map(jnp.copy, params) if use_ema else {},
  )
