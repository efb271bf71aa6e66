"""Object masks as image files: reading every form in use, writing one.

In memory a mask is `labels`, uint8 [H, W]: 0 is the background, 1..K are the
objects. On disk it is written as an indexed PNG with the PASCAL VOC palette,
the form that the DAVIS 2017 tools expect.
"""

import os
import pathlib

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from savos_jax.foundation import errors
from savos_jax.foundation import files

# In the data sets 255 marks pixels that belong to no object ("void").
VOID = 255
# Greyscale masks with larger values than this are taken for anti-aliased
# pictures of a mask; no data set has that many objects in a sequence.
_MAX_GREY_ID = 100


def pascal_palette() -> np.ndarray:
  """The PASCAL VOC colour map, uint8 [256, 3]: bit-reversed index bits.

  DAVIS' own palette differs from it in some entries by one (191 for 192); the
  colours are for people only, programs read the indices.
  """
  index = np.arange(256)
  palette = np.zeros((256, 3), np.uint8)
  for shift in range(8):
    for channel in range(3):
      bit = (index >> (3 * shift + channel)) & 1
      palette[:, channel] |= (bit << (7 - shift)).astype(np.uint8)
  return palette


_PALETTE = pascal_palette().tobytes()


def _image_error(path, found: str, hint: str) -> errors.SavosError:
  return errors.SavosError(f'{path}: {found}\n  {hint}')


def open_image(path: str | os.PathLike) -> Image.Image:
  """Opens an image file and decodes it whole.

  Args:
    path: the file.

  Returns:
    The decoded PIL image.

  Raises:
    SavosError: the file is missing, is no image, or ends early.
  """
  try:
    # `with` closes the file of a damaged image too; the pixels stay.
    with Image.open(path) as image:
      image.load()
  except FileNotFoundError:
    raise _image_error(
      path, 'file not found.', 'Expected an image file here.'
    ) from None
  except UnidentifiedImageError:
    size = pathlib.Path(path).stat().st_size
    raise _image_error(
      path,
      f'not an image ({size} bytes).',
      'Expected a JPEG or PNG file. Copy the file again from its source.',
    ) from None
  except (OSError, SyntaxError, ValueError) as error:
    raise _image_error(
      path,
      f'damaged image: {error}.',
      'Expected a whole JPEG or PNG file. Copy it again from its source.',
    ) from None
  return image


def image_size(path: str | os.PathLike) -> tuple[int, int]:
  """Returns (height, width) from the header alone.

  Raises:
    SavosError: as `open_image`, except damage past the header.
  """
  try:
    with Image.open(path) as image:
      return image.height, image.width
  except (OSError, SyntaxError, ValueError):
    opened = open_image(path)
    return opened.height, opened.width


def read_frame(path: str | os.PathLike) -> np.ndarray:
  """Reads one video frame.

  Args:
    path: a JPEG or PNG file, colour or grey.

  Returns:
    RGB, uint8 [H, W, 3].

  Raises:
    SavosError: as `open_image`.
  """
  return np.asarray(open_image(path).convert('RGB'))


def _without_void(values: np.ndarray) -> np.ndarray:
  """Turns 255 into background, or into object 1 where it is the only value.

  Masks of only 0 and 255 are binary, as in DAVIS 2016.
  """
  void = values == VOID
  if not void.any():
    return values.copy()  # An image's own pixels can't be written to.
  if np.count_nonzero(void) == np.count_nonzero(values):
    return void.view(np.uint8)
  return np.where(void, np.uint8(0), values)


def grey_to_labels(path: str | os.PathLike, values: np.ndarray) -> np.ndarray:
  """Reads grey values as 0/255 or as object ids.

  Args:
    path: where they are from, for the message.
    values: uint8 [H, W].

  Returns:
    Labels, uint8 [H, W].

  Raises:
    SavosError: they look like an anti-aliased picture of a mask.
  """
  labels = _without_void(values)
  # Counting all values takes about as long as decoding: only where one is off.
  if labels.max(initial=0) > _MAX_GREY_ID:
    found = np.unique(values)
    shown = ', '.join(map(str, found[:8])) + (', ...' if found.size > 8 else '')
    raise _image_error(
      path,
      f'a grey mask with {found.size} different values ({shown}).',
      'Expected 0/255, or object ids 0, 1, 2, ... The mask looks '
      'anti-aliased, as after a resize with interpolation or a save as JPEG: '
      'resize masks with nearest neighbour and save them as PNG.',
    )
  return labels


def read_mask(path: str | os.PathLike) -> np.ndarray:
  """Reads an object mask.

  Indexed PNGs give their indices, grey ones 0..K their values, 0/255 becomes
  0/1; an alpha channel on grey (mode LA) is dropped; 255 beside other ids is
  void and becomes background.

  Args:
    path: the mask file.

  Returns:
    Labels, uint8 [H, W], 0 = background.

  Raises:
    SavosError: as `open_image`; an RGB picture; an anti-aliased mask.
  """
  image = open_image(path)
  if image.mode == 'P':
    return _without_void(np.asarray(image))
  if image.mode == '1':
    return np.asarray(image).astype(np.uint8)
  if image.mode == 'LA':
    return grey_to_labels(path, np.asarray(image)[..., 0])
  if image.mode in ('L', 'I;16', 'I'):
    values = np.asarray(image)
    if values.max(initial=0) > VOID:
      raise _image_error(
        path,
        f'a {image.mode} mask with values up to {values.max()}.',
        'Expected 8 bits a pixel: 0/255 or object ids 0, 1, 2, ...',
      )
    return grey_to_labels(path, values.astype(np.uint8, copy=False))
  raise _image_error(
    path,
    f'a {image.mode} picture.',
    'Expected a mask: an indexed PNG (palette, one index an object), or grey '
    'with 0/255 or object ids. Colours carry no ids: save it as indexed PNG.',
  )


def write_mask(path: str | os.PathLike, labels: np.ndarray) -> None:
  """Writes labels as an indexed PNG; the file appears whole or not at all.

  Args:
    path: where; the folder is made if need be.
    labels: uint8 [H, W].

  Raises:
    SavosError: the file can't be written.
  """
  image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
  image.putpalette(_PALETTE)
  with files.replacing(path) as partial:
    image.save(partial, format='PNG')
