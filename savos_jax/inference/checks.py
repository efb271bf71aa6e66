"""Validates the frames and masks given to a tracker."""

import numpy as np

from savos_jax.foundation import errors
from savos_jax.inference import geometry as geometry_lib


def check_frame(
  frame: np.ndarray, geometry: geometry_lib.Geometry | None
) -> None:
  """Checks that an array is a frame of the current video.

  Args:
    frame: the array to check; valid if RGB uint8 [H, W, 3].
    geometry: the video's; None if no video has been started.

  Raises:
    SavosError: the array is not a frame, or its size differs from the video's.
  """
  if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
    raise errors.SavosError(
      f'a frame of shape {frame.shape}, {frame.dtype}.\n'
      '  Expected RGB, uint8 [height, width, 3].'
    )
  if geometry and frame.shape[:2] != geometry.shape:
    height, width = geometry.shape
    raise errors.SavosError(
      f'a frame of {frame.shape[1]}x{frame.shape[0]} pixels (width x '
      f'height).\n  Expected {width}x{height}, as the first frame: begin '
      'another video with start or reset.'
    )


def prepare_mask(
  mask: np.ndarray, geometry: geometry_lib.Geometry
) -> np.ndarray:
  """Converts a mask to the network's input.

  Args:
    mask: an object's, [H, W]: bool, integers (the object is above 0) or
      probabilities.
    geometry: the video's.

  Returns:
    The mask as float32, resized and padded.

  Raises:
    SavosError: the mask is empty, differs in size from the frames, or holds
      values above 1.
  """
  mask = np.asarray(mask)
  if mask.shape != geometry.shape:
    raise errors.SavosError(
      f'a mask of shape {mask.shape}.\n'
      f"  Expected {geometry.shape}, its frame's height and width."
    )
  if not np.issubdtype(mask.dtype, np.floating):
    mask = mask > 0
  mask = mask.astype(np.float32)
  if not mask.max() > 0 or not mask.max() <= 1:
    raise errors.SavosError(
      f'a mask with values up to {mask.max():g}.\n'
      '  Expected an object: at least one pixel above 0, and none above 1.'
    )
  return geometry.prepare(mask)
