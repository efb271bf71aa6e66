"""What training minimises and the accuracy that it reports."""

import jax
import jax.numpy as jnp


def cross_entropy(
  logits: jax.Array, mask: jax.Array, reduction: str
) -> jax.Array:
  """Cross entropy per pixel, over an example's pixels summed or averaged.

  Args:
    logits: {background, object}, float32 [B, H, W, 2].
    mask: the truth, float32 [B, H, W] of 0 and 1.
    reduction: 'sum' or 'mean', over the pixels of an example.

  Returns:
    The mean over the examples, a scalar in nats.
  """
  # With two classes the softmax is a sigmoid of the logits' difference.
  margin = logits[..., 1] - logits[..., 0]
  per_pixel = jax.nn.softplus(margin) - mask * margin
  over_pixels = per_pixel.sum if reduction == 'sum' else per_pixel.mean
  return over_pixels(axis=(1, 2)).mean()


def soft_iou_loss(logits: jax.Array, mask: jax.Array) -> jax.Array:
  """1 - intersection over union of probabilities and truth.

  Args:
    logits: float32 [B, H, W, 2].
    mask: float32 [B, H, W] of 0 and 1.

  Returns:
    The mean over the examples, in [0, 1]. An example without the object
    counts 0 when nothing is predicted.
  """
  p = jax.nn.softmax(logits)[..., 1]
  intersection = (p * mask).sum(axis=(1, 2))
  union = (p + mask - p * mask).sum(axis=(1, 2))
  # One pixel on either side: defined, and smooth, for an absent object.
  return (1.0 - (intersection + 1.0) / (union + 1.0)).mean()


def iou(logits: jax.Array, mask: jax.Array) -> jax.Array:
  """J of the thresholded prediction; 1 where both are empty.

  Args:
    logits: float32 [B, H, W, 2].
    mask: float32 [B, H, W] of 0 and 1.

  Returns:
    float32 [B], in [0, 1].
  """
  predicted = logits[..., 1] > logits[..., 0]
  truth = mask > 0.5
  intersection = (predicted & truth).sum(axis=(1, 2))
  union = (predicted | truth).sum(axis=(1, 2))
  return jnp.where(union == 0, 1.0, intersection / jnp.maximum(union, 1))
