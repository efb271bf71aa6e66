"""Keeps compiled functions on disk, so that later starts are faster."""

import os
import pathlib
from typing import Any

import jax

_FOLDER = 'savos_jax/compiled'


def enable() -> None:
  """Enables JAX's compilation cache in the user's cache folder.

  Does nothing if the user has set a folder (JAX_COMPILATION_CACHE_DIR) or has
  no writable home.
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
