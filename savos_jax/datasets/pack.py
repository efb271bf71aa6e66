"""Training data in one file: a ZIP archive of small JPEGs and PNGs.

A pack can be sent to the machine that trains and is read there like any other
data. The archive has a checksum for each image, and its member `index.json`
assigns them to records. The same records give the same bytes.
"""

import bisect
from collections.abc import Iterator
from collections.abc import Sequence
import concurrent.futures
import contextlib
import dataclasses
import io
import json
import os
import pathlib
import zipfile
import zlib

import cv2
import numpy as np
import tqdm

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.datasets import shrinking
from savos_jax.foundation import cores
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import threads
from savos_jax.foundation import typed

_INDEX = 'index.json'
_VERSION = 1
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50)
_QUALITY_FLAGS = {
  'jpeg': cv2.IMWRITE_JPEG_QUALITY,
  'webp': cv2.IMWRITE_WEBP_QUALITY,
}
_SUFFIXES = {'jpeg': '.jpg', 'webp': '.webp'}
# Masks take 40 % fewer bytes than as OpenCV has it, which is for photos.
_PNG = [
  *(cv2.IMWRITE_PNG_COMPRESSION, 9),
  *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
]
# Images by which a quality is chosen, and how far off they may be: 3 % were
# seen.
_TRIED = 300
_TOLERANCE = 1.05
_AGAIN = 'Expected a complete file of savos_jax.tools.pack: copy it again.'
# What the modules zipfile and json raise where bytes are not as they were.
_DAMAGE = (
  zipfile.BadZipFile, zlib.error, AttributeError, EOFError, IndexError,
  KeyError, NotImplementedError, OSError, OverflowError, RuntimeError,
  TypeError, ValueError,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class PackedSequence(sequences.Sequence):
  """A video or a photo with its images in a pack.

  Attributes:
    archive: the pack.
  """

  archive: zipfile.ZipFile = dataclasses.field(
    kw_only=True, compare=False, repr=False
  )

  def frame(self, index: int) -> np.ndarray:
    """Returns frame `index`, RGB uint8 [H, W, 3]."""
    path = self.frames[index]
    image = self._read(path, cv2.IMREAD_COLOR)
    self.check_size(path, image)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

  def labels(self, index: int) -> np.ndarray:
    """Returns the labels of frame `index`, uint8 [H, W]."""
    path = self.mask_file(index)
    labels = self._read(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2 or labels.dtype != np.uint8:
      raise errors.SavosError(
        f'{path}: labels of shape {labels.shape}, {labels.dtype}.\n  {_AGAIN}'
      )
    self.check_size(path, labels)
    return labels

  def _read(self, path: pathlib.Path, flags: int) -> np.ndarray:
    # Its checksum was right when the pack was opened.
    data = self.archive.read('/'.join(path.parts[-2:]))
    masks.check_image(data, path)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
      raise errors.SavosError(
        f'{path}: OpenCV cannot decode this image of a pack.\n  Expected an '
        f'OpenCV that reads {path.suffix} files: install opencv-python-'
        'headless of PyPI, or make the pack with --codec=jpeg.'
      )
    return image


class _Archive(zipfile.ZipFile):
  """A pack in memory. A process that it is sent to opens the file."""

  def __reduce__(self):
    return _open_file, (self.filename,)


def _open_file(path: str) -> zipfile.ZipFile:
  try:
    return zipfile.ZipFile(pathlib.Path(path).expanduser())
  except (OSError, zipfile.BadZipFile) as error:
    raise errors.SavosError(
      f'{path}: cannot be read any more: {error}.\n  Expected the pack that '
      'the training began with: leave it where it is while it runs.'
    ) from None


class _TooLargeError(Exception):
  """A pack has more bytes than it may have."""


def _encode(suffix: str, image: np.ndarray, parameters: list[int]) -> bytes:
  return cv2.imencode(suffix, image, parameters)[1].tobytes()


def _kept(record: sequences.Sequence, every: int) -> range:
  """Returns the frames of a record that are packed."""
  return range(0, len(record), every)


@contextlib.contextmanager
def _workers() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
  with (
    threads.one_opencv_thread(),
    concurrent.futures.ThreadPoolExecutor(cores.threads()) as pool,
  ):
    try:
      yield pool
    except BaseException:
      pool.shutdown(cancel_futures=True)
      raise


def choose_quality(
  records: Sequence[sequences.Sequence],
  box: tuple[int, int],
  codec: str,
  max_bytes: int,
  every: int = 1,
) -> int:
  """Estimates the highest quality at which a pack stays within a size.

  Estimated from some hundred images, erring on the high side; `write_within`
  ensures the limit.

  Args:
    records: videos and photos to pack.
    box: see `shrinking.fitted_size`.
    codec: one of `training_images.CODECS`.
    max_bytes: size limit of the file.
    every: see `write`.

  Returns:
    One of `QUALITIES`.

  Raises:
    SavosError: no quality comes close to fitting.
  """
  frames = [(record, i) for record in records for i in _kept(record, every)]
  some = frames[:: max(1, len(frames) // _TRIED)]
  with _workers() as pool:
    shrunk = list(
      pool.map(
        lambda one: shrinking.shrink(
          one[0].frame(one[1]), one[0].labels(one[1]), box
        ),
        some,
      )
    )
    # A member of the archive takes about so much besides its bytes.
    fixed = sum(
      len(_encode('.png', labels, _PNG)) + 220 for _, labels in shrunk
    )

    def needed(quality: int) -> float:
      suffix, parameters = _SUFFIXES[codec], [_QUALITY_FLAGS[codec], quality]
      coded = pool.map(
        lambda one: len(_encode(suffix, one[0][..., ::-1], parameters)), shrunk
      )
      return (fixed + sum(coded)) * len(frames) / len(some)

    worst_first = QUALITIES[::-1]
    fitting = bisect.bisect_right(
      worst_first, _TOLERANCE * max_bytes, key=needed
    )
    if fitting:
      return worst_first[fitting - 1]
    least = needed(worst_first[0])
  raise _does_not_fit(records, every, f'about {least / 1e6:.1f} MB', max_bytes)


def _does_not_fit(records, every, needed: str, max_bytes: int):
  images = sum(len(_kept(record, every)) for record in records)
  return errors.SavosError(
    f'{images} images take {needed} with quality {QUALITIES[-1]}.\n'
    f'  Expected at most {max_bytes / 1e6:.2f} MB (--max_mb): give more, a '
    'smaller --size, --codec=webp, a larger --every, or several files '
    '(--part).'
  )


def write_within(
  path: str | os.PathLike,
  records: Sequence[sequences.Sequence],
  box: tuple[int, int],
  codec: str,
  max_bytes: int,
  every: int = 1,
) -> tuple[int, int]:
  """Writes a pack with the highest quality that fits into a size.

  If a quality turns out not to fit, starts over with the next lower one.

  Args:
    path: see `write`, as for the other arguments.
    records: videos and photos.
    box: see `shrinking.fitted_size`.
    codec: one of `training_images.CODECS`.
    max_bytes: size limit of the file.
    every: keep every n-th frame of a video, starting with the first.

  Returns:
    The quality, one of `QUALITIES`, and the size in bytes.

  Raises:
    SavosError: as `write`, or no quality fits.
  """
  check_absent(path)
  chosen = choose_quality(records, box, codec, max_bytes, every)
  for quality in QUALITIES[QUALITIES.index(chosen) :]:
    try:
      return quality, _write(
        path, records, box, codec, quality, every, max_bytes
      )
    except _TooLargeError:
      continue
  raise _does_not_fit(records, every, 'more', max_bytes)


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
    path: the file, which must not exist.
    records: videos and photos.
    box: see `shrinking.fitted_size`.
    codec: one of `training_images.CODECS`.
    quality: of the codec, 1..100.
    every: keep every n-th frame of a video, starting with the first.

  Returns:
    The size in bytes.

  Raises:
    SavosError: the file exists or cannot be written, or a record is damaged.
  """
  check_absent(path)
  return _write(path, records, box, codec, quality, every)


def check_absent(path: str | os.PathLike) -> None:
  """Raises SavosError if a file exists: a pack never replaces one."""
  if os.path.lexists(path):
    raise errors.SavosError(
      f'{path}: exists already.\n  Expected a new file: remove it, or give '
      'another name.'
    )


def _write(path, records, box, codec, quality, every, max_bytes=None) -> int:
  """Writes a pack, and returns its size; nothing if it is too large."""
  suffix, parameters = _SUFFIXES[codec], [_QUALITY_FLAGS[codec], quality]

  def code(record, index):
    frame, labels = shrinking.shrink(
      record.frame(index), record.labels(index), box
    )
    coded = _encode(suffix, frame[..., ::-1], parameters)
    return coded, _encode('.png', labels, _PNG)

  kept = [(record, i) for record in records for i in _kept(record, every)]
  with files.replacing(path) as partial, partial.open('wb') as file:
    with (
      zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED) as archive,
      _workers() as pool,
    ):
      coded = pool.map(lambda one: code(*one), kept)
      bar = tqdm.tqdm(coded, 'packing', len(kept), unit='image')
      for number, (image, mask) in enumerate(bar):
        _add(archive, f'i/{number}{suffix}', image)
        _add(archive, f'm/{number}.png', mask)
        _check_room(file, max_bytes)
      index = {
        'version': _VERSION,
        'suffix': suffix,
        'quality': quality,
        'every': every,
        'records': _describe(records, box, every),
      }
      _add(archive, _INDEX, json.dumps(index).encode())
    _check_room(file, max_bytes)
    size = file.tell()
    # A rename that a crash outlives must not be of a file that it doesn't.
    file.flush()
    os.fsync(file.fileno())
  return size


def _check_room(file, max_bytes: int | None) -> None:
  if max_bytes is not None and file.tell() > max_bytes:
    raise _TooLargeError


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
  # A name alone would get the time of day: no two packs would be the same.
  archive.writestr(zipfile.ZipInfo(name), data)


def _describe(records, box, every) -> list[dict]:
  described, first = [], 0
  for record in records:
    count = len(_kept(record, every))
    described.append(
      {
        'name': record.name,
        'size': shrinking.fitted_size(record.height, record.width, box),
        'object_ids': record.object_ids,
        'merge_objects': record.merge_objects,
        'first': first,
        'count': count,
      }
    )
    first += count
  return described


def read(*paths: str | os.PathLike) -> list[PackedSequence]:
  """Opens packs and verifies all checksums; images are decoded on access.

  Args:
    paths: the files, which are kept in memory.

  Returns:
    Their records, in the order of packing.

  Raises:
    SavosError: a file is missing, not a pack or damaged, or two packs share a
      video or photo.
  """
  records = [record for path in paths for record in _read(pathlib.Path(path))]
  origins: dict[str, PackedSequence] = {}
  for record in records:
    first = origins.setdefault(record.name, record)
    if first is not record:
      raise errors.SavosError(
        f'{record.archive.filename}: {record.name!r} is also in '
        f'{first.archive.filename}.\n  Expected packs without a common video '
        'or photo: name each file once, and give parts (--part) of one set.'
      )
  return records


def _content(path: pathlib.Path) -> bytes:
  found = files.problem(path.expanduser())
  try:
    if not found:
      return path.expanduser().read_bytes()
  except OSError as error:
    found = error.strerror
  raise errors.SavosError(
    f'{path}: cannot be read: {found}.\n  Expected a file of '
    'savos_jax.tools.pack.'
  )


def _read(path: pathlib.Path) -> list[PackedSequence]:
  content = _content(path)
  try:
    archive = _Archive(io.BytesIO(content))
    names = archive.namelist()
    if any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()):
      # A few bytes may be packed from gigabytes.
      raise zipfile.BadZipFile('its members are compressed')
  except _DAMAGE as error:
    raise errors.SavosError(
      f'{path}: no pack, or its end is missing ({len(content)} bytes): '
      f'{error}.\n  {_AGAIN}'
    ) from None
  archive.filename = str(path)
  for name in names:
    try:
      archive.read(name)
    except _DAMAGE as error:
      raise errors.SavosError(
        f'{path}: {name} in it is damaged: {error}.\n  {_AGAIN}'
      ) from None
  if _INDEX not in names:
    raise errors.SavosError(
      f'{path}: an archive without {_INDEX}, so no pack.\n  {_AGAIN}'
    )
  try:
    index = typed.parse(archive.read(_INDEX))
    if index['version'] != _VERSION:
      raise errors.SavosError(
        f'{path}: a pack of version {index["version"]}.\n  Expected '
        f'{_VERSION}: make it again with this version of savos_jax.'
      )
    counts = [record['count'] for record in index['records']]
    if min(counts, default=0) < 0 or sum(counts) > len(names):
      raise ValueError('it tells of more images than there are')
    records = [
      _open(path, archive, index['suffix'], record)
      for record in index['records']
    ]
  except _DAMAGE as error:
    raise errors.SavosError(
      f'{path}: {_INDEX} in it is malformed: {error!r}.\n  {_AGAIN}'
    ) from None
  _check_members(path, set(names), records)
  return records


def _check_members(path, names: set[str], records) -> None:
  for record in records:
    for file in (*record.frames, *record.masks):
      if '/'.join(file.parts[-2:]) not in names:
        raise errors.SavosError(
          f'{path}: {"/".join(file.parts[-2:])}, an image of '
          f'{record.name!r}, is missing.\n  {_AGAIN}'
        )


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
  """Divides records into parts with similar numbers of frames and photos.

  Args:
    records: videos and photos.
    count: number of parts.

  Returns:
    The parts; each record is in exactly one.
  """
  divided: list[list[sequences.Sequence]] = [[] for _ in range(count)]
  frames = [0] * count
  for record in sorted(records, key=len, reverse=True):
    smallest = frames.index(min(frames))
    divided[smallest].append(record)
    frames[smallest] += len(record)
  return divided
