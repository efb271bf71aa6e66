"""Compiled functions are kept on disk: the second start is faster."""

import os
import pathlib
from typing import Any

import jax

_FOLDER = 'savos_jax/compiled'


def enable() -> None:
  """Keeps what JAX compiles in the user's cache folder.

  Does nothing where the user has chosen a folder (JAX_COMPILATION_CACHE_DIR),
  or where there is no home to write to.
  """
  config: Any = jax.config  # Not every JAX has types of all its settings.
  if config.jax_compilation_cache_dir:
    return
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  try:
    folder = pathlib.Path(base).expanduser() / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
  except (OSError, RuntimeError):
    return
  config.update('jax_compilation_cache_dir', str(folder))
  config.update('jax_persistent_cache_min_compile_time_secs', 1.0)
