"""Random access to the frames of a video, for display.

Frames come from the reader and are found by its index of timestamps. Key frames
may be hundreds of frames apart, so decoding a frame may take a second. While
the machine is idle, all frames are therefore decoded once and cached as JPEGs
beside the project, up to a limit; then showing a frame only sends a file. If
the limit is reached, the frames closest to the one viewed last are kept.
"""

from collections.abc import Callable
from collections.abc import Generator
import contextlib
import itertools
import logging
import os
import pathlib
import secrets
import shutil
import threading

import cv2
import numpy as np

from savos_jax.foundation import errors
from savos_jax.video import overlapped
from savos_jax.video import sources
from savos_jax.video import video_file

logger = logging.getLogger(__name__)

_QUALITY = 82
MOST_BYTES = 4 << 30  # Of the JPEGs on disk.
_SPARE = 1 << 30  # Bytes that are left free there.
# A frame so little ahead is decoded on the way; others are jumped to.
_AHEAD = 12
_BEHIND = 24  # Frames before one that was missed, which are made with it.
_RUN = 250  # Frames that are decoded one behind the other, as far as possible.
_TELL_EVERY = 25  # Frames.
SMALL = 400  # Pixels; what is as wide at most is a picture by the side.


def encode(image: np.ndarray, width: int = 0) -> bytes:
  """Returns an image as JPEG.

  Args:
    image: RGB uint8 [H, W, 3].
    width: largest width, pixels; 0: unlimited.
  """
  image = _shrunk(image, width)
  quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
  return cv2.imencode('.jpg', image[..., ::-1], quality)[1].tobytes()


def _shrunk(image: np.ndarray, width: int) -> np.ndarray:
  height, before = image.shape[:2]
  if not 0 < width < before:
    return image
  size = width, max(1, round(height * width / before))
  return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _reshape(jpeg: bytes, width: int) -> bytes:
  """Shrinks a JPEG; decodes no more of it than is needed."""
  data = np.frombuffer(jpeg, np.uint8)
  for flag in (
    cv2.IMREAD_REDUCED_COLOR_8,
    cv2.IMREAD_REDUCED_COLOR_4,
    cv2.IMREAD_REDUCED_COLOR_2,
    cv2.IMREAD_COLOR,
  ):
    image = cv2.imdecode(data, flag)
    if image is not None and image.shape[1] >= width:
      return encode(image[..., ::-1], width)
  return jpeg


class _Cursor:
  """Reads frames one by one, and jumps where that is shorter."""

  def __init__(self, video: sources.Video):
    self._video = video
    self._lock = threading.Lock()
    self._frames: Generator[video_file.Shown] | None = None
    self._last: video_file.Shown | None = None

  def image(self, index: int) -> np.ndarray:
    """Returns a frame, RGB uint8 [H, W, 3]; see `sources.Video.frame`."""
    with self._lock:
      last = self._last
      if last is not None and last.index == index:
        return last.image
      if last is None or not 0 < index - last.index <= _AHEAD:
        self._close()
        self._frames = self._video.numbered(index)
      assert self._frames is not None
      with contextlib.suppress(errors.Incomplete):
        for shown in self._frames:
          self._last = shown
          if shown.index == index:
            return shown.image
          if shown.index > index:
            break
      self._close()
    raise errors.SavosError(
      f'{self._video.path}: frame {index} cannot be decoded.\n'
      '  Expected a complete file; frames around it can be shown.'
    )

  def _close(self) -> None:
    if self._frames is not None:
      self._frames.close()
    self._frames = self._last = None

  def close(self) -> None:
    with self._lock:
      self._close()


class _Store:
  """JPEGs on disk, bounded in bytes.

  Attributes:
    around: the frame that was looked at last and was not there.
  """

  def __init__(self, folder: pathlib.Path, most: int):
    self._folder, self.around = folder, 0
    self._lock = threading.Lock()
    folder.mkdir(parents=True, exist_ok=True)
    self._sizes: dict[int, int] = {}
    with os.scandir(folder) as entries:
      for entry in entries:
        stem, suffix = os.path.splitext(entry.name)
        if suffix == '.jpg' and stem.isdecimal():
          self._sizes[int(stem)] = entry.stat().st_size
        elif suffix == '.part':
          os.unlink(entry.path)
    self._total = sum(self._sizes.values())
    free = shutil.disk_usage(folder).free - _SPARE
    self._most = max(0, min(most, self._total + free))

  def __len__(self) -> int:
    return len(self._sizes)

  def __contains__(self, index: int) -> bool:
    return index in self._sizes

  def _path(self, index: int) -> pathlib.Path:
    return self._folder / f'{index:06d}.jpg'

  def get(self, index: int) -> bytes | None:
    """Returns the JPEG of a frame, if it is cached and intact."""
    if index not in self._sizes:
      return None
    try:
      found = self._path(index).read_bytes()
    except OSError:
      found = b''
    if found.endswith(b'\xff\xd9'):
      return found
    with self._lock:
      self._total -= self._sizes.pop(index, 0)
    return None

  def put(self, index: int, jpeg: bytes) -> None:
    """Caches the JPEG of a frame, evicting those farthest from `around`."""
    partial = self._folder / f'{secrets.token_hex(6)}.part'
    try:
      partial.write_bytes(jpeg)
      os.replace(partial, self._path(index))
    except OSError:  # It is a cache: a full disk is told where it matters.
      with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)
      return
    with self._lock:
      self._total += len(jpeg) - self._sizes.get(index, 0)
      self._sizes[index] = len(jpeg)
      while self._total > self._most and len(self._sizes) > 1:
        far = max(self._sizes, key=lambda i: abs(i - self.around))
        self._total -= self._sizes.pop(far)
        self._path(far).unlink(missing_ok=True)

  @property
  def is_full(self) -> bool:
    """Whether the next frame would evict others."""
    return self._total >= self._most

  def has_room(self, index: int) -> bool:
    """Whether a frame can be cached, possibly instead of one farther away."""
    with self._lock:
      if not self.is_full:
        return True
      farthest = max((abs(i - self.around) for i in self._sizes), default=0)
      return abs(index - self.around) < farthest


class Frames:
  """A video's frames as images and as JPEGs; threads may share it.

  Attributes:
    count: number of frames.
    busy: set while decoding ahead is suspended for other work.
  """

  def __init__(
    self,
    video: sources.Video,
    count: int,
    folder: pathlib.Path,
    tell: Callable[[int, int], None] = lambda done, total: None,
    most: int = MOST_BYTES,
  ):
    """Opens the cache; `start` fills it.

    Args:
      video: the video.
      count: number of its frames.
      folder: of the JPEGs; may be deleted while it is not in use.
      tell: called by another thread with the numbers of cached frames and of
        all frames.
      most: limit of the cache, bytes.
    """
    self._video, self.count, self._tell = video, count, tell
    self._store = _Store(folder, most)
    # One for who looks, one for pictures by the side: neither waits for the
    # other, and neither jumps because of the other.
    self._looking, self._aside = _Cursor(video), _Cursor(video)
    self._wish: int | None = None
    self.busy = threading.Event()
    self._closed = threading.Event()
    self._thread: threading.Thread | None = None

  @property
  def kept(self) -> int:
    """Number of cached frames."""
    return len(self._store)

  def image(self, index: int) -> np.ndarray:
    """Returns a frame from the reader, RGB uint8 [H, W, 3].

    Raises:
      SavosError: there is no such frame, or it cannot be decoded.
    """
    self._check(index)
    return self._looking.image(index)

  def is_kept(self, index: int) -> bool:
    """Whether a frame is cached."""
    return index in self._store

  def jpeg(self, index: int, width: int = 0) -> bytes:
    """Returns a frame as JPEG.

    Args:
      index: of the frame.
      width: largest width, pixels; 0: unlimited.

    Raises:
      SavosError: as `image`.
    """
    self._check(index)
    shrinks = 0 < width < self._video.width
    found = self._store.get(index)
    if found is not None:
      return _reshape(found, width) if shrinks else found
    if 0 < width <= SMALL:
      return encode(self._aside.image(index), width)
    self._store.around = self._wish = index
    image = self._looking.image(index)
    made = encode(image)
    self._store.put(index, made)
    return encode(image, width) if shrinks else made

  def _check(self, index: int) -> None:
    if not 0 <= index < self.count:
      raise errors.SavosError(
        f'no frame {index}.\n  Expected one of {self.count}, 0 to '
        f'{self.count - 1}.'
      )

  # --- Ahead. ----------------------------------------------------------------

  def start(self) -> None:
    """Starts caching all frames in another thread."""
    self._thread = threading.Thread(target=self._fill, name='frames')
    self._thread.start()

  def close(self) -> None:
    """Stops caching."""
    self._closed.set()
    if self._thread:
      self._thread.join()
    self._looking.close()
    self._aside.close()

  def _fill(self) -> None:
    hopeless: set[int] = set()
    try:
      while not self._closed.is_set():
        begin = self._next(hopeless)
        if begin is None:
          self._closed.wait(0.5)
          continue
        self._fill_from(begin, hopeless)
        self._tell(len(self._store), self.count)
    except Exception as error:  # Looking goes on without it.
      logger.warning('frames are not decoded ahead: %s', error)

  def _next(self, hopeless: set[int]) -> int | None:
    """Returns where to go on keeping frames; None where all are that may be."""
    store, self._wish = self._store, None
    if len(store) + len(hopeless) >= self.count:
      return None

    def is_missing(index: int) -> bool:
      inside = 0 <= index < self.count
      return inside and index not in store and index not in hopeless

    around = store.around
    if not store.is_full:  # One behind the other, from there on.
      start = max(0, around - _BEHIND)
      order = itertools.chain(range(start, self.count), range(start))
      return next(filter(is_missing, order), None)
    near = (
      index
      for distance in range(self.count)
      for index in (around + distance, around - distance)
      if is_missing(index)
    )
    found = next(near, None)
    if found is None or not store.has_room(found):
      return None
    begin = found
    # Frames come in order: those before it are cheap then.
    while found < around and found - begin < _RUN and is_missing(begin - 1):
      begin -= 1
    return begin

  def _fill_from(self, begin: int, hopeless: set[int]) -> None:
    """Keeps frames up to one that is kept, or another wish."""
    expected = begin
    with contextlib.closing(
      overlapped.read_ahead(self._video.numbered(begin))
    ) as frames:
      try:
        for shown in frames:
          index = shown.index
          hopeless.update(range(expected, index))
          expected = index + 1
          if index in self._store or self._pause():
            return
          self._store.put(index, encode(shown.image))
          if len(self._store) % _TELL_EVERY == 0:
            self._tell(len(self._store), self.count)
          if self._wish is not None or not self._store.has_room(index + 1):
            return
      except errors.Incomplete:
        pass
    hopeless.update(range(expected, self.count))

  def _pause(self) -> bool:
    """Waits while others need the machine; returns whether all ends."""
    while self.busy.is_set() and not self._closed.wait(0.1):
      pass
    return self._closed.is_set()
