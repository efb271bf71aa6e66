"""One video, frame by frame (SAVOS, section 5).

The state is one reference feature and one mask an object: memory does not grow
with the length of the video.
"""

import functools
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.models import savos


@functools.partial(jax.jit, static_argnames='model')
def _encode_reference(model, params, frame, masks):
  """Encodes frame uint8 [h, w, 3] with masks float32 [K, h, w].

  Returns:
    The reference features, and the masks as the first guidance: coming out of
    a compiled function like every later one, they are placed like it, and
    `_segment` compiles once.
  """
  frames = jnp.broadcast_to(
    frame.astype(jnp.float32) / 255.0, (masks.shape[0], *frame.shape)
  )
  reference = model.apply(
    {'params': params}, frames, masks, method=savos.SAVOS.encode_reference
  )
  return reference, masks


@functools.partial(jax.jit, static_argnames=('model', 'size'))
def _segment(model, params, frame, guidance, reference, size):
  """Segments a frame for K objects.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [h, w, 3], at the network's size.
    guidance: float32 [K, h, w].
    reference: from `_encode_reference`.
    size: (H, W) of the labels.

  Returns:
    Probabilities float32 [K, h, w] and labels uint8 [H, W].
  """
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
  full = probabilities
  if size != probabilities.shape[1:]:
    shape = (probabilities.shape[0], *size)
    full = jax.image.resize(full, shape, 'bilinear', antialias=False)
  return probabilities, to_labels(full)


def to_labels(probabilities: jax.Array) -> jax.Array:
  """Labels objects that were segmented each on its own.

  Args:
    probabilities: float32 [K, H, W].

  Returns:
    uint8 [H, W]: 1 + the most probable object where that is above 0.5, else 0.
  """
  best = probabilities.argmax(axis=0).astype(jnp.uint8) + jnp.uint8(1)
  return jnp.where(probabilities.max(axis=0) > 0.5, best, jnp.uint8(0))


def network_size(height: int, width: int, short_side: int) -> tuple[int, int]:
  """Returns the size at which the network sees a frame.

  Args:
    height: of the frame, pixels.
    width: of the frame, pixels.
    short_side: what the shorter side is shrunk to, pixels; 0 shrinks nothing.

  Returns:
    (height, width): the frame's own where its shorter side is no longer than
    `short_side`, else shrunk, rounded to multiples of 32.
  """
  if not short_side or min(height, width) <= short_side:
    return height, width
  scale = short_side / min(height, width)
  multiple = savos.SIZE_MULTIPLE
  height, width = (
    max(multiple, round(side * scale / multiple) * multiple)
    for side in (height, width)
  )
  return height, width


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Shrinks as the training examples were: each pixel averages its area."""
  if image.shape[:2] == size:
    return image
  return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


class Tracker:
  """Segments the objects of one video after another."""

  def __init__(self, model: savos.SAVOS, params: Any, short_side: int = 0):
    """Keeps the network.

    Args:
      model: the network.
      params: its parameters.
      short_side: frames are shrunk to it for the network and the labels
        enlarged back, see `network_size`.
    """
    self._model = model
    self._params = params
    self._short_side = short_side
    self._size: tuple[int, int] | None = None
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
    self._size = network_size(*labels.shape, self._short_side)
    masks = np.stack(
      [
        _shrink((labels == i).astype(np.float32), self._size)
        for i in object_ids
      ]
    )
    # Entry k is the id of the tracker's object k; 0 stays the background.
    self._object_ids = np.array([0, *object_ids], np.uint8)
    self._reference, self._guidance = _encode_reference(
      self._model, self._params, _shrink(frame, self._size), masks
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
      self._model,
      self._params,
      _shrink(frame, self._size),
      self._guidance,
      self._reference,
      size=frame.shape[:2],
    )
    return self._object_ids[np.asarray(labels)]

  @property
  def probabilities(self) -> jax.Array:
    """Each object's in the last frame, float32 [K, h, w], network's size."""
    return self._guidance
