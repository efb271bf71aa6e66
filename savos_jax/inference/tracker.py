"""One video, frame by frame (SAVOS, section 5).

The state is one reference feature and one mask an object: memory does not grow
with the length of the video.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.models import savos


@functools.partial(jax.jit, static_argnames='model')
def _encode_reference(model, params, frame, masks):
  """Encodes frame uint8 [H, W, 3] with masks float32 [K, H, W]."""
  frames = jnp.broadcast_to(
    frame.astype(jnp.float32) / 255.0, (masks.shape[0], *frame.shape)
  )
  return model.apply(
    {'params': params}, frames, masks, method=savos.SAVOS.encode_reference
  )


@functools.partial(jax.jit, static_argnames='model')
def _segment(model, params, frame, guidance, reference):
  """Segments frame uint8 [H, W, 3] for K objects; see `Tracker.step`."""
  frames = jnp.broadcast_to(
    frame.astype(jnp.float32) / 255.0, (guidance.shape[0], *frame.shape)
  )
  logits = model.apply(
    {'params': params},
    frames,
    guidance,
    reference,
    method=savos.SAVOS.segment,
  )
  probabilities = jax.nn.softmax(logits)[..., 1]
  return probabilities, to_labels(probabilities)


def to_labels(probabilities: jax.Array) -> jax.Array:
  """Labels objects that were segmented each on its own.

  Args:
    probabilities: float32 [K, H, W].

  Returns:
    uint8 [H, W]: 1 + the most probable object where that is above 0.5, else 0.
  """
  best = probabilities.argmax(axis=0).astype(jnp.uint8) + jnp.uint8(1)
  return jnp.where(probabilities.max(axis=0) > 0.5, best, jnp.uint8(0))


class Tracker:
  """Segments the objects of one video after another."""

  def __init__(self, model: savos.SAVOS, params: Any):
    """Keeps the network.

    Args:
      model: the network.
      params: its parameters.
    """
    self._model = model
    self._params = params
    self._object_ids: np.ndarray | None = None
    self._reference: jax.Array | None = None
    self._guidance: jax.Array | None = None

  def start(
    self, frame: np.ndarray, labels: np.ndarray, object_ids: tuple[int, ...]
  ) -> None:
    """Begins a video: encodes its reference, drops the video before.

    Args:
      frame: the first frame, RGB uint8 [H, W, 3].
      labels: its mask, uint8 [H, W].
      object_ids: which of its ids to segment, at least one.
    """
    masks = np.stack([labels == i for i in object_ids]).astype(np.float32)
    # Entry k is the id of the tracker's object k; 0 stays the background.
    self._object_ids = np.array([0, *object_ids], np.uint8)
    self._guidance = jnp.asarray(masks)
    self._reference = _encode_reference(
      self._model, self._params, frame, self._guidance
    )

  def step(self, frame: np.ndarray) -> np.ndarray:
    """Segments the next frame.

    Args:
      frame: RGB uint8 [H, W, 3], of the first frame's size.

    Returns:
      Labels, uint8 [H, W], with the ids given at the start.
    """
    # The soft prediction guides the next frame; it is never binarised.
    self._guidance, labels = _segment(
      self._model, self._params, frame, self._guidance, self._reference
    )
    return self._object_ids[np.asarray(labels)]

  @property
  def probabilities(self) -> jax.Array:
    """Each object's probabilities in the last frame, float32 [K, H, W]."""
    return self._guidance
