"""Objects cut out of a frame: transparent pictures and green screens.

`overlay.write_png` writes them.
"""

import cv2
import numpy as np

# The usual colour of chroma key cloth: rarer in pictures than pure green, and
# less of it spills over in a video with halved colour resolution.
GREEN = (0, 177, 64)


def matte(labels: np.ndarray, feather: float = 0.0) -> np.ndarray:
  """Returns the opacity of each pixel, float32 [H, W], 0..1.

  The edge fades inwards, so that no background shows. It does not fade at the
  border of the image.

  Args:
    labels: integers [H, W], 0 = background, anything else is object.
    feather: width of the soft edge, pixels; 0: a hard edge.

  Raises:
    ValueError: feather below 0.
  """
  if feather < 0:
    raise ValueError(f'feather {feather}: expected 0 or more')
  inside = (labels > 0).astype(np.uint8)
  # A pixel at the edge has distance 1.
  distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
  return np.clip(distance / (feather + 1), 0, 1).astype(np.float32)


def _check(frame: np.ndarray, plane: np.ndarray) -> None:
  if plane.shape != frame.shape[:2]:
    raise ValueError(f'a mask {plane.shape} for a frame {frame.shape}')


def rgba(
  frame: np.ndarray,
  labels: np.ndarray,
  feather: float = 0.0,
  alpha: np.ndarray | None = None,
  spread: int = 0,
) -> np.ndarray:
  """Cuts all objects out of a frame.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: integers [H, W], 0 = background.
    feather: width of the soft edge, pixels; ignored with `alpha`.
    alpha: float32 [H, W], 0..1, the probability of any object, which gives a
      soft edge; replaces the labels.
    spread: width of a transparent rim around the objects, pixels, that keeps
      its colours, because compression would mix black into the edges.

  Returns:
    RGBA uint8 [H, W, 4], not premultiplied; transparent pixels are black, which
    makes files small.

  Raises:
    ValueError: sizes differ, or feather is below 0.
  """
  alpha = matte(labels, feather) if alpha is None else alpha
  _check(frame, alpha)
  opacity = np.rint(255 * np.clip(alpha, 0, 1)).astype(np.uint8)
  kept = cv2.dilate(opacity, np.ones((2 * spread + 1,) * 2, np.uint8))
  coloured = np.where(kept[..., None] > 0, frame, 0)
  return np.dstack([coloured, opacity])


def green_screen(frame: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Replaces the background by `GREEN`; returns RGB uint8 [H, W, 3].

  Args:
    frame: RGB uint8 [H, W, 3].
    alpha: float32 [H, W], 0..1, as from `matte`.

  Raises:
    ValueError: sizes differ.
  """
  _check(frame, alpha)
  share = np.clip(alpha, 0, 1).astype(np.float32)[..., None]
  mixed = share * frame + (1 - share) * np.array(GREEN, np.float32)
  return np.rint(mixed).astype(np.uint8)
