"""One training step: pure, jitted and donated by the caller."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from savos_jax.models import savos
from savos_jax.training import losses
from savos_jax.training import state as state_lib


def to_float(batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
  """Turns the pipeline's uint8 into float32: images and masks in [0, 1]."""
  return {
    'reference_frame': batch['reference_frame'].astype(jnp.float32) / 255.0,
    'reference_mask': batch['reference_mask'].astype(jnp.float32),
    'frame': batch['frame'].astype(jnp.float32) / 255.0,
    'mask': batch['mask'].astype(jnp.float32),
    'guidance': batch['guidance'].astype(jnp.float32) / 255.0,
  }


def _ema_decay(step: jax.Array, decay: float) -> jax.Array:
  """Averages over fewer steps at first, so that the start is forgotten."""
  step = step.astype(jnp.float32)
  return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def train_step(
  state: state_lib.TrainState,
  batch: Mapping[str, jax.Array],
  *,
  model: savos.SAVOS,
  optimizer: optax.GradientTransformation,
  loss_reduction: str,
  soft_iou_weight: float,
  ema_decay: float,
) -> tuple[state_lib.TrainState, dict[str, jax.Array]]:
  """Takes one step.

  Args:
    state: before the step.
    batch: uint8 arrays from `data.pipeline`.
    model: the network.
    optimizer: the optimiser.
    loss_reduction: see `losses.cross_entropy`.
    soft_iou_weight: of `losses.soft_iou_loss`, 0 leaves it out.
    ema_decay: largest decay of the averaged parameters, 0 for none.

  Returns:
    The state after the step and scalar metrics of the state before it.
  """
  arrays = to_float(batch)

  def loss_function(params):
    logits = model.apply(
      {'params': params},
      arrays['reference_frame'],
      arrays['reference_mask'],
      arrays['frame'],
      arrays['guidance'],
    )
    loss = losses.cross_entropy(logits, arrays['mask'], loss_reduction)
    if soft_iou_weight:
      loss += soft_iou_weight * losses.soft_iou_loss(logits, arrays['mask'])
    return loss, losses.iou(logits, arrays['mask'])

  (loss, iou), gradients = jax.value_and_grad(loss_function, has_aux=True)(
    state.params
  )
  updates, opt_state = optimizer.update(
    gradients, state.opt_state, state.params
  )
  params = optax.apply_updates(state.params, updates)
  ema_params = state.ema_params
  if ema_decay:
    decay = _ema_decay(state.step, ema_decay)
    ema_params = jax.tree.map(
      lambda average, new: decay * average + (1.0 - decay) * new,
      ema_params,
      params,
    )
  metrics = {
    'loss': loss,
    'iou': iou,
    'gradient_norm': optax.tree.norm(gradients),
  }
  return (
    state_lib.TrainState(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      ema_params=ema_params,
    ),
    metrics,
  )
