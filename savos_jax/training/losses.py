"""What training minimises and the accuracy that it reports.

Margins are the logits' difference, object less background: of two classes the
softmax is a sigmoid of it.
"""

import jax
import jax.numpy as jnp

# As inference clips probabilities: odds of 0 and 1 are not finite.
_LARGEST_MARGIN = 16.1  # The margin of 1 - 1e-7.


def margins_of(logits: jax.Array) -> jax.Array:
  """Returns the margins [...] of logits {background, object} [..., 2]."""
  return logits[..., 1] - logits[..., 0]


def joint_logits(margins: jax.Array, present: jax.Array) -> jax.Array:
  """Eq. 5: the logits of background and K objects that share a frame.

  The background is where no object is: its probability is the product of 1 - p
  of all objects, its logit that of this product. A single object has nobody to
  agree with, and stays as it is.

  Args:
    margins: each object's own, float32 [B, K, H, W].
    present: which objects there are, bool [B, K]; others get no share.

  Returns:
    float32 [B, K+1, H, W], the background in front; their softmax is what
    `inference.aggregation.softmax` makes of the probabilities.
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
  """Cross entropy of an object and what is not it, for each object.

  Args:
    margins: float32 [..., H, W].
    masks: the truth, float32 [..., H, W] of 0 and 1.
    reduction: 'sum' or 'mean', over the pixels.

  Returns:
    float32 [...], in nats.
  """
  return _reduce(jax.nn.softplus(margins) - masks * margins, reduction)


def joint_cross_entropy(
  logits: jax.Array, masks: jax.Array, reduction: str
) -> jax.Array:
  """Cross entropy of the objects of a frame and its background.

  Args:
    logits: from `joint_logits`, float32 [B, K+1, H, W].
    masks: the truth, float32 [B, K, H, W] of 0 and 1, no pixel of two objects.
      An object that is not there has an empty one.
    reduction: 'sum' or 'mean', over the pixels.

  Returns:
    float32 [B], in nats.
  """
  behind = 1.0 - masks.sum(axis=1, keepdims=True)
  truth = jnp.concatenate([behind, masks], axis=1)
  log_p = jax.nn.log_softmax(logits, axis=1)
  return _reduce(-(truth * log_p).sum(axis=1), reduction)


def soft_iou_loss(p: jax.Array, masks: jax.Array) -> jax.Array:
  """1 - intersection over union of probabilities and truth, for each object.

  Args:
    p: probabilities, float32 [..., H, W].
    masks: float32 [..., H, W] of 0 and 1.

  Returns:
    float32 [...], in [0, 1]. An object out of sight counts 0 when nothing is
    predicted.
  """
  intersection = (p * masks).sum(axis=(-2, -1))
  union = (p + masks - p * masks).sum(axis=(-2, -1))
  # One pixel on either side: defined, and smooth, for an absent object.
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
    margins: each object's own, float32 [B, K, H, W].
    masks: the truth, float32 [B, K, H, W] of 0 and 1.
    present: which objects there are, bool [B, K]; the others do not count.
    reduction: of the cross entropy, 'sum' or 'mean' over the pixels.
    soft_iou_weight: of `soft_iou_loss`, the mean over the objects.
    joint: see `objective.Objective`; of one object it changes nothing.

  Returns:
    The mean over the examples, a scalar; and float32 [B, K, H, W].
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
  """J of the thresholded prediction; 1 where both are empty.

  Args:
    p: probabilities, float32 [..., H, W]; above 1/2 is the object.
    masks: float32 [..., H, W] of 0 and 1.

  Returns:
    float32 [...], in [0, 1].
  """
  predicted, truth = p > 0.5, masks > 0.5
  intersection = (predicted & truth).sum(axis=(-2, -1))
  union = (predicted | truth).sum(axis=(-2, -1))
  return jnp.where(union == 0, 1.0, intersection / jnp.maximum(union, 1))
