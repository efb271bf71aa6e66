"""Step 5: objects pasted over the background."""

from collections.abc import Sequence

import numpy as np

from savos_jax.data import lucid_config as config_lib
from savos_jax.data.lucid import blending
from savos_jax.data.lucid import splitting


def merge(
  background: np.ndarray,
  labels: np.ndarray,
  layers: Sequence[splitting.Layer],
  config: config_lib.LucidConfig,
) -> tuple[np.ndarray, np.ndarray]:
  """Pastes objects, each over the ones before it.

  A pixel belongs to an object where the object is at least half opaque.

  Args:
    background: RGB uint8 [H, W, 3].
    labels: uint8 [H, W], the objects that are part of the background.
    layers: from `move_object`; all inside the picture.
    config: merge, band, feather.

  Returns:
    The frame, RGB uint8 [H, W, 3]; its labels, uint8 [H, W].
  """
  frame, labels = background.copy(), labels.copy()
  for layer in layers:
    height, width = layer.image.shape[:2]
    mask = (layer.image[..., 3] > 127).astype(np.uint8)
    if not mask.any():
      continue
    rows = slice(layer.top, layer.top + height)
    columns = slice(layer.left, layer.left + width)
    under, colours, alpha = map(
      np.ascontiguousarray,
      (frame[rows, columns], layer.image[..., :3], layer.image[..., 3]),
    )
    if config.merge == 'poisson':
      merged = blending.poisson_band(under, colours, alpha, config.band)
    else:
      merged = blending.feather(under, colours, alpha, config.feather)
    frame[rows, columns] = merged
    labels[rows, columns][mask > 0] = layer.object_id
  return frame, labels
