"""Training data in one file: a ZIP archive of small JPEGs and PNGs.

To be sent to where training runs, and read there as any other data. The archive
has a checksum for each image; its member `index.json` tells whose they are.
"""

from collections.abc import Sequence
import dataclasses
import io
import json
import os
import pathlib
import zipfile

import cv2
import numpy as np
import tqdm

from savos_jax import errors
from savos_jax import files
from savos_jax.data import sequences
from savos_jax.data import shrinking

_INDEX = 'index.json'
_VERSION = 1
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50)
CODECS = {'jpeg': cv2.IMWRITE_JPEG_QUALITY, 'webp': cv2.IMWRITE_WEBP_QUALITY}
_SUFFIXES = {'jpeg': '.jpg', 'webp': '.webp'}


@dataclasses.dataclass(frozen=True)
class PackedSequence(sequences.Sequence):
  """A video or a photo whose images are in a pack.

  Attributes:
    archive: the pack.
  """

  archive: zipfile.ZipFile | None = dataclasses.field(
    default=None, compare=False, repr=False
  )

  def frame(self, index: int) -> np.ndarray:
    """Returns frame `index`, RGB uint8 [H, W, 3]."""
    path = self.frames[index]
    image = self._read(path, cv2.IMREAD_COLOR)
    self.check_size(path, image)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

  def labels(self, index: int) -> np.ndarray:
    """Returns the labels of frame `index`, uint8 [H, W]."""
    path = self.masks[index]
    labels = self._read(path, cv2.IMREAD_UNCHANGED)
    self.check_size(path, labels)
    return labels

  def _read(self, path: pathlib.Path, flags: int) -> np.ndarray:
    member = '/'.join(path.parts[-2:])
    try:
      data = np.frombuffer(self.archive.read(member), np.uint8)
      image = cv2.imdecode(data, flags)
    except (OSError, KeyError, zipfile.BadZipFile, cv2.error):
      image = None
    if image is None:
      raise errors.SavosError(
        f'{path}: damaged, in the pack {self.archive.filename}.\n'
        '  Expected what savos_jax.tools.pack wrote: copy the file again, or '
        'make it again.'
      )
    return image


def _encode(suffix: str, image: np.ndarray, parameters: list[int]) -> bytes:
  return cv2.imencode(suffix, image, parameters)[1].tobytes()


def choose_quality(
  records: Sequence[sequences.Sequence],
  box: tuple[int, int],
  codec: str,
  max_bytes: int,
  every: int = 1,
) -> int:
  """Returns the highest quality with which a pack keeps within a size.

  Estimated from about a hundred images, with 3 % in hand.

  Args:
    records: what is to be packed.
    box: see `shrinking.fitted_size`.
    codec: one of `CODECS`.
    max_bytes: of the file.
    every: see `write`.

  Raises:
    SavosError: it does not fit with any quality.
  """
  frames = [
    (record, index)
    for record in records
    for index in range(0, len(record), every)
  ]
  some = frames[:: max(1, len(frames) // 100)]
  shrunk = [
    shrinking.shrink(record.frame(index), record.labels(index), box)
    for record, index in some
  ]
  # A member of the archive takes about so much besides its bytes.
  fixed = sum(len(_encode('.png', labels, [])) + 250 for _, labels in shrunk)
  for quality in QUALITIES:
    coded = sum(
      len(_encode(_SUFFIXES[codec], frame[..., ::-1], [CODECS[codec], quality]))
      for frame, _ in shrunk
    )
    needed = 1.03 * (fixed + coded) * len(frames) / len(some)
    if needed <= max_bytes:
      return quality
  raise errors.SavosError(
    f'{len(frames)} images take about {needed / 1e6:.0f} MB with quality '
    f'{quality}.\n  Expected at most {max_bytes / 1e6:.0f} MB (--max_mb): '
    'give more, a smaller --size, --codec=webp, or several files (--part).'
  )


def write(
  path: str | os.PathLike,
  records: Sequence[sequences.Sequence],
  box: tuple[int, int],
  codec: str = 'jpeg',
  quality: int = 85,
  every: int = 1,
) -> int:
  """Writes a pack.

  Args:
    path: the file; must not be there yet.
    records: videos and photos.
    box: see `shrinking.fitted_size`.
    codec: one of `CODECS`.
    quality: of it, 1..100.
    every: of a video each so many-th frame, from the first.

  Returns:
    The number of bytes.

  Raises:
    SavosError: the file is there, can't be written, or a record is damaged.
  """
  path = pathlib.Path(path)
  if path.exists():
    raise errors.SavosError(
      f'{path}: exists already.\n  Expected a new file: remove it, or give '
      'another name.'
    )
  suffix, parameters = _SUFFIXES[codec], [CODECS[codec], quality]
  described, number = [], 0
  total = sum(len(range(0, len(record), every)) for record in records)
  with (
    files.replacing(path) as partial,
    zipfile.ZipFile(partial, 'w', zipfile.ZIP_STORED) as archive,
    tqdm.tqdm(total=total, unit='image') as bar,
  ):
    for record in records:
      members = []
      for index in range(0, len(record), every):
        frame, labels = shrinking.shrink(
          record.frame(index), record.labels(index), box
        )
        archive.writestr(
          f'i/{number}{suffix}', _encode(suffix, frame[..., ::-1], parameters)
        )
        archive.writestr(f'm/{number}.png', _encode('.png', labels, []))
        members.append(number)
        number += 1
        bar.update()
      described.append(
        {
          'name': record.name,
          'size': labels.shape,
          'object_ids': record.object_ids,
          'merge_objects': record.merge_objects,
          'first': members[0],
          'count': len(members),
        }
      )
    index = {'version': _VERSION, 'suffix': suffix, 'records': described}
    archive.writestr(_INDEX, json.dumps(index))
  return path.stat().st_size


def read(path: str | os.PathLike) -> list[PackedSequence]:
  """Opens a pack; images are read, and their checksums tested, when asked for.

  Args:
    path: the file. It is held in memory.

  Returns:
    Its records, in the order in which they were packed.

  Raises:
    SavosError: no such file, or no pack, or a truncated one.
  """
  path = pathlib.Path(path)
  try:
    archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    index = json.loads(archive.read(_INDEX))
    version = index['version']
  except (
    OSError,
    zipfile.BadZipFile,
    ValueError,
    KeyError,
    TypeError,
  ) as error:
    raise errors.SavosError(
      f'{path}: cannot be read as a pack: {error}.\n'
      '  Expected a whole file of savos_jax.tools.pack.'
    ) from None
  if version != _VERSION:
    raise errors.SavosError(
      f'{path}: a pack of version {version}.\n  Expected {_VERSION}: make it '
      'again with this version of savos_jax.'
    )
  archive.filename = str(path)
  return [
    _open(path, archive, index['suffix'], record) for record in index['records']
  ]


def _open(path, archive, suffix, record) -> PackedSequence:
  numbers = range(record['first'], record['first'] + record['count'])
  height, width = record['size']
  return PackedSequence(
    name=record['name'],
    frames=tuple(path / 'i' / f'{n}{suffix}' for n in numbers),
    masks=tuple(path / 'm' / f'{n}.png' for n in numbers),
    height=height,
    width=width,
    object_ids=tuple(record['object_ids']),
    merge_objects=record['merge_objects'],
    archive=archive,
  )


def parts(
  records: Sequence[sequences.Sequence], count: int
) -> list[list[sequences.Sequence]]:
  """Divides records into parts of about as many frames, photos spread evenly.

  Args:
    records: videos and photos.
    count: of the parts.

  Returns:
    The parts; each record is in one of them.
  """
  divided: list[list[sequences.Sequence]] = [[] for _ in range(count)]
  frames = [0] * count
  for record in sorted(records, key=len, reverse=True):
    smallest = frames.index(min(frames))
    divided[smallest].append(record)
    frames[smallest] += len(record)
  return divided
