"""Combines independently segmented objects into one result per frame.

SAVOS, section 5, Eq. 5. Arrays are float32: [K, H, W] holds the probabilities
of K objects, [K+1, H, W] has the background first.

Arrays may come from NumPy or JAX; each function computes with the library of
its arguments, found through the array API's `__array_namespace__`.
"""

from typing import Any

# Keeps probabilities away from 0 and 1, where the log odds are infinite.
_EPSILON = 1e-7


def background(objects: Any, kind: str, merged: Any | None = None) -> Any:
  """Returns the probability that a pixel belongs to no object.

  Args:
    objects: probabilities [K, H, W].
    kind: 'product': the product of 1 - p; 'max': 1 minus the largest p;
      'merged': 1 - `merged`.
    merged: the network's probability of the union of all objects, [H, W].

  Returns:
    [H, W].
  """
  if kind == 'product':
    return (1.0 - objects).prod(axis=0)
  if kind == 'max':
    return 1.0 - objects.max(axis=0)
  assert merged is not None
  return 1.0 - merged


def softmax(objects: Any, behind: Any) -> Any:
  """Eq. 5: p_m = odds(p_m) / sum over j = 0..K of odds(p_j).

  With odds(p) = p / (1 - p), this is the softmax of the logits, without their
  logarithms: from 1e-7 to 1e7, odds need none.

  Args:
    objects: probabilities [K, H, W].
    behind: the background's probability, [H, W].

  Returns:
    [K+1, H, W], the background first; sums to 1 at each pixel.
  """
  xp = objects.__array_namespace__()
  p = xp.concat([behind[None], objects])
  p = xp.clip(p, _EPSILON, 1.0 - _EPSILON)
  odds = p / (1.0 - p)  # 1 - p is exact in float32 from 0.5 up.
  return odds / odds.sum(axis=0, keepdims=True)


def winner_takes_all(objects: Any) -> Any:
  """Keeps only the largest probability at each pixel and zeroes the rest.

  Args:
    objects: probabilities [K, H, W].

  Returns:
    [K, H, W]. Ties go to the first object.
  """
  xp = objects.__array_namespace__()
  winner = objects.argmax(axis=0)
  index = xp.arange(objects.shape[0]).reshape(-1, 1, 1)
  return xp.where(index == winner[None], objects, xp.float32(0))


def aggregate(
  objects: Any,
  mode: str,
  background_kind: str = 'product',
  merged: Any | None = None,
) -> Any:
  """Reconciles the objects of a frame; the result guides the next frame.

  Args:
    objects: probabilities [K, H, W], each object predicted independently.
    mode: one of `options.MODES`. A single object is returned unchanged in every
      mode.
    background_kind: one of `options.BACKGROUNDS`; used by 'softmax' only.
    merged: see `background`.

  Returns:
    Probabilities [K, H, W].
  """
  if objects.shape[0] == 1 or mode == 'independent':
    return objects
  if mode == 'winner_takes_all':
    return winner_takes_all(objects)
  behind = background(objects, background_kind, merged)
  return softmax(objects, behind)[1:]


def confidence(objects: Any, size: Any) -> Any:
  """Returns the confidence of each object's mask.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    size: int32 [2]; height and width without padding. Predictions in the
      padding are ignored.

  Returns:
    The mean probability over each object's pixels (those above 0.5), [K]; 0
    for an object without pixels, NaN if any of its probabilities is NaN.
  """
  xp = objects.__array_namespace__()
  rows = xp.arange(objects.shape[1])[:, None] < size[0]
  columns = xp.arange(objects.shape[2])[None] < size[1]
  # `~(p <= 0.5)` rather than `p > 0.5`, so that NaN propagates to the mean.
  inside = ~(objects <= 0.5) & (rows & columns)[None]
  total = xp.where(inside, objects, xp.float32(0)).sum(axis=(1, 2))
  return total / xp.maximum(inside.sum(axis=(1, 2)), 1).astype(xp.float32)


def behind(objects: Any, mode: str) -> Any:
  """Returns the background's probability given the aggregated objects.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    mode: the mode that was passed to `aggregate`.

  Returns:
    [H, W]: 1 minus the sum of the objects for 'softmax', 1 minus their maximum
    otherwise.
  """
  if mode == 'softmax':  # For one object the two are equal.
    return 1.0 - objects.sum(axis=0)
  return 1.0 - objects.max(axis=0)


def labels(objects: Any, mode: str) -> Any:
  """Labels every pixel.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    mode: the mode that was passed to `aggregate`.

  Returns:
    uint8 [H, W]: 1 + the index of the most probable object where it is more
    probable than the background, 0 elsewhere.
  """
  xp = objects.__array_namespace__()
  best = objects.argmax(axis=0).astype(xp.uint8) + xp.uint8(1)
  most = objects.max(axis=0)
  return xp.where(most > behind(objects, mode), best, xp.uint8(0))


def union(objects: Any) -> Any:
  """Returns the union of all objects: [K, H, W] to [1, H, W]."""
  xp = objects.__array_namespace__()
  return xp.clip(objects.sum(axis=0, keepdims=True), 0.0, 1.0)
