"""Draws masks over frames: overlays and strips."""

from collections.abc import Callable
from collections.abc import Mapping
import os

import cv2
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from savos_jax.datasets import sequences
from savos_jax.foundation import files

# Paul Tol's "vibrant" scheme (Colour schemes, SRON/EPS/TN/09-002, 2021) with
# Okabe and Ito's yellow for its grey: told apart with any colour vision. The
# colours that are rare in photographs come first.
_PALETTE = np.array(
  [
    (238, 51, 119),  # Magenta.
    (51, 187, 238),  # Cyan.
    (240, 228, 66),  # Yellow.
    (0, 119, 187),  # Blue.
    (238, 119, 51),  # Orange.
    (0, 153, 136),  # Teal.
    (204, 51, 17),  # Red.
  ],
  np.uint8,
)
_MARGIN = 4
_PAPER = 255
_INK = (0, 0, 0)


def colour(object_id: int) -> tuple[int, int, int]:
  """Returns the RGB colour, 0..255, of an object; colours repeat after 14 ids.

  Args:
    object_id: 1 or more. Ids 8..14 have darker variants of the colours of 1..7.
  """
  shade, index = divmod(object_id - 1, len(_PALETTE))
  scale = 0.55 if shade % 2 else 1.0
  red, green, blue = (int(scale * value) for value in _PALETTE[index])
  return red, green, blue


def _disk(radius: int) -> np.ndarray:
  size = 2 * radius + 1
  return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def draw(
  frame: np.ndarray,
  labels: np.ndarray,
  alpha: float = 0.5,
  colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> np.ndarray:
  """Blends every object's colour into a frame and outlines it.

  The outline has the full colour just inside the object and a dark line just
  outside, so it is visible on any background.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: integers [H, W], 0 = background.
    alpha: opacity of the colour inside the object, 0..1.
    colours: RGB of some objects by id, instead of `colour`.

  Returns:
    RGB uint8 [H, W, 3].

  Raises:
    ValueError: labels and frame differ in size.
  """
  if labels.shape != frame.shape[:2]:
    raise ValueError(f'labels {labels.shape} over a frame {frame.shape}')
  thickness = max(1, round(min(labels.shape) / 240))
  picture = frame.copy()
  halo = np.zeros(labels.shape, bool)
  for object_id in np.unique(labels[labels > 0]):
    chosen = (colours or {}).get(int(object_id))
    paint = np.array(chosen or colour(int(object_id)))
    inside = (labels == object_id).astype(np.uint8)
    # Outside of the image counts as object: no line along the image's border.
    core = cv2.erode(inside, _disk(thickness)).view(bool)
    mask = inside.view(bool)
    mixed = (1 - alpha) * frame[core] + alpha * paint
    picture[core] = np.rint(mixed).astype(np.uint8)
    picture[mask & ~core] = paint
    halo |= cv2.dilate(inside, _disk(max(1, thickness // 2))).view(bool)
  picture[halo & (labels == 0)] = picture[halo & (labels == 0)] // 4
  return picture


def _font(height: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
  return ImageFont.load_default(max(10, height // 12))


def tag(picture: np.ndarray, text: str) -> np.ndarray:
  """Writes text on a light patch in the upper left corner.

  Args:
    picture: RGB uint8 [H, W, 3].
    text: a single line.

  Returns:
    RGB uint8 [H, W, 3].
  """
  image = Image.fromarray(picture)
  pen = ImageDraw.Draw(image)
  font = _font(picture.shape[0])
  left, top, right, bottom = pen.textbbox((_MARGIN, _MARGIN), text, font=font)
  pen.rectangle((0, 0, right + left, bottom + top // 2), fill=(_PAPER,) * 3)
  pen.text((_MARGIN, _MARGIN), text, font=font, fill=_INK)
  return np.asarray(image)


def caption(text: str, height: int) -> np.ndarray:
  """Draws text that reads upwards, RGB uint8 [height, w, 3].

  Args:
    text: a single line, cut off at both ends if longer than the height.
    height: of the adjacent picture, pixels.
  """
  font = _font(height)
  left, _, right, _ = font.getbbox(text)
  bottom = font.getbbox('Ag')[3]  # Not the text's: all captions are as wide.
  size = (height, int(bottom) + 2 * _MARGIN)
  image = Image.new('RGB', size, (_PAPER,) * 3)
  x = (height - (right - left)) // 2 - left
  ImageDraw.Draw(image).text((x, _MARGIN), text, font=font, fill=_INK)
  return np.rot90(np.asarray(image))


def cell(
  frame: np.ndarray, labels: np.ndarray, height: int, alpha: float = 0.5
) -> np.ndarray:
  """Draws a small overlay, with the line width of the small size.

  Args:
    frame: RGB uint8 [H, W, 3].
    labels: uint8 [H, W], 0 = background.
    height: of the result, pixels.
    alpha: opacity of the colour inside objects, 0..1.

  Returns:
    RGB uint8 [height, w, 3], with the proportions of the frame.
  """
  width = max(1, round(frame.shape[1] * height / frame.shape[0]))
  shrinks = height < frame.shape[0]
  how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  small = cv2.resize(frame, (width, height), interpolation=how)
  small_labels = cv2.resize(
    labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
  )
  return draw(small, small_labels, alpha)


def beside(pictures: list[np.ndarray], axis: int) -> np.ndarray:
  """Joins pictures along an axis with a white gap between them.

  Args:
    pictures: RGB uint8, equal in size except along the axis.
    axis: 0 stacks them, 1 places them side by side.

  Returns:
    RGB uint8.
  """
  gap_shape = list(pictures[0].shape)
  gap_shape[axis] = _MARGIN
  gap = np.full(gap_shape, _PAPER, np.uint8)
  parts = [part for picture in pictures for part in (picture, gap)]
  return np.concatenate(parts[:-1], axis=axis)


def strip(
  sequence: sequences.Sequence,
  labels_of: Callable[[int], np.ndarray],
  count: int = 6,
  truth: bool = True,
  height: int = 180,
) -> np.ndarray:
  """Places frames of a video side by side, prediction above ground truth.

  Args:
    sequence: the video; if it merges objects, so does the picture.
    labels_of: frame index -> predicted labels uint8 [H, W].
    count: frames to show, evenly spaced from the first to the last; fewer in a
      shorter video. With ground truth, only annotated ones.
    truth: whether to add the ground truth, if there is more than the first
      mask.
    height: of one frame in the picture, pixels.

  Returns:
    RGB uint8; frames are numbered and rows named.

  Raises:
    SavosError: a frame or mask cannot be read.
    ValueError: count or height below 1, or labels of another size.
  """
  if count < 1 or height < 1:
    raise ValueError(f'count {count}, height {height}: expected 1 or more')
  frames, sources = range(len(sequence)), [('prediction', labels_of)]
  if truth and (len(sequence.annotated) > 1 or len(sequence) == 1):
    frames = sequence.annotated
    sources.append(('ground truth', sequence.labels))
  rows = [[caption(name, height)] for name, _ in sources]
  picked = np.linspace(0, len(frames) - 1, min(count, len(frames)))
  for index in (frames[i] for i in np.rint(picked).astype(int)):
    frame = sequence.frame(index)
    for row, (_, source) in zip(rows, sources, strict=True):
      labels = np.asarray(source(index), np.uint8)
      if sequence.merge_objects:
        labels = (labels > 0).astype(np.uint8)
      row.append(tag(cell(frame, labels, height), str(index)))
  return beside([beside(row, axis=1) for row in rows], axis=0)


def write_png(path: str | os.PathLike, picture: np.ndarray) -> None:
  """Writes a picture atomically and creates its folder if necessary.

  Args:
    path: the file.
    picture: RGB or RGBA uint8, [H, W, 3 or 4].

  Raises:
    SavosError: the file cannot be written.
  """
  with files.replacing(path) as partial:
    Image.fromarray(picture).save(partial, format='PNG')
