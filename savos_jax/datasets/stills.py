"""Photos with masks: a folder to records, every check of the input included."""

import logging
import pathlib

import numpy as np

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors

logger = logging.getLogger(__name__)

LAYOUT = (
  '  Expected FOLDER/images/NAME.jpg (or .jpeg, .png) and, for each of them,\n'
  '  FOLDER/masks/NAME.png: indexed, or grey with 0/255 or object ids.'
)
_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
_MASK_SUFFIXES = ('.png',)


def load(folder: str | pathlib.Path) -> list[sequences.Sequence]:
  """Opens a folder of photos, each with the mask of its objects.

  Reads every mask, for the objects' ids, and the photos' headers.

  Args:
    folder: the folder with images and masks. Photos may be of any size.

  Returns:
    One record of one frame a photo, in order of the names, with the name
    'FOLDER/STEM'. Photos whose mask is empty are left out; their number is
    logged.

  Raises:
    SavosError: no photos; a photo without a mask, or the other way round; a
      mask that is unreadable or of another size; a photo whose header is
      unreadable; only empty masks.
  """
  folder = pathlib.Path(folder).expanduser()
  for part in ('images', 'masks'):
    if not (folder / part).is_dir():
      raise errors.SavosError(f'{folder / part}: no such folder.\n{LAYOUT}')
  images = _files(folder / 'images', _IMAGE_SUFFIXES)
  mask_files = _files(folder / 'masks', _MASK_SUFFIXES)
  _check_pairs(folder, images, mask_files)
  opened = [
    _open_one(f'{folder.name}/{stem}', image, mask_files[stem])
    for stem, image in images.items()
  ]
  records = [record for record in opened if record.object_ids]
  if not records:
    raise errors.SavosError(
      f'{folder / "masks"}: all {len(opened)} masks are empty.\n'
      '  Expected at least one object: a value other than 0.'
    )
  if len(records) < len(opened):
    logger.info(
      '%s: %d of %d photos left out, their masks are empty',
      folder, len(opened) - len(records), len(opened),
    )  # fmt: skip
  return records


def _files(folder, suffixes) -> dict[str, pathlib.Path]:
  """Maps stem -> file for the visible images of a folder, sorted by name."""
  found: dict[str, pathlib.Path] = {}
  for path in sorted(folder.iterdir()):
    if path.suffix.lower() not in suffixes or path.name.startswith('.'):
      continue
    if path.stem in found:
      raise errors.SavosError(
        f'{path}: a second file named {path.stem!r}, beside '
        f'{found[path.stem].name}.\n'
        '  Expected one file a name: the name says which mask belongs to which '
        'photo. Rename or remove one of them.'
      )
    found[path.stem] = path
  if not found:
    raise errors.SavosError(
      f'{folder}: no files that end in {" or ".join(suffixes)}.\n{LAYOUT}'
    )
  return found


def _check_pairs(folder, images, mask_files) -> None:
  for have, lack, kind, part in (
    (images, mask_files, 'mask', 'masks'),
    (mask_files, images, 'photo', 'images'),
  ):
    absent = [path.name for stem, path in have.items() if stem not in lack]
    if absent:
      shown = ', '.join(absent[:5]) + (', ...' if len(absent) > 5 else '')
      raise errors.SavosError(
        f'{folder / part}: no {kind} for {len(absent)} of {len(have)} files: '
        f'{shown}.\n{LAYOUT}'
      )


def _open_one(name, image, mask_file) -> sequences.Sequence:
  height, width = masks.image_size(image)
  labels = masks.read_mask(mask_file)
  if labels.shape != (height, width):
    raise errors.SavosError(
      f'{mask_file}: {labels.shape[1]}x{labels.shape[0]} pixels (width x '
      f'height).\n  Expected {width}x{height}, the size of {image}: resize the '
      'mask with nearest neighbour, or take it from where the photo is from.'
    )
  # A count of the values takes a third of np.unique's time.
  ids = np.flatnonzero(np.bincount(labels.ravel()))
  return sequences.Sequence(
    name=name,
    frames=(image,),
    masks=(mask_file,),
    height=height,
    width=width,
    object_ids=tuple(int(i) for i in ids if i),
  )
