"""All training images as one array of pixels, with tables that index it.

`data.scenes` makes examples from it. It lives in the memory of the training
device, where any pixel of any image can be gathered by its index.
"""

from collections.abc import Iterable
import concurrent.futures
import dataclasses

import numpy as np
import tqdm

from savos_jax.datasets import sequences
from savos_jax.datasets import shrinking
from savos_jax.datasets import training_images
from savos_jax.foundation import errors
from savos_jax.foundation import threads

_SMALLEST = 0.002  # Share of an image: smaller objects become background.
_VOID = 255
# Objects that can be pasted cover between these shares of their photo.
_PASTED = (0.02, 0.7)
# Pixels are numbered in 32 bits.
_MOST_PIXELS = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Bank:
  """N images with M objects.

  Attributes:
    pixels: uint32 [P], image after image, row after row: red, green << 8, blue
      << 16, label << 24.
    images: int32 [N, 6]: index of its first pixel; height; width; the first
      image of its sequence; length of that sequence; group (one per folder of
      photos, and one for all videos).
    objects: int32 [M, 8]: image; label; top, left, bottom, right of its box,
      the last two exclusive; area, pixels; 1 if it touches the border. The
      objects of an image are consecutive.
    first_object: int32 [N]: index of an image's first object.
    object_count: int32 [N]: objects in an image.
    image_boxes: int32 [N, 4]: top, left, bottom, right of the box around all
      objects of an image; the whole image if it has none.
    video_objects: int32 [...]: indices of the objects in videos.
    photo_objects: int32 [...]: indices of the objects in photos.
    paste_objects: int32 [...]: indices of the objects that can be cut out
      whole, sorted by group.
    group_paste: int32 [G, 2]: a group's start in `paste_objects`; its length.
  """

  pixels: np.ndarray
  images: np.ndarray
  objects: np.ndarray
  first_object: np.ndarray
  object_count: np.ndarray
  image_boxes: np.ndarray
  video_objects: np.ndarray
  photo_objects: np.ndarray
  paste_objects: np.ndarray
  group_paste: np.ndarray

  def arrays(self) -> dict[str, np.ndarray]:
    """Returns the arrays by name, as `scenes.generate` takes them."""
    return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def _find_objects(labels: np.ndarray) -> list[tuple[int, ...]]:
  """Returns each object's label, box, area, and if it touches the border."""
  height, width = labels.shape
  found = []
  areas = np.bincount(labels.ravel(), minlength=256)
  for label in np.flatnonzero(areas):
    if label == 0 or areas[label] < _SMALLEST * labels.size:
      continue
    rows = np.flatnonzero((labels == label).any(axis=1))
    columns = np.flatnonzero((labels == label).any(axis=0))
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    cut = top == 0 or left == 0 or bottom == height or right == width
    found.append((label, top, left, bottom, right, areas[label], cut))
  return [tuple(int(value) for value in one) for one in found]


def _read(record: sequences.Sequence, index: int, pixels: np.ndarray):
  """Writes a frame into `pixels`, uint32 [H * W]; returns its objects."""
  frame, labels = shrinking.shrink(
    record.frame(index), record.labels(index), training_images.BOX
  )
  labels = np.where(labels == _VOID, np.uint8(0), labels)
  # The first byte is the lowest, whatever the machine's order.
  packed = np.dstack([frame, labels]).view('<u4')
  pixels[:] = packed.ravel()
  return _find_objects(labels)


def _group(record: sequences.Sequence) -> str:
  return record.name.split('/')[0] if len(record) == 1 else ''


def build(records: Iterable[sequences.Sequence], workers: int = 2) -> Bank:
  """Reads all images.

  Args:
    records: videos and photos, from folders or from packs.
    workers: threads that decode.

  Returns:
    The bank.

  Raises:
    SavosError: an image is damaged; there is no object; or there are more
      pixels than 32-bit indices.
  """
  records = list(records)
  images, size = _place(records)
  if size > _MOST_PIXELS:
    raise errors.SavosError(
      f'{len(images)} training images have {size / 1e6:.0f} million pixels.\n'
      f'  Expected at most {_MOST_PIXELS / 1e6:.0f} million, which fit in 8.6 '
      "GB of the device's memory: give fewer, as with each second frame "
      '(savos_jax.tools.pack --every=2).'
    )
  pixels = np.empty(size, np.uint32)
  frames = [(record, i) for record in records for i in range(len(record))]

  def fill(one, image):
    record, index = one
    begin, height, width = (int(value) for value in image[:3])
    return _read(record, index, pixels[begin : begin + height * width])

  with (
    threads.one_opencv_thread(),
    concurrent.futures.ThreadPoolExecutor(workers) as pool,
  ):
    read = pool.map(fill, frames, images)
    try:
      found = list(tqdm.tqdm(read, 'reading', len(frames), unit='image'))
    except BaseException:
      pool.shutdown(cancel_futures=True)
      raise
  objects = [(i, *one) for i, of_one in enumerate(found) for one in of_one]
  if not objects:
    raise errors.SavosError(
      f'none of {len(frames)} training images shows an object.\n  Expected '
      f'masks with objects of at least {100 * _SMALLEST:g} % of the image.'
    )
  counts = np.array([len(of_one) for of_one in found], np.int32)
  return _with_lists(
    pixels, images.astype(np.int32), np.array(objects, np.int32), counts
  )


def _place(records) -> tuple[np.ndarray, int]:
  """Returns the bank's table of images, and how many pixels they have."""
  groups = {name: i for i, name in enumerate(sorted(set(map(_group, records))))}
  images: list[tuple[int, ...]] = []
  end = 0
  for record in records:
    height, width = shrinking.fitted_size(
      record.height, record.width, training_images.BOX
    )
    row = height, width, len(images), len(record), groups[_group(record)]
    for _ in range(len(record)):
      images.append((end, *row))
      end += height * width
  return np.array(images, np.int64).reshape(-1, 6), end


def _boxes_of(images, objects) -> np.ndarray:
  """Returns the box around all objects of each image, int32 [N, 4]."""
  boxes = np.zeros((len(images), 4), np.int32)
  boxes[:, 2:] = images[:, 1:3]
  lacking = np.setdiff1d(np.arange(len(images)), objects[:, 0])
  whole = boxes[lacking]
  # What any box around an object is inside of, turned inside out.
  boxes = boxes[:, [2, 3, 0, 1]]
  np.minimum.at(boxes[:, :2], objects[:, 0], objects[:, 2:4])
  np.maximum.at(boxes[:, 2:], objects[:, 0], objects[:, 4:6])
  boxes[lacking] = whole
  return boxes


def _with_lists(pixels, images, objects, counts) -> Bank:
  """Adds which objects are for what."""
  groups = images[:, 5].max() + 1
  of_image = images[objects[:, 0]]
  of_video = of_image[:, 4] > 1
  share = objects[:, 6] / (of_image[:, 1] * of_image[:, 2])
  whole = (objects[:, 7] == 0) & (share > _PASTED[0]) & (share < _PASTED[1])
  photos = np.flatnonzero(~of_video)
  pasted = np.flatnonzero(~of_video & whole)
  if not pasted.size:
    # What else there is: better a cut-off rival than none.
    pasted = photos if photos.size else np.arange(len(objects))
  pasted = pasted[np.argsort(of_image[pasted, 5], kind='stable')]
  per_group = np.bincount(of_image[pasted, 5], minlength=groups)
  begins = np.cumsum(per_group) - per_group
  return Bank(
    pixels=pixels,
    images=images,
    objects=objects,
    first_object=(np.cumsum(counts) - counts).astype(np.int32),
    object_count=counts,
    image_boxes=_boxes_of(images, objects),
    video_objects=np.flatnonzero(of_video).astype(np.int32),
    photo_objects=photos.astype(np.int32),
    paste_objects=pasted.astype(np.int32),
    group_paste=np.stack([begins, per_group], axis=1).astype(np.int32),
  )
