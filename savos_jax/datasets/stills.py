"""Photos with masks: reads a folder into records, with all checks."""

import logging
import pathlib

from savos_jax.datasets import frame_folder
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors

logger = logging.getLogger(__name__)

LAYOUT = (
  '  Expected FOLDER/images/NAME.jpg (or .png, ...) and, for each of them,\n'
  '  FOLDER/masks/NAME.png: indexed, or grey with 0/255 or object ids.'
)


def load(folder: str | pathlib.Path) -> list[sequences.Sequence]:
  """Opens a folder of photos, each with the mask of its objects.

  Reads every mask, for the object ids, and the headers of the photos.

  Args:
    folder: the folder with images and masks. Photos may be of any size.

  Returns:
    One record of one frame for each photo, in order of the names, named
    'FOLDER/STEM'. Photos with an empty mask are skipped; their number is
    logged.

  Raises:
    SavosError: no photos; a photo without a mask or a mask without a photo; an
      unreadable mask or one of another size; an unreadable photo header; only
      empty masks.
  """
  folder = pathlib.Path(folder).expanduser()
  for part in ('images', 'masks'):
    if not (folder / part).is_dir():
      raise errors.SavosError(f'{folder / part}: no such folder.\n{LAYOUT}')
  images = _files(folder / 'images', frame_folder.FRAMES)
  mask_files = _files(folder / 'masks', frame_folder.MASKS)
  _check_pairs(folder, images, mask_files)
  opened = [
    _open_one(f'{folder.name}/{image.stem}', image, mask_files[key])
    for key, image in images.items()
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


def _files(folder, suffixes) -> dict[frame_folder.Key, pathlib.Path]:
  """Returns the visible images of a folder, sorted by name as it is written.

  Photos have no order in time: what is made of them shall not change with how
  numbers are read.
  """
  found = frame_folder.read(folder, suffixes)
  if not found:
    raise errors.SavosError(
      f'{folder}: no files that end in {" or ".join(suffixes)}.\n{LAYOUT}'
    )
  return dict(sorted(found.items(), key=lambda one: one[1].name))


def _check_pairs(folder, images, mask_files) -> None:
  for have, lack, kind, part in (
    (images, mask_files, 'mask', 'masks'),
    (mask_files, images, 'photo', 'images'),
  ):
    absent = [path.name for key, path in have.items() if key not in lack]
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
  return sequences.Sequence(
    name=name,
    frames=(image,),
    masks=(mask_file,),
    height=height,
    width=width,
    object_ids=sequences.ids_of(labels),
  )
