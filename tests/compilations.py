"""Listens to what JAX compiles."""

from collections.abc import Iterator
import contextlib

import jax


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
  """Yields a list that gets the name of each function when it is compiled.

  The size of a jitted function's cache does not count compilations: one may be
  filed under several kinds of arguments.
  """
  names: list[str] = []

  def listen(event: str, _: float, **told: str | int) -> None:
    if event.endswith('backend_compile_duration'):
      names.append(str(told['fun_name']).removeprefix('jit(').removesuffix(')'))

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    yield names
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
