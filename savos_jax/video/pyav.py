"""PyAV, imported where a video is read or written."""

import functools
from typing import Any


def damage() -> tuple[type[Exception], ...]:
  """What PyAV raises of a damaged file; OSError where it leads out of it."""
  return get().error.FFmpegError, OSError


@functools.cache
def get() -> Any:
  """Returns the module: who segments data sets alone need not have it."""
  import av

  # A damaged file makes FFmpeg write a page of its own words to the console;
  # our errors say it once.
  av.logging.set_level(av.logging.PANIC)
  return av
