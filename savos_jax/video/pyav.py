"""PyAV, imported when a video is read or written."""

import functools
from typing import Any


def damage() -> tuple[type[Exception], ...]:
  """The exceptions of PyAV for a damaged file; OSError: it opens others."""
  return get().error.FFmpegError, OSError


@functools.cache
def get() -> Any:
  """Returns the module, which is not needed for data sets."""
  import av

  # A damaged file makes FFmpeg write a page of its own words to the console;
  # our errors say it once.
  av.logging.set_level(av.logging.PANIC)
  return av
