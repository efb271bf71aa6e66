"""Keeps compiled functions on disk, so that later starts are faster."""

import os
import pathlib
from typing import Any

import jax

_FOLDER = 'savos_jax/compiled'
_folder: pathlib.Path | None = None


def folder() -> pathlib.Path | None:
  """Returns the cache's folder; None if nothing is kept, or elsewhere."""
  return _folder


def enable() -> None:
  """Enables JAX's compilation cache in the user's cache folder.

  If the user has set a folder (JAX_COMPILATION_CACHE_DIR), that one is used.
  Without a writable home, nothing is kept.
  """
  global _folder
  config: Any = jax.config  # Not every JAX has types of all its settings.
  chosen = config.jax_compilation_cache_dir
  if chosen:
    _folder = pathlib.Path(chosen) if os.path.isdir(chosen) else None
    return
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  _folder = None
  try:
    made = pathlib.Path(base).expanduser() / _FOLDER
    made.mkdir(parents=True, exist_ok=True)
  except (OSError, RuntimeError):
    return
  _folder = made
  config.update('jax_compilation_cache_dir', str(made))
  config.update('jax_persistent_cache_min_compile_time_secs', 1.0)
