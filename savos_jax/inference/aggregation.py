"""From objects that were segmented each on its own to one frame's answer.

SAVOS, section 5, Eq. 5; arrays are float32 [K, H, W], probabilities of K
objects, and [K+1, H, W] with the background in front.

Arrays may be NumPy's or JAX's: each is computed by its own library, which it
tells (the array API's `__array_namespace__`).
"""

from typing import Any

# Odds of 0 and 1 are not finite.
_EPSILON = 1e-7


def background(objects: Any, kind: str, merged: Any | None = None) -> Any:
  """Returns the probability that no object is at a pixel.

  Args:
    objects: probabilities [K, H, W].
    kind: 'product': the product of 1 - p; 'max': 1 less the largest p;
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

  With odds(p) = p / (1 - p) it is the softmax of the logits.

  Args:
    objects: probabilities [K, H, W].
    behind: the background's, [H, W].

  Returns:
    [K+1, H, W], the background in front; they add up to 1.
  """
  xp = objects.__array_namespace__()
  p = xp.concat([behind[None], objects])
  p = xp.clip(p, _EPSILON, 1.0 - _EPSILON)
  # log1p: 1 - p of a p near 1 has no digits left in float32.
  logits = xp.log(p) - xp.log1p(-p)
  odds = xp.exp(logits - logits.max(axis=0, keepdims=True))
  return odds / odds.sum(axis=0, keepdims=True)


def winner_takes_all(objects: Any) -> Any:
  """Sets every probability to zero that is not the largest at its pixel.

  Args:
    objects: [K, H, W].

  Returns:
    [K, H, W]. Of equal ones the first stays.
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
  """Makes the objects of a frame agree; what comes out guides the next frame.

  Args:
    objects: probabilities [K, H, W], each object's on its own.
    mode: one of `options.MODES`. One object has nobody to agree with: it stays
      as it is in every mode.
    background_kind: one of `options.BACKGROUNDS`; only for 'softmax'.
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
  """Tells how sure each object's mask is.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    size: int32 [2]; the true height and width. What is found in the padding
      is nobody's.

  Returns:
    The mean probability of each object's pixels, those above one half, [K]; 0
    where it has none, NaN where any probability is no number.
  """
  xp = objects.__array_namespace__()
  rows = xp.arange(objects.shape[1])[:, None] < size[0]
  columns = xp.arange(objects.shape[2])[None] < size[1]
  # What is no number is not at most one half either: it shows in the mean.
  inside = ~(objects <= 0.5) & (rows & columns)[None]
  total = xp.where(inside, objects, xp.float32(0)).sum(axis=(1, 2))
  return total / xp.maximum(inside.sum(axis=(1, 2)), 1).astype(xp.float32)


def behind(objects: Any, mode: str) -> Any:
  """Returns the background's probability beside objects that agree.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    mode: the same.

  Returns:
    [H, W]: what the objects leave after 'softmax'; where they are on their own,
    what the most probable one leaves.
  """
  if mode == 'softmax':  # Of one object it is the same.
    return 1.0 - objects.sum(axis=0)
  return 1.0 - objects.max(axis=0)


def labels(objects: Any, mode: str) -> Any:
  """Labels every pixel.

  Args:
    objects: probabilities [K, H, W], from `aggregate`.
    mode: the same.

  Returns:
    uint8 [H, W]: 1 + the most probable object where that is more probable than
    the background, else 0.
  """
  xp = objects.__array_namespace__()
  best = objects.argmax(axis=0).astype(xp.uint8) + xp.uint8(1)
  most = objects.max(axis=0)
  return xp.where(most > behind(objects, mode), best, xp.uint8(0))


def union(objects: Any) -> Any:
  """Returns the mask of all objects together, [1, H, W] of [K, H, W]."""
  xp = objects.__array_namespace__()
  return xp.clip(objects.sum(axis=0, keepdims=True), 0.0, 1.0)
