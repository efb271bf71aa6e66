"""The losses that training minimises, and the accuracy that it reports.

A margin is the difference of the logits, object minus background: for two
classes the softmax is its sigmoid.
"""

import jax
import jax.numpy as jnp

# Matches the clipping of probabilities in inference: odds must be finite.
_LARGEST_MARGIN = 16.1  # The margin of 1 - 1e-7.


def margins_of(logits: jax.Array) -> jax.Array:
  """Returns margins [...] from logits {background, object} [..., 2]."""
  return logits[..., 1] - logits[..., 0]


def joint_logits(margins: jax.Array, present: jax.Array) -> jax.Array:
  """Computes Eq. 5: the joint logits of the background and K objects.

  The background's probability is the product of 1 - p over all objects, and its
  logit follows from that. A single object is left unchanged.

  Args:
    margins: one per object, float32 [B, K, H, W].
    present: which objects exist, bool [B, K]; the others get probability 0.

  Returns:
    float32 [B, K+1, H, W], the background first; their softmax equals
    `inference.aggregation.softmax` of the probabilities.
  """
  there = present[..., None, None].astype(jnp.float32)
  margins = jnp.clip(margins, -_LARGEST_MARGIN, _LARGEST_MARGIN)
  log_p = -(jax.nn.softplus(margins) * there).sum(axis=1, keepdims=True)
  log_p = jnp.clip(log_p, -_LARGEST_MARGIN, -1e-7)
  behind = log_p - jnp.log(-jnp.expm1(log_p))
  alone = present.sum(axis=1)[:, None, None, None] <= 1
  behind = jnp.where(alone, 0.0, behind)
  objects = jnp.where(present[..., None, None], margins, -1e4)
  return jnp.concatenate([behind, objects], axis=1)


def _reduce(per_pixel: jax.Array, reduction: str) -> jax.Array:
  """Sums or averages over the pixels [..., H, W]."""
  over_pixels = per_pixel.sum if reduction == 'sum' else per_pixel.mean
  return over_pixels(axis=(-2, -1))


def cross_entropy(
  margins: jax.Array, masks: jax.Array, reduction: str
) -> jax.Array:
  """Computes the binary cross entropy of each object.

  Args:
    margins: float32 [..., H, W].
    masks: ground truth, float32 [..., H, W], 0 or 1.
    reduction: 'sum' or 'mean', over the pixels.

  Returns:
    float32 [...], in nats.
  """
  return _reduce(jax.nn.softplus(margins) - masks * margins, reduction)


def joint_cross_entropy(
  logits: jax.Array, masks: jax.Array, reduction: str
) -> jax.Array:
  """Computes the cross entropy over the background and all objects.

  Args:
    logits: from `joint_logits`, float32 [B, K+1, H, W].
    masks: ground truth, float32 [B, K, H, W], 0 or 1, without overlap; empty
      for an object that does not exist.
    reduction: 'sum' or 'mean', over the pixels.

  Returns:
    float32 [B], in nats.
  """
  behind = 1.0 - masks.sum(axis=1, keepdims=True)
  truth = jnp.concatenate([behind, masks], axis=1)
  log_p = jax.nn.log_softmax(logits, axis=1)
  return _reduce(-(truth * log_p).sum(axis=1), reduction)


def soft_iou_loss(p: jax.Array, masks: jax.Array) -> jax.Array:
  """Computes 1 - soft intersection over union of each object.

  Args:
    p: probabilities, float32 [..., H, W].
    masks: ground truth, float32 [..., H, W], 0 or 1.

  Returns:
    float32 [...], in [0, 1]; 0 if the mask is empty and nothing is predicted.
  """
  intersection = (p * masks).sum(axis=(-2, -1))
  union = (p + masks - p * masks).sum(axis=(-2, -1))
  # One pixel is added to both areas: defined and smooth for an absent object.
  return 1.0 - (intersection + 1.0) / (union + 1.0)


def clip_frame(
  margins: jax.Array,
  masks: jax.Array,
  present: jax.Array,
  reduction: str,
  soft_iou_weight: float,
  joint: bool,
) -> tuple[jax.Array, jax.Array]:
  """Returns the loss of a frame with K objects, and their probabilities.

  Args:
    margins: one per object, float32 [B, K, H, W].
    masks: ground truth, float32 [B, K, H, W], 0 or 1.
    present: which objects exist, bool [B, K]; the others do not count.
    reduction: of the cross entropy, 'sum' or 'mean' over the pixels.
    soft_iou_weight: weight of `soft_iou_loss`, averaged over the objects.
    joint: see `objective.Objective`; no effect for a single object.

  Returns:
    The mean loss over the examples, a scalar; probabilities [B, K, H, W].
  """
  weights = present.astype(jnp.float32)
  masks = masks * weights[..., None, None]
  count = jnp.maximum(weights.sum(axis=1), 1.0)
  if joint and margins.shape[1] > 1:
    logits = joint_logits(margins, present)
    p = jax.nn.softmax(logits, axis=1)[:, 1:]
    loss = joint_cross_entropy(logits, masks, reduction)
  else:
    p = jax.nn.sigmoid(margins)
    each = cross_entropy(margins, masks, reduction)
    loss = (each * weights).sum(axis=1) / count
  if soft_iou_weight:
    each = soft_iou_loss(p, masks)
    loss += soft_iou_weight * (each * weights).sum(axis=1) / count
  return loss.mean(), p * weights[..., None, None]


def iou(p: jax.Array, masks: jax.Array) -> jax.Array:
  """Computes J of the thresholded prediction; 1 if both masks are empty.

  Args:
    p: probabilities, float32 [..., H, W]; the object is where they exceed 1/2.
    masks: ground truth, float32 [..., H, W], 0 or 1.

  Returns:
    float32 [...], in [0, 1].
  """
  predicted, truth = p > 0.5, masks > 0.5
  intersection = (predicted & truth).sum(axis=(-2, -1))
  union = (predicted | truth).sum(axis=(-2, -1))
  return jnp.where(union == 0, 1.0, intersection / jnp.maximum(union, 1))
