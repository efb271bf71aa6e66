"""Loss and gradients of a clip: each frame's prediction guides the next.

The frames are unrolled: on a CPU XLA runs convolutions inside a loop at less
than half the speed. What bounds the memory is the order of the computation,
and XLA knows it only from the data: it drops optimisation barriers there, and
merges what `jax.checkpoint` repeats with the first computation of the same.
`zero_after` makes the order part of the data.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from savos_jax.models import savos
from savos_jax.training import losses

RECURRENCES = ('detached', 'through_time')


@dataclasses.dataclass(frozen=True)
class Objective:
  """What a step minimises, and how the gradient of a clip is taken.

  Attributes:
    loss_reduction: see `losses.cross_entropy`.
    soft_iou_weight: of `losses.soft_iou_loss`, 0 leaves it out.
    recurrence: 'detached': no gradient flows into the guidance, so that a
      frame's activations are free before the next frame; 'through_time': the
      gradient passes all frames, whose activations are kept.
    rematerialise: the reference's activations, and in 'through_time' those of
      all frames but the last, are computed a second time instead of kept.
    teacher_forcing_iou: an example whose IoU in a frame is below it gets the
      true mask as the guidance of the next frame; 0 turns it off.
  """

  loss_reduction: str = 'mean'
  soft_iou_weight: float = 0.0
  recurrence: str = 'detached'
  rematerialise: bool = False
  teacher_forcing_iou: float = 0.0


def gradients(
  params: Any,
  batch: Mapping[str, jax.Array],
  *,
  model: savos.SAVOS,
  objective: Objective,
) -> tuple[Any, dict[str, jax.Array]]:
  """Takes the gradient of the loss, the mean over the frames of the clips.

  Args:
    params: the network's parameters.
    batch: uint8 arrays from `data.pipeline`, frames [B, T, H, W, 3].
    model: the network.
    objective: what is minimised and how.

  Returns:
    A tree like `params`, and scalar metrics: `loss`; `iou`, the mean over the
    frames; with T > 1 also `iou_last`, of the last frame, and `forced`, the
    share of the examples and steps in which the true mask was fed forward.
  """
  clip = _Clip(batch)
  take = _through_time if objective.recurrence == 'through_time' else _detached
  result, loss, ious, forced = take(params, clip, model, objective)
  metrics = {'loss': loss, 'iou': jnp.stack(ious).mean()}
  if clip.length > 1:
    metrics['iou_last'] = ious[-1].mean()
    metrics['forced'] = jnp.stack(forced).mean()
  return result, metrics


class _Clip:
  """The batch in float32: images and masks in [0, 1]."""

  def __init__(self, batch: Mapping[str, jax.Array]):
    self._batch = batch
    self.length = batch['frames'].shape[1]
    self.reference = (
      _to_unit(batch['reference_frame']),
      batch['reference_mask'].astype(jnp.float32),
    )
    self.guidance = _to_unit(batch['guidance'])

  def images(self, t: int) -> tuple[jax.Array, jax.Array]:
    """Returns frame [B, H, W, 3] and true mask [B, H, W] of time `t`."""
    frame, mask = self._batch['frames'][:, t], self._batch['masks'][:, t]
    return _to_unit(frame), mask.astype(jnp.float32)


def _to_unit(x: jax.Array) -> jax.Array:
  return x.astype(jnp.float32) / 255.0


def _encoder(model: savos.SAVOS) -> Callable:
  def encode(params, images):
    return model.apply(
      {'params': params}, *images, method=savos.SAVOS.encode_reference
    )

  return encode


def _frame_loss(model: savos.SAVOS, objective: Objective) -> Callable:
  """Returns ((params, reference, guidance), images) -> loss, (p, IoU)."""

  def frame_loss(inputs, images):
    params, reference, guidance = inputs
    frame, mask = images
    logits = model.apply(
      {'params': params},
      frame,
      guidance,
      reference,
      method=savos.SAVOS.segment,
    )
    loss = losses.cross_entropy(logits, mask, objective.loss_reduction)
    if objective.soft_iou_weight:
      loss += objective.soft_iou_weight * losses.soft_iou_loss(logits, mask)
    probability = jax.nn.softmax(logits)[..., 1]
    return loss, (probability, losses.iou(logits, mask))

  return frame_loss


def _next_guidance(probability, mask, iou, threshold):
  """Returns what is fed forward, [B, H, W], and which are true masks, [B]."""
  lost = iou < threshold
  forward = jnp.where(lost[:, None, None], mask, probability)
  return forward, lost.astype(jnp.float32)


def _through_time(params, clip, model, objective):
  """Returns gradient, loss, and per frame IoUs [B] and forced shares [B]."""
  encode, frame_loss = _encoder(model), _frame_loss(model, objective)
  recomputed_loss = frame_loss
  if objective.rematerialise:
    encode, recomputed_loss = _recomputed(encode), _recomputed(frame_loss)

  def total_loss(params):
    reference = encode(params, clip.reference)
    guidance, total, ious, forced = clip.guidance, 0.0, [], []
    for t in range(clip.length):
      last = t == clip.length - 1
      # The last frame is the first to go backwards: nothing to be gained.
      function = frame_loss if last else recomputed_loss
      images = clip.images(t)
      loss, (p, iou) = function((params, reference, guidance), images)
      total += loss / clip.length
      ious.append(iou)
      if not last:
        guidance, lost = _next_guidance(
          p, images[1], iou, objective.teacher_forcing_iou
        )
        forced.append(lost)
    return total, (ious, forced)

  (loss, (ious, forced)), result = jax.value_and_grad(total_loss, has_aux=True)(
    params
  )
  return result, loss, ious, forced


def _detached(params, clip, model, objective):
  """Returns what `_through_time` does; each frame's gradient at once.

  Nothing of a frame but its share of the gradient outlives it, so the memory
  does not grow with the clip.
  """
  encode, frame_loss = _encoder(model), _frame_loss(model, objective)
  if objective.rematerialise:
    encode = _recomputed(encode)
  reference, encoder_gradient = jax.vjp(
    lambda params: encode(params, clip.reference), params
  )

  def share(params, reference, guidance, images):
    loss, outputs = frame_loss((params, reference, guidance), images)
    return loss / clip.length, outputs

  share_gradient = jax.value_and_grad(share, argnums=(0, 1), has_aux=True)
  guidance, total, ious, forced = clip.guidance, 0.0, [], []
  sums = None
  for t in range(clip.length):
    images = clip.images(t)
    (loss, (p, iou)), parts = share_gradient(
      params, reference, guidance, images
    )
    sums = parts if sums is None else jax.tree.map(jnp.add, sums, parts)
    total += loss
    ious.append(iou)
    if t < clip.length - 1:
      guidance, lost = _next_guidance(
        p, images[1], iou, objective.teacher_forcing_iou
      )
      guidance += zero_after(sums)
      forced.append(lost)
  by_frames, by_reference = sums
  (by_encoder,) = encoder_gradient(by_reference)
  return jax.tree.map(jnp.add, by_frames, by_encoder), total, ious, forced


def zero_after(tree: Any) -> jax.Array:
  """Returns a 0 that can't be known before every array of the tree is.

  Added to an input, it makes a computation wait. (It is NaN where the tree is
  not finite, which ends a training anyway.)
  """
  return 0.0 * sum(
    leaf[(0,) * leaf.ndim].astype(jnp.float32) for leaf in jax.tree.leaves(tree)
  )


def _recomputed(function: Callable) -> Callable:
  """Keeps only the inputs for the backward pass, and computes the rest again.

  Args:
    function: (inputs, images) -> outputs; differentiated by its inputs alone.
      Images are float32.

  Returns:
    A function of the same values and gradients.
  """

  def forward(inputs, images):
    return function(inputs, images), (inputs, images)

  def backward(saved, cotangents):
    inputs, images = saved
    zero = zero_after(cotangents)
    images = jax.tree.map(lambda image: image + zero, images)
    _, vjp = jax.vjp(lambda inputs: function(inputs, images), inputs)
    return *vjp(cotangents), None

  wrapped = jax.custom_vjp(function)
  wrapped.defvjp(forward, backward)
  return wrapped
