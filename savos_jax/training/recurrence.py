"""Loss and gradients of a clip: each frame's prediction guides the next.

K objects of a clip pass through the network side by side, as K examples with
the same frames; their predictions are aggregated as in inference.

The frames are unrolled, because on CPUs XLA runs convolutions inside a loop at
less than half the speed. The memory depends on the order of computation, which
XLA only respects as far as data dependencies force it: on CPUs it drops
optimisation barriers, and merges what `jax.checkpoint` recomputes with the
first computation. `zero_after` turns the order into a data dependency.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from savos_jax import objective as objective_lib
from savos_jax.models import matching
from savos_jax.models import savos
from savos_jax.training import losses


def gradients(
  params: Any,
  batch: Mapping[str, jax.Array],
  *,
  model: savos.SAVOS,
  objective: objective_lib.Objective,
) -> tuple[Any, dict[str, jax.Array]]:
  """Computes the gradient of the loss, averaged over the frames of the clips.

  Args:
    params: the network's parameters.
    batch: uint8 arrays, as made by `sampling.Sampler.example`: frames
      [B, T, H, W, 3]. For K objects the masks contain ids 0..K, and the
      guidance is [B, K, H, W]; objects missing from the reference are ignored.
    model: the network.
    objective: the loss and how to compute it.

  Returns:
    A tree like `params`, and scalar metrics: `loss`; `iou`, the mean over the
    frames; with T > 1 also `iou_last`, of the last frame, and `forced`, the
    share of the examples and steps in which the true mask was fed forward.
  """
  clip = _Clip(batch)
  take = _through_time if objective.recurrence == 'through_time' else _detached
  result, loss, ious, forced = take(params, clip, model, objective)
  metrics = {'loss': loss, 'iou': _mean(ious, clip.present)}
  if clip.length > 1:
    metrics['iou_last'] = _mean(ious[-1:], clip.present)
    metrics['forced'] = _mean(forced, clip.present)
  return result, metrics


def _mean(values: list[jax.Array], present: jax.Array) -> jax.Array:
  """Averages arrays [B, K] over frames and the objects that are present."""
  weights = present.astype(jnp.float32)
  total = (jnp.stack(values) * weights[None]).sum()
  return total / (len(values) * jnp.maximum(weights.sum(), 1.0))


class _Clip:
  """The batch in float32: images and masks in [0, 1].

  Attributes:
    length: T.
    objects: K, side by side in the batch: example 0's objects, example 1's ...
    present: which objects are visible in the reference, bool [B, K].
    reference: frames [B K, H, W, 3] and masks [B K, H, W].
    guidance: of the first frame, [B K, H, W].
  """

  def __init__(self, batch: Mapping[str, jax.Array]):
    guidance = batch['guidance']
    if guidance.ndim == 3:
      guidance = guidance[:, None]
    self._batch = batch
    self.length = batch['frames'].shape[1]
    self.objects = guidance.shape[1]
    masks = self._each_object(batch['reference_mask'])
    # A single object counts whether or not it is visible in the reference.
    self.present = masks.any(axis=(2, 3)) | (self.objects == 1)
    self.reference = (
      self._repeat(_to_unit(batch['reference_frame'])),
      _side_by_side(masks.astype(jnp.float32)),
    )
    self.guidance = _side_by_side(_to_unit(guidance))

  def images(self, t: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns frames [B K, H, W, 3] and masks [B, K, H, W] of `t`, `present`.

    All are float32.
    """
    frame, mask = self._batch['frames'][:, t], self._batch['masks'][:, t]
    masks = self._each_object(mask).astype(jnp.float32)
    present = self.present.astype(jnp.float32)
    return self._repeat(_to_unit(frame)), masks, present

  def _each_object(self, ids: jax.Array) -> jax.Array:
    """Returns one mask per object, bool [B, K, H, W], from ids [B, H, W]."""
    numbers = jnp.arange(1, self.objects + 1, dtype=ids.dtype)
    return ids[:, None] == numbers.reshape(1, -1, 1, 1)

  def _repeat(self, frame: jax.Array) -> jax.Array:
    return (
      jnp.repeat(frame, self.objects, axis=0) if self.objects > 1 else frame
    )


def _to_unit(x: jax.Array) -> jax.Array:
  return x.astype(jnp.float32) / 255.0


def _side_by_side(x: jax.Array) -> jax.Array:
  """Reshapes [B, K, ...] to [B K, ...]."""
  return x.reshape(-1, *x.shape[2:])


def _variables(
  params: Any, objective: objective_lib.Objective
) -> dict[str, Any]:
  """Returns the network's variables, without gradients for frozen ones."""
  if not objective.encoder:
    params = params | {'encoder': jax.lax.stop_gradient(params['encoder'])}
  return {'params': params}


def _encoder(
  model: savos.SAVOS, objective: objective_lib.Objective
) -> Callable:
  def encode(params, images):
    return model.apply(
      _variables(params, objective),
      *images,
      method=savos.SAVOS.encode_reference,
    )

  return encode


def _frame_loss(
  model: savos.SAVOS, objective: objective_lib.Objective
) -> Callable:
  """Returns (inputs, images) -> loss, (p [B, K, H, W], IoU [B, K], trace).

  Inputs are the parameters, the reference, the guidance [B K, H, W] and the
  memory besides the reference; images come from `_Clip.images`.
  """

  def frame_loss(inputs, images):
    params, reference, guidance, memory = inputs
    frame, masks, present = images
    logits, trace = model.apply(
      _variables(params, objective),
      frame,
      guidance,
      reference,
      memory=memory,
      method=savos.SAVOS.segment_traced,
    )
    loss, p = losses.clip_frame(
      losses.margins_of(logits).reshape(masks.shape),
      masks,
      present > 0,
      objective.loss_reduction,
      objective.soft_iou_weight,
      objective.joint,
    )
    return loss, (p, losses.iou(p, masks), trace)

  return frame_loss


def _next_guidance(probability, masks, iou, threshold):
  """Returns the next guidance, [B K, H, W], and which are true, [B, K]."""
  lost = iou < threshold
  forward = jnp.where(lost[..., None, None], masks, probability)
  return _side_by_side(forward), lost.astype(jnp.float32)


def _remember(model, params, trace, mask, memory):
  """Adds a frame and its mask [B K, H, W] to the memory."""
  if trace is None:
    return None
  found = model.apply(
    {'params': params}, trace, mask, method=savos.SAVOS.remember
  )
  added = matching.Memory(
    found.keys[:, None],
    found.values[:, None],
    jnp.ones((mask.shape[0], 1), bool),
  )
  if memory is None:
    return added
  return jax.tree.map(
    lambda old, new: jnp.concatenate([old, new], axis=1), memory, added
  )


def _through_time(params, clip, model, objective):
  """Returns gradient, loss, and per frame IoUs and forced shares [B, K]."""
  encode = _encoder(model, objective)
  frame_loss = _frame_loss(model, objective)
  recomputed_loss = frame_loss
  if objective.rematerialise:
    encode, recomputed_loss = _recomputed(encode), _recomputed(frame_loss)

  def total_loss(params):
    reference = encode(params, clip.reference)
    guidance, memory, total, ious, forced = clip.guidance, None, 0.0, [], []
    for t in range(clip.length):
      last = t == clip.length - 1
      # The last frame is the first in the backward pass: nothing is saved.
      function = frame_loss if last else recomputed_loss
      images = clip.images(t)
      loss, (p, iou, trace) = function(
        (params, reference, guidance, memory), images
      )
      total += loss / clip.length
      ious.append(iou)
      if not last:
        guidance, lost = _next_guidance(
          p, images[1], iou, objective.teacher_forcing_iou
        )
        memory = _remember(model, params, trace, guidance, memory)
        forced.append(lost)
    return total, (ious, forced)

  (loss, (ious, forced)), result = jax.value_and_grad(total_loss, has_aux=True)(
    params
  )
  return result, loss, ious, forced


def _detached(params, clip, model, objective):
  """Like `_through_time`, but takes each frame's gradient immediately.

  Only a frame's contribution to the gradient outlives it, so the memory does
  not grow with the clip. No gradient flows into remembered frames other than
  the reference.
  """
  encode = _encoder(model, objective)
  frame_loss = _frame_loss(model, objective)
  if objective.rematerialise:
    encode = _recomputed(encode)
  reference, encoder_gradient = jax.vjp(
    lambda params: encode(params, clip.reference), params
  )

  def share(params, reference, guidance, memory, images):
    inputs = params, reference, guidance, memory
    loss, outputs = frame_loss(inputs, images)
    return loss / clip.length, outputs

  share_gradient = jax.value_and_grad(share, argnums=(0, 1), has_aux=True)
  guidance, memory, total, ious, forced = clip.guidance, None, 0.0, [], []
  sums = None
  for t in range(clip.length):
    images = clip.images(t)
    (loss, (p, iou, trace)), parts = share_gradient(
      params, reference, guidance, memory, images
    )
    sums = parts if sums is None else jax.tree.map(jnp.add, sums, parts)
    total += loss
    ious.append(iou)
    if t < clip.length - 1:
      guidance, lost = _next_guidance(
        p, images[1], iou, objective.teacher_forcing_iou
      )
      guidance += zero_after(sums)
      memory = _remember(model, params, trace, guidance, memory)
      forced.append(lost)
  assert sums is not None  # A clip has a frame.
  by_frames, by_reference = sums
  (by_encoder,) = encoder_gradient(by_reference)
  return jax.tree.map(jnp.add, by_frames, by_encoder), total, ious, forced


def zero_after(tree: Any) -> jax.Array:
  """Returns a 0 that depends on every array of the tree.

  Adding it to an input delays that computation. (It is NaN if the tree is not
  finite, which stops the training anyway.)
  """
  return 0.0 * sum(
    leaf[(0,) * leaf.ndim].astype(jnp.float32) for leaf in jax.tree.leaves(tree)
  )


def _recomputed(function: Callable) -> Callable:
  """Keeps only the inputs for the backward pass, and recomputes the rest.

  Args:
    function: (inputs, images) -> outputs; differentiated with respect to its
      inputs only. Images are float32.

  Returns:
    A function with the same values and gradients.
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
