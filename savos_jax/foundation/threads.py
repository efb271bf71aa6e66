"""OpenCV's own threads."""

from collections.abc import Iterator
import contextlib

import cv2


@contextlib.contextmanager
def one_opencv_thread() -> Iterator[None]:
  """Lets OpenCV compute in the calling thread alone.

  For code that runs several calls at once: threads below threads slow it down.
  The setting is the whole process'; afterwards it is as it was.
  """
  before = cv2.getNumThreads()
  cv2.setNumThreads(1)
  try:
    yield
  finally:
    cv2.setNumThreads(before)
