"""OpenCV's own threads."""

from collections.abc import Iterator
import contextlib

import cv2


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
  """Restricts OpenCV to the calling thread.

  For code that already runs several threads, which nested threads would slow
  down. The setting is global to the process and restored afterwards.
  """
  before = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    yield
  finally:
    cv2.setNumThreads(before)
