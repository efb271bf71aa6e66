"""Reads the masks that users provide.

Accepts more than `masks.read_mask`, which reads the masks of data sets:
colours, JPEG and one file for each object, as from drawing programs and other
tools.
"""

from collections.abc import Sequence
import logging
import os

import cv2
import numpy as np
from PIL import Image

from savos_jax.datasets import masks
from savos_jax.foundation import errors

logger = logging.getLogger(__name__)

# More colours than this are an anti-aliased picture or a photograph.
_MAX_COLOURS = 100
_MAX_OBJECTS = 254
# An object that loses more than this to a later file is worth a word.
_OVERLAP = 0.1
_ASPECT = 0.02
# MPO is a JPEG with another picture behind it, as phones write.
_JPEG = ('JPEG', 'MPO')
# Values of a JPEG between these are neither black nor white. They are right
# along an edge; an area of them this wide is something else.
_JPEG_MIDDLE = (64, 191)
_JPEG_EDGE = 5


def _error(path, found: str, hint: str) -> errors.SavosError:
  return errors.SavosError(f'{path}: {found}\n  {hint}')


def _jpeg_labels(path, pixels: np.ndarray) -> np.ndarray:
  """Cuts a black and white JPEG, RGB uint8 [H, W, 3], at half.

  JPEG changes values along edges, so nothing but two values can be told apart.
  """
  channels = pixels.astype(np.int16)
  coloured = (np.ptp(channels, axis=-1) > _JPEG_MIDDLE[0]).any()
  grey = pixels[..., 1]
  low, high = _JPEG_MIDDLE
  middle = ((grey >= low) & (grey <= high)).astype(np.uint8)
  block = np.ones((_JPEG_EDGE, _JPEG_EDGE), np.uint8)
  # What is outside of the image takes no part.
  areas = cv2.erode(middle, block).any()
  if coloured or areas or not (grey > high).any():
    what = 'a colour' if coloured else 'a grey'
    raise _error(
      path,
      f'{what} JPEG with values from {grey.min()} to {grey.max()}.',
      'Expected black (0) and white (255) only: JPEG blurs every other value. '
      'Save the mask as PNG, or as black and white, one file for each object.',
    )
  return (grey > 127).astype(np.uint8)


def _colours_of(pixels: np.ndarray, opaque: np.ndarray) -> np.ndarray:
  """Packs RGB uint8 [H, W, 3] to 0xRRGGBB int32 [H, W]; transparent is 0."""
  wide = pixels.astype(np.int32)
  packed = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
  return np.where(opaque, packed, 0)


def _colour_labels(
  path, pixels: np.ndarray, opaque: np.ndarray, colours: bool
) -> np.ndarray:
  """Numbers the colours other than black, in ascending order of (R, G, B)."""
  packed = _colours_of(pixels, opaque)
  found = np.unique(packed)
  found = found[found != 0]
  if found.size > _MAX_COLOURS:
    raise _error(
      path,
      f'a picture of {found.size} colours.',
      f'Expected a mask: black and up to {_MAX_COLOURS} colours, one for each '
      'object. A photograph is none; one that looks right is anti-aliased: '
      'draw it with a hard brush, resize with nearest neighbour, save as PNG.',
    )
  shown = ', '.join(f'#{c:06x}' for c in found[:8])
  shown += ', ...' if found.size > 8 else ''
  if not colours:
    raise _error(
      path,
      f'a picture with colours ({found.size} besides black: {shown}).',
      'Expected an indexed PNG (palette), or grey with 0/255 or object ids. If '
      'every colour is an object, add --colours.',
    )
  for number, colour in enumerate(found, 1):
    logger.info('%s: object %d is #%06x', path, number, colour)
  ids = np.searchsorted(found, packed) + 1
  return np.where(packed == 0, 0, ids).astype(np.uint8)


def _read_one(path, colours: bool, binary: bool = False) -> np.ndarray:
  """Reads one file in any form.

  Args:
    path: the file.
    colours: whether colours are objects.
    binary: whether grey above 127 is the object when nothing else but 0 is
      there, as 0/200; else it's read as ids.

  Returns:
    Labels, uint8 [H, W].

  Raises:
    SavosError: as `read`.
  """
  image = masks.open_image(path)
  if image.format in _JPEG:
    return _jpeg_labels(path, np.asarray(image.convert('RGB')))
  if image.mode.startswith('I'):
    return _wide_labels(path, np.asarray(image))
  if image.mode == 'L':
    grey = np.asarray(image)
  elif image.mode in ('LA', 'RGB', 'RGBA'):
    opaque, pixels = _opaque(image)
    if not opaque.all() and not pixels[opaque].any():
      return _cut_out(image)
    grey = np.where(opaque, pixels[..., 0], 0).astype(np.uint8)
    if (np.ptp(pixels, axis=-1)[opaque] != 0).any():
      return _colour_labels(path, pixels, opaque, colours)
  else:
    return masks.read_mask(path)
  if binary and (grey > 127).any() and not ((grey > 0) & (grey <= 127)).any():
    return (grey > 127).astype(np.uint8)
  return masks.grey_to_labels(path, grey)


def _wide_labels(path, values: np.ndarray) -> np.ndarray:
  """Reads 16 or 32 bits [H, W]: ids, or one value for the object."""
  found = np.unique(values)
  if found[-1] > masks.VOID and found[found != 0].size == 1:
    return (values > 0).astype(np.uint8)
  return masks.read_mask(path)


def _cut_out(image: Image.Image) -> np.ndarray:
  """Reads a black object on nothing; an edge is cut at half."""
  return (np.asarray(image.getchannel('A')) > 127).astype(np.uint8)


def _opaque(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
  """Returns (bool [H, W], RGB uint8 [H, W, 3]) of an image without palette.

  Fully transparent pixels hold any colour, white often: they're background.
  """
  rgba = np.asarray(image.convert('RGBA'))
  return rgba[..., 3] > 0, rgba[..., :3]


def _check_filled(path, labels: np.ndarray) -> None:
  if not labels.any():
    raise _error(
      path,
      'a mask that is all background.',
      'Expected at least one object: it defines what to follow. Black (and '
      'index 0 of a palette) is background, whatever else an object.',
    )


def fit(
  path, labels: np.ndarray, size: tuple[int, int], resize: bool
) -> np.ndarray:
  """Fits labels to the size of the video.

  Args:
    path: their source, for messages.
    labels: uint8 [H, W].
    size: (height, width) of the video.
    resize: see `read`.

  Raises:
    SavosError: they are of another size, or of another shape.
  """
  if labels.shape == tuple(size):
    return labels
  (height, width), (wanted_height, wanted_width) = labels.shape, size
  found = f'a mask of {width}x{height} pixels (width x height).'
  wanted = f'Expected {wanted_width}x{wanted_height}, as the video'
  ratio = (width * wanted_height) / (height * wanted_width)
  if max(ratio, 1 / ratio) > 1 + _ASPECT:
    turned = (width * wanted_width) / (height * wanted_height)
    hint = (
      'It seems rotated by 90 degrees: rotate it back.'
      if max(turned, 1 / turned) <= 1 + _ASPECT
      else 'Its shape differs, so a resize would shift the objects: draw it on '
      'the first frame itself, not cropped or padded.'
    )
    raise _error(path, found, f'{wanted}. {hint}')
  if not resize:
    raise _error(
      path,
      found,
      f'{wanted}: draw it on the first frame, or add --resize_mask (nearest '
      'neighbour).',
    )
  fitted = cv2.resize(
    labels,
    (wanted_width, wanted_height),
    interpolation=cv2.INTER_NEAREST_EXACT,
  )
  lost = np.setdiff1d(labels, fitted)
  if lost[lost != 0].size:
    raise _error(
      path,
      f'{found[:-1]} in which object {lost[lost != 0][0]} is tiny.',
      f'Expected one that is still there at {wanted_width}x{wanted_height}: '
      'draw the mask at that size.',
    )
  return fitted


def _merge(paths: Sequence, layers: list[np.ndarray]) -> np.ndarray:
  """Lays binary masks over each other; the k-th is object k."""
  merged = np.zeros(layers[0].shape, np.uint8)
  for number, (path, layer) in enumerate(zip(paths, layers, strict=True), 1):
    for below in np.unique(merged[(layer > 0) & (merged > 0)]):
      area = np.count_nonzero(layers[below - 1])
      covered = np.count_nonzero(layer[merged == below])
      if covered > _OVERLAP * area:
        logger.warning(
          '%s covers %.0f %% of the object in %s: the later file wins',
          path, 100 * covered / area, paths[below - 1],
        )  # fmt: skip
    merged[layer > 0] = number
  for number, path in enumerate(paths, 1):
    if not (merged == number).any():
      raise _error(
        path,
        'an object that later masks cover completely.',
        'Expected a visible part of every object; later files win. Leave it '
        'out, or name it last.',
      )
  return merged


def read(
  paths: Sequence[str | os.PathLike],
  size: tuple[int, int],
  colours: bool = False,
  resize: bool = False,
  empty: bool = False,
) -> tuple[np.ndarray, tuple[int, ...]]:
  """Reads the mask of a video's frame.

  One file holds all objects, in the forms of `masks.read_mask` or as

  - grey of 16 bits with 0 and one other value, 65535 say: that is the object;
  - a black picture with an alpha channel: what is opaque is the object;
  - RGB or RGBA with equal channels: read as grey;
  - RGB or RGBA with `colours`: every colour but black is an object, numbered
    1, 2, ... in ascending order of (R, G, B), wherever they are in the
    picture; what is fully transparent is background. Indexed files keep their
    indices, with `colours` too;
  - JPEG in black and white, cut at half.

  Several files hold one object each, as 0 and any value above 127 or as 0 and
  one id (or colour); object k is the k-th file, and later files win where they
  overlap.

  Args:
    paths: the files, one or more.
    size: (height, width) of the video.
    colours: whether colours are objects.
    resize: whether to resize a mask of another size (nearest neighbour). If the
      aspect ratio differs by more than 2 %, it is refused nevertheless.
    empty: whether a mask without objects is accepted.

  Returns:
    Labels, uint8 [H, W], 0 = background, and the ids in them, ascending.

  Raises:
    SavosError: a file cannot be read, has another size, form or shape, contains
      no object, or is one of several and contains more than one.
    ValueError: no path.
  """
  if not paths:
    raise ValueError('no mask files')
  if len(paths) > _MAX_OBJECTS:
    raise _error(
      paths[0],
      f'the first of {len(paths)} masks.',
      f'Expected at most {_MAX_OBJECTS} objects.',
    )
  layers = []
  for path in paths:
    layer = _read_one(path, colours, binary=len(paths) > 1)
    if not empty:
      _check_filled(path, layer)
    if len(paths) > 1:
      _check_one(path, layer)
      layer = (layer > 0).astype(np.uint8)
    layers.append(fit(path, layer, size, resize))
  labels = _merge(paths, layers) if len(paths) > 1 else layers[0]
  return labels, tuple(int(i) for i in np.unique(labels) if i)


def _check_one(path, labels: np.ndarray) -> None:
  ids = np.unique(labels[labels > 0])
  if ids.size > 1:
    shown = ', '.join(map(str, ids[:8])) + (', ...' if ids.size > 8 else '')
    raise _error(
      path,
      f'a mask of {ids.size} objects ({shown}).',
      'Expected one object in each of several files: give this file alone, or '
      'one file for each object.',
    )
