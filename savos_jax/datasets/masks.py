"""Object masks as image files: reads every common form, writes one.

In memory a mask is `labels`, uint8 [H, W]: 0 is the background, 1..K are the
objects. On disk it is an indexed PNG with the PASCAL VOC palette, as the DAVIS
2017 tools expect.
"""

from collections.abc import Callable
import io
import os
from typing import TypeVar
import warnings

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from savos_jax.foundation import errors
from savos_jax.foundation import files

_Made = TypeVar('_Made')
# In the data sets 255 marks pixels that belong to no object ("void").
VOID = 255
# Greyscale masks with larger values than this are taken for anti-aliased
# pictures of a mask; no data set has that many objects in a sequence.
_MAX_GREY_ID = 100
# Whatever a file's name says; others make Pillow start programs (EPS).
FORMATS = ('PNG', 'JPEG', 'BMP', 'WEBP', 'TIFF', 'GIF')
# A small file may declare any size: 400 MB as RGB are enough.
MOST_PIXELS = 1 << 27
_SMALLER = (
  f'Expected at most {MOST_PIXELS / 1e6:.0f} million pixels, as 16384x8192: '
  'make it smaller.'
)
# Of less than `MOST_PIXELS`; what has more is refused with our words.
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


def pascal_palette() -> np.ndarray:
  """The PASCAL VOC colour map, uint8 [256, 3]: bit-reversed index bits.

  Some entries of DAVIS' own palette differ by one (191 for 192). The colours
  are only for people; programs read the indices.
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


def _check_picture(image: Image.Image, where) -> None:
  """Refuses, before any pixel is read, what is too large or more than one."""
  if image.width * image.height > MOST_PIXELS:
    raise _image_error(
      where, f'an image of {image.width}x{image.height} pixels.', _SMALLER
    )
  # A phone's JPEG may have a second picture behind it, as for its HDR.
  if getattr(image, 'is_animated', False) and image.format != 'MPO':
    raise _image_error(
      where,
      f'a {image.format} of several pictures, an animation.',
      'Expected one picture: save the right one as PNG. Give a video as a '
      'video file, or as a folder with one image for each frame.',
    )


def _whole(image: Image.Image) -> Image.Image:
  image.load()
  return image


def _decode(source, where, use: Callable[[Image.Image], _Made]) -> _Made:
  """Opens a picture: the one place where Pillow is given somebody's bytes.

  Args:
    source: a path, or a binary file.
    where: its name, for messages.
    use: makes something of the picture while its file is open.

  Returns:
    What it made.
  """
  try:
    # `with` closes the file of a damaged image too; the pixels stay.
    with Image.open(source, formats=FORMATS) as image:
      _check_picture(image, where)
      return use(image)
  except errors.SavosError:
    raise
  except UnidentifiedImageError:
    in_memory = isinstance(source, io.BytesIO)
    size = len(source.getvalue()) if in_memory else os.path.getsize(source)
    raise _image_error(
      where,
      f'not an image ({size} bytes).',
      f'Expected one of {", ".join(FORMATS)}, by its content. Copy the file '
      'again from its source.',
    ) from None
  except (Image.DecompressionBombError, Image.DecompressionBombWarning):
    raise _image_error(
      where, 'an image of too many pixels.', _SMALLER
    ) from None
  except Exception as error:  # Pillow's readers have no common base.
    if errors.is_of_system(error):
      raise
    raise _image_error(
      where,
      f'damaged image: {error or type(error).__name__}.',
      'Expected a complete JPEG or PNG file. Copy it again from its source.',
    ) from None


def open_image(path: str | os.PathLike) -> Image.Image:
  """Opens and fully decodes an image file.

  Args:
    path: the file, in one of `FORMATS`, whatever its suffix.

  Returns:
    The decoded PIL image.

  Raises:
    SavosError: the file is missing, not a file, not an image or truncated, has
      more than `MOST_PIXELS`, or holds several pictures.
  """
  return use_image(path, _whole)


def use_image(
  path: str | os.PathLike, use: Callable[[Image.Image], _Made]
) -> _Made:
  """Opens an image file and applies a function to it.

  Args:
    path: see `open_image`.
    use: the function; the image is not decoded yet. Exceptions of Pillow in it
      count as damage of the image.

  Returns:
    What the function returned.

  Raises:
    SavosError: as `open_image`.
  """
  found = files.problem(path)
  if found:
    raise _image_error(
      path, f'{found}.', 'Expected an image file that can be read.'
    )
  return _decode(path, path, use)


def decode_image(data: bytes, where: str | os.PathLike) -> Image.Image:
  """Decodes an image in memory.

  Args:
    data: bytes in one of `FORMATS`.
    where: names it, for messages.

  Returns:
    The decoded PIL image.

  Raises:
    SavosError: as `open_image`.
  """
  return _decode(io.BytesIO(data), where, _whole)


def use_image_data(
  data: bytes, where: str | os.PathLike, use: Callable[[Image.Image], _Made]
) -> _Made:
  """Applies a function to an image in memory, as `use_image` to a file.

  Args:
    data: see `decode_image`.
    where: see there.
    use: see `use_image`.

  Raises:
    SavosError: as `open_image`, or raised by `use`.
  """
  return _decode(io.BytesIO(data), where, use)


def check_image(data: bytes, where: str | os.PathLike) -> None:
  """Checks by the header alone whether `decode_image` would refuse an image.

  Args:
    data: see there.
    where: see there.

  Raises:
    SavosError: as `open_image`, except damage past the header.
  """
  _decode(io.BytesIO(data), where, lambda image: None)


def image_size(path: str | os.PathLike) -> tuple[int, int]:
  """Returns (height, width) from the header alone.

  Raises:
    SavosError: as `open_image`, except damage past the header.
  """
  return use_image(path, lambda image: (image.height, image.width))


def read_frame(path: str | os.PathLike) -> np.ndarray:
  """Reads one video frame.

  Args:
    path: a JPEG or PNG file, colour or grey.

  Returns:
    RGB, uint8 [H, W, 3].

  Raises:
    SavosError: as `open_image`.
  """
  return use_image(path, lambda image: np.asarray(image.convert('RGB')))


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
    SavosError: the values look like an anti-aliased mask.
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

  Indexed PNGs are read by index and grey ones by value. 0/255 becomes 0/1. An
  alpha channel on grey (mode LA) is dropped. 255 beside other ids is void and
  becomes background.

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
    'Expected a mask: an indexed PNG (palette, one index for each object), or '
    'grey with 0/255 or object ids. Colours carry no ids: save it as indexed '
    'PNG.',
  )


def _indexed(labels: np.ndarray) -> Image.Image:
  image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
  image.putpalette(_PALETTE)
  return image


def encode_mask(labels: np.ndarray) -> bytes:
  """Returns the bytes that `write_mask` writes for labels, uint8 [H, W]."""
  file = io.BytesIO()
  _indexed(labels).save(file, format='PNG')
  return file.getvalue()


def write_mask(path: str | os.PathLike, labels: np.ndarray) -> None:
  """Writes labels as an indexed PNG, atomically.

  Args:
    path: the file; its folder is created if necessary.
    labels: uint8 [H, W].

  Raises:
    SavosError: the file cannot be written.
  """
  image = _indexed(labels)
  with files.replacing(path) as partial:
    image.save(partial, format='PNG')
