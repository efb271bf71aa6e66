"""Pictures of the worst frames of a video."""

from collections.abc import Callable
import dataclasses
import io

import cv2
import numpy as np
from PIL import Image

from savos_jax.datasets import sequences
from savos_jax.pictures import overlay

# Kinds of wrong pixels: colours of Okabe and Ito, told apart with any colour
# vision and on the grey that the frame is turned into.
FALSE_POSITIVE = (230, 159, 0)
FALSE_NEGATIVE = (0, 114, 178)
WRONG_OBJECT = (204, 60, 140)
_QUALITY = 70


@dataclasses.dataclass(frozen=True)
class Picture:
  """One small picture.

  Attributes:
    kind: 'prediction', 'ground truth' or 'error'.
    jpeg: content of the JPEG file.
    width: pixels.
    height: pixels.
    note: figures about it; may be empty.
  """

  kind: str
  jpeg: bytes
  width: int
  height: int
  note: str = ''


def worst(quality: np.ndarray, count: int = 3) -> list[int]:
  """Selects the worst frames, at a distance from one another.

  After an object is lost, the worst frames are consecutive and look alike, so
  the selected ones are at least a tenth of the video apart.

  Args:
    quality: float [n], for each frame; nan is never selected.
    count: largest number of frames.

  Returns:
    Indices, the worst first.
  """
  gap = max(1, quality.size // 10)
  picked: list[int] = []
  for index in np.argsort(quality, kind='stable'):
    if len(picked) == count or np.isnan(quality[index]):
      break
    if all(abs(int(index) - other) >= gap for other in picked):
      picked.append(int(index))
  return picked


def classify(
  labels: np.ndarray, video: sequences.Sequence, index: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Compares a prediction with the ground truth, pixel by pixel.

  Args:
    labels: the prediction, uint8 [H, W].
    video: the sequence.
    index: of the frame.

  Returns:
    The true labels, uint8 [H, W], and the bool masks [H, W] of the kinds of
    wrong pixels: 'false positive', 'false negative', 'wrong object'. Ignored
    pixels are in none.

  Raises:
    SavosError: the annotation cannot be read.
  """
  truth = np.zeros_like(labels)
  right, ignored = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
  for object_id, mask, void in video.truth(index).objects:
    truth[mask] = object_id
    right |= mask & (labels == object_id)
    if void is not None:
      ignored |= void
  predicted, true = labels > 0, truth > 0
  kinds = {
    'false positive': predicted & ~true & ~ignored,
    'false negative': true & ~predicted & ~ignored,
    'wrong object': predicted & true & ~right & ~ignored,
  }
  return truth, kinds


def draw_errors(frame: np.ndarray, kinds: dict[str, np.ndarray]) -> np.ndarray:
  """Paints the wrong pixels over a grey frame.

  Args:
    frame: RGB uint8 [H, W, 3].
    kinds: from `classify`.

  Returns:
    RGB uint8 [H, W, 3].
  """
  grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
  # Less contrast: no bright sky outshines the colours.
  picture = np.repeat((40 + grey // 2)[..., None].astype(np.uint8), 3, axis=-1)
  colours = (FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_OBJECT)
  for mask, colour in zip(kinds.values(), colours, strict=True):
    picture[mask] = colour
  return picture


def _jpeg(picture: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, 'JPEG', quality=_QUALITY, optimize=True)
  return buffer.getvalue()


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def pictures(
  video: sequences.Sequence,
  labels_of: Callable[[int], np.ndarray],
  index: int,
  width: int,
) -> list[Picture]:
  """Draws prediction, ground truth and error of a frame.

  Args:
    video: the sequence, with its frames.
    labels_of: frame index -> predicted labels, uint8 [H, W].
    index: of the frame.
    width: of each picture, pixels; a smaller frame is not enlarged.

  Returns:
    The three pictures.

  Raises:
    SavosError: a frame, a mask or an annotation cannot be read.
  """
  frame, labels = video.frame(index), labels_of(index)
  if video.merge_objects:
    labels = (labels > 0).astype(np.uint8)
  video.check_size(video.frames[index], labels)
  truth, kinds = classify(labels, video, index)
  width = min(width, video.width)
  height = max(1, round(video.height * width / video.width))
  shares = ', '.join(
    f'{100 * mask.mean():.1f} % of the pixels {kind}'
    for kind, mask in kinds.items()
    if kind != 'wrong object' or mask.any()
  )
  drawn = (
    ('prediction', overlay.cell(frame, labels, height), ''),
    ('ground truth', overlay.cell(frame, truth, height), ''),
    ('error', _shrunk(draw_errors(frame, kinds), (width, height)), shares),
  )
  return [
    Picture(kind, _jpeg(picture), picture.shape[1], height, note)
    for kind, picture, note in drawn
  ]
