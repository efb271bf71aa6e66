"""Which form a computation takes: the fastest on CPUs, or the portable one.

The forms of `convolutions.py` and `upsampling.py` are chosen for XLA. Other
compilers and formats have convolutions, pooling and resizing of their own, know
better than matrix products in their place, and sizes that are not known yet.
The results are the same, but for rounding.
"""

from collections.abc import Iterator
import contextlib
import contextvars

_portable = contextvars.ContextVar('portable', default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
  """What is traced inside takes the portable form.

  JAX keeps what it has traced: trace a function of your own, once.
  """
  token = _portable.set(True)
  try:
    yield
  finally:
    _portable.reset(token)


def are_portable() -> bool:
  """Tells whether the portable form is to be taken."""
  return _portable.get()
