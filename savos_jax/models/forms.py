"""Selects the form of a computation: the fastest on CPUs, or a portable one.

The forms in `convolutions.py` and `upsampling.py` are tuned for XLA. Other
compilers and formats have their own operators for convolution, pooling and
resizing, which serve them better than matrix products, and may need sizes to
stay symbolic. The results are the same, up to rounding.
"""

from collections.abc import Iterator
import contextlib
import contextvars

_portable = contextvars.ContextVar('portable', default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
  """Makes everything traced inside the context use the portable form.

  JAX caches traces, so trace a fresh function here, and only once.
  """
  token = _portable.set(True)
  try:
    yield
  finally:
    _portable.reset(token)


def are_portable() -> bool:
  """Returns whether the portable form is selected."""
  return _portable.get()
