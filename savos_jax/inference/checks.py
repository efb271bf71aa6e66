"""What a tracker refuses of frames and masks."""

import numpy as np

from savos_jax.foundation import errors
from savos_jax.inference import geometry as geometry_lib


def check_frame(
  frame: np.ndarray, geometry: geometry_lib.Geometry | None
) -> None:
  """Refuses what is no frame, or none of a video that has begun.

  Args:
    frame: RGB uint8 [H, W, 3], if it is one.
    geometry: of the video; None: it has not begun.

  Raises:
    SavosError: it is none.
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
  """Returns a mask as the network takes it.

  Args:
    mask: of an object: bool, 0 and more, or probabilities, [H, W].
    geometry: of the video.

  Returns:
    Float32, shrunk and padded.

  Raises:
    SavosError: it is empty, of another size than the frames, or holds values
      above 1.
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
