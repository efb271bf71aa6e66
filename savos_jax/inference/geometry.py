"""Maps a video's frames to the network's input sizes."""

from collections.abc import Hashable
import dataclasses
from typing import Any

import cv2
import numpy as np

from savos_jax.inference import options
from savos_jax.inference import scales
from savos_jax.inference import zoom
from savos_jax.models import savos_config


def network_size(height: int, width: int, short_side: int) -> tuple[int, int]:
  """Returns the size at which the network sees a frame.

  Args:
    height: the frame's, pixels.
    width: the frame's, pixels.
    short_side: limit for the shorter side, pixels; 0 disables shrinking.

  Returns:
    (height, width): unchanged if the shorter side is at most `short_side`,
    otherwise shrunk and rounded to multiples of 32.
  """
  if not short_side or min(height, width) <= short_side:
    return height, width
  scale = short_side / min(height, width)
  return _rounded(height * scale, width * scale)


def _rounded(height: float, width: float) -> tuple[int, int]:
  """Rounds a size to multiples of 32, at least 32."""
  multiple = savos_config.SIZE_MULTIPLE
  height, width = (
    max(multiple, round(side / multiple) * multiple) for side in (height, width)
  )
  return height, width


@dataclasses.dataclass(frozen=True)
class Geometry:
  """The sizes of a video; all are (height, width) in pixels.

  Attributes:
    shape: the size of its frames.
    size: the size that frames are resized to before padding.
    views: how the network sees the frames.
    windows: how the windows shown in the views are placed; None: the views show
      the whole frame.
  """

  shape: tuple[int, int]
  size: tuple[int, int]
  views: tuple[scales.View, ...]
  windows: zoom.Windows | None = None

  @property
  def padding(self) -> tuple[int, int]:
    """Rows to add below and columns on the right, up to multiples of 32."""
    return savos_config.padding_to_multiple(*self.size)

  @property
  def padded(self) -> tuple[int, int]:
    """The size with padding."""
    bottom, right = self.padding
    return self.size[0] + bottom, self.size[1] + right

  @property
  def static(self) -> dict[str, Any]:
    """The static arguments of the compiled functions."""
    # A window's size is known only at run time, and so is passed as an array.
    any_size = self.windows or all(view.plain for view in self.views)
    return {
      'views': self.views,
      'static_size': None if any_size else self.size,
      'windows': self.windows,
    }

  @property
  def pixels(self) -> int:
    """The most pixels that the network sees of an object at once."""
    height, width = self.size
    return max(
      height * width if view.plain else view.height * view.width
      for view in self.views
    )

  @property
  def labels_size(self) -> tuple[int, int] | None:
    """The size of the labels; None if it is the network's."""
    return None if self.size == self.shape else self.shape

  @property
  def kind(self) -> Hashable:
    """A key that is equal for videos sharing one compilation."""
    return (self.padded, *self.static.values(), self.labels_size)

  def prepare(self, image: np.ndarray) -> np.ndarray:
    """Resizes and pads a frame or a mask [H, W, ...] for the network."""
    height, width = image.shape[:2]
    large = max(height, self.size[0]), max(width, self.size[1])
    if large != (height, width):  # INTER_AREA enlarges by repeating pixels.
      image = cv2.resize(image, large[::-1], interpolation=cv2.INTER_LINEAR)
    if large != self.size:
      # Area averaging, as for the training examples.
      image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA)
    bottom, right = self.padding
    rest = [(0, 0)] * (image.ndim - 2)
    return np.pad(image, [(0, bottom), (0, right), *rest])


def of(
  shape: tuple[int, int],
  config: options.InferenceConfig,
  pixel_aspect: float = 1.0,
) -> Geometry:
  """Returns the sizes of a video.

  Args:
    shape: height and width of its frames, pixels.
    config: how it is segmented.
    pixel_aspect: pixel aspect ratio, displayed width over height.
  """
  scale, flip = config.scales, config.flip
  shown = _shown(*shape, pixel_aspect)
  if not config.zoom:
    size = network_size(*shown, config.short_side)
    return Geometry(shape, size, scales.views(*size, scale, flip))
  height, width = _rounded(*network_size(*shown, config.short_side))
  # Large enough that even the smallest window is not enlarged for the network.
  size = network_size(*shown, round(config.short_side / zoom.SMALLEST))
  views = scales.views(height, width, scale, flip, plain=False)
  windows = zoom.Windows(config.zoom, config.lost_confidence, config.stray)
  return Geometry(shape, size, views, windows)


def _shown(height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
  """Returns the display size, with square pixels.

  Apart from rounding, no side shrinks. The size is a multiple of 32, so a frame
  that has to be resized anyway needs no padding.
  """
  if pixel_aspect == 1:
    return height, width
  if pixel_aspect < 1:
    return _rounded(height / pixel_aspect, width)
  return _rounded(height, width * pixel_aspect)
