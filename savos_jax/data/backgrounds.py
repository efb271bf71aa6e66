"""Inpainted backgrounds, computed once and kept in a folder.

A background's key is a hash of everything it depends on: the frame, the labels,
the objects to remove and the settings. A cached background is therefore never
stale, whatever happens to the data set, and data sets that share frames share
backgrounds. A damaged file is recomputed if this program wrote it: each
subfolder has a manifest (`manifests`), and a file with a name of ours that the
manifest does not list is refused.

A file stores only the difference from the frame: a checksum, the corner of the
changed box, and the box as PNG.
"""

from collections.abc import Iterable
from collections.abc import Sequence
from concurrent import futures
import contextlib
import hashlib
import itertools
import logging
import os
import pathlib
import struct
import threading
from typing import Protocol

import cv2
import numpy as np
import tqdm

from savos_jax.data import lucid
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.foundation import threads

logger = logging.getLogger(__name__)

# Version of the file layout: files with another layout are not found.
_LAYOUT = 1
_NAME_BYTES = 20
_CHECKSUM_BYTES = 16
_CORNER = struct.Struct('<II')  # Top and left, pixels.
_PNG_LEVEL = 3  # Higher ones take several times as long for some per cent.


class Task(Protocol):
  """A frame that needs backgrounds."""

  @property
  def name(self) -> str:
    """Names the frame in the progress bar."""

  def load(
    self,
  ) -> tuple[np.ndarray, np.ndarray, Iterable[Sequence[int]]]:
    """Reads the frame; called from several threads.

    Returns:
      The frame, RGB uint8 [H, W, 3]; its labels, uint8 [H, W]; the sets of ids
      to remove, one set per background.
    """


def _content(frame: np.ndarray, labels: np.ndarray):
  """Returns a hash object updated with a frame and its labels."""
  content = hashlib.blake2b(digest_size=_NAME_BYTES)
  # The shape tells the arrays' bytes apart.
  content.update(repr((_LAYOUT, frame.shape)).encode())
  content.update(np.ascontiguousarray(frame).data)
  content.update(np.ascontiguousarray(labels).data)
  return content


def _present(labels: np.ndarray, moving: Iterable[int]) -> tuple[int, ...]:
  """Returns the ids that occur in the labels, ascending and without repeats."""
  ids = sorted({int(i) for i in moving})
  return tuple(i for i in ids if i > 0 and (labels == i).any())


def _checksum(name: str, payload: bytes) -> bytes:
  """Hashes a payload, keyed with its name: a renamed file counts as damaged."""
  return hashlib.blake2b(
    payload, digest_size=_CHECKSUM_BYTES, key=bytes.fromhex(name)
  ).digest()


def _pack(name: str, frame: np.ndarray, background: np.ndarray) -> bytes:
  """Returns a file's content: the difference between frame and background."""
  changed = (frame != background).any(axis=-1)
  left, top, width, height = cv2.boundingRect(changed.view(np.uint8))
  # PNG has no empty pictures: where nothing changed, a pixel is kept.
  box = background[top : top + max(1, height), left : left + max(1, width)]
  # OpenCV calls the channels BGR; reading calls them so as well.
  _, png = cv2.imencode('.png', box, (cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL))
  payload = _CORNER.pack(top, left) + png.tobytes()
  return _checksum(name, payload) + payload


def _read(path: pathlib.Path) -> bytes | None:
  """Returns a file's payload after the checksum; None if absent or damaged."""
  try:
    content = path.read_bytes()
  except FileNotFoundError:
    return None
  except OSError as error:
    logger.info('%s: unreadable (%s), recomputed', path, error)
    return None
  checksum, payload = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
  if checksum != _checksum(path.stem, payload):
    logger.info('%s: damaged, recomputed', path)
    return None
  return payload


def _unpack(path, payload: bytes, frame: np.ndarray) -> np.ndarray:
  """Turns the frame into the background."""
  top, left = _CORNER.unpack_from(payload)
  png = payload[_CORNER.size :]
  masks.check_image(png, path)
  box = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
  assert box is not None  # Its checksum was right.
  background = frame.copy()
  background[top : top + box.shape[0], left : left + box.shape[1]] = box
  return background


def _keep(path: pathlib.Path, content: bytes) -> None:
  """Writes a file; a damaged one that this program wrote is replaced."""
  try:
    # Writing the file itself gives a better error message.
    with contextlib.suppress(OSError):
      manifests.share(path.parent)
    with files.replacing(path, even_changed=True) as partial:
      partial.write_bytes(content)
  except errors.SavosError:
    # Another host may just have made it, before its manifest is seen here.
    if _read(path) is None:
      raise


class BackgroundCache:
  """A folder of inpainted backgrounds.

  Any number of threads and processes may use the same folder at once.

  Args:
    folder: created with the first background; data sets and settings may share
      it.
    config: the settings of `lucid.inpaint`.
  """

  def __init__(self, folder: str | os.PathLike, config: lucid.LucidConfig):
    self.folder = pathlib.Path(folder).expanduser()
    self._config = config
    self._settings = repr(lucid.inpaint_settings(config))

  def _path(self, content, moving: tuple[int, ...]) -> pathlib.Path:
    name = content.copy()
    name.update(repr((moving, self._settings)).encode())
    digits = name.hexdigest()
    return self.folder / digits[:2] / f'{digits}.background'

  def _make(self, path, frame, labels, moving) -> np.ndarray:
    """Computes a background and stores it."""
    background = lucid.inpaint(frame, labels, moving, self._config)
    _keep(path, _pack(path.stem, frame, background))
    return background

  def get(
    self, frame: np.ndarray, labels: np.ndarray, moving: Iterable[int]
  ) -> np.ndarray:
    """Reads a background, or computes and stores it.

    Args:
      frame: RGB uint8 [H, W, 3].
      labels: uint8 [H, W].
      moving: ids to remove, in any order; ids that do not occur are ignored.

    Returns:
      The result of `lucid.inpaint`, RGB uint8 [H, W, 3].

    Raises:
      SavosError: the folder can't be written to, or a damaged file of that name
        was not written by this program.
    """
    moving = _present(labels, moving)
    if not moving:
      return frame.copy()
    path = self._path(_content(frame, labels), moving)
    payload = _read(path)
    if payload is None:
      return self._make(path, frame, labels, moving)
    return _unpack(path, payload, frame)

  def has(
    self, frame: np.ndarray, labels: np.ndarray, moving: Iterable[int]
  ) -> bool:
    """Returns whether the background is cached and intact."""
    moving = _present(labels, moving)
    if not moving:
      return True
    return _read(self._path(_content(frame, labels), moving)) is not None

  def fill(
    self,
    frame: np.ndarray,
    labels: np.ndarray,
    subsets: Iterable[Iterable[int]],
  ) -> int:
    """Computes and stores a frame's missing backgrounds.

    Args:
      frame: RGB uint8 [H, W, 3].
      labels: uint8 [H, W].
      subsets: the ids to remove, one set per background; consumed lazily.

    Returns:
      How many were computed.

    Raises:
      SavosError: the folder can't be written to, or a damaged file of that name
        was not written by this program.
    """
    content = _content(frame, labels)
    made = 0
    for subset in subsets:
      moving = _present(labels, subset)
      path = self._path(content, moving)
      if moving and _read(path) is None:
        self._make(path, frame, labels, moving)
        made += 1
    return made


def _prepare_one(cache, task, stop) -> tuple[str, int]:
  """Computes a frame's backgrounds until `stop` is set; counts them."""
  frame, labels, subsets = task.load()
  wanted = itertools.takewhile(lambda _: not stop.is_set(), subsets)
  return task.name, cache.fill(frame, labels, wanted)


def prepare(cache: BackgroundCache, tasks: Sequence[Task], workers: int) -> int:
  """Computes all missing backgrounds, with a progress bar.

  After an interruption, calling it again continues where it stopped. At most
  `workers` frames are in memory.

  Args:
    cache: where backgrounds are stored.
    tasks: the frames.
    workers: threads; decoding and OpenCV release the GIL.

  Returns:
    How many were computed.

  Raises:
    SavosError: from `Task.load` or `BackgroundCache.fill`. After any exception
      no further frames are started.
  """
  stop = threading.Event()
  made = 0
  bar = tqdm.tqdm(
    total=len(tasks), desc='backgrounds', unit='frame', disable=None
  )
  pool = futures.ThreadPoolExecutor(workers)
  with bar, threads.one_opencv_thread():
    try:
      # Tasks are small: only the workers hold what they load.
      pending = [pool.submit(_prepare_one, cache, task, stop) for task in tasks]
      for done in futures.as_completed(pending):
        name, count = done.result()
        made += count
        bar.set_postfix_str(name, refresh=False)
        bar.update()
    finally:
      # Each running task stops after its current background.
      stop.set()
      pool.shutdown(cancel_futures=True)
  logger.info(
    'backgrounds of %d frames in %s: %d computed, the rest cached',
    len(tasks),
    cache.folder,
    made,
  )
  return made
