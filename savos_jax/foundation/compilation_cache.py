"""Compiled functions are kept on disk: the second start is faster."""

import os
import pathlib

import jax

_FOLDER = 'savos_jax/compiled'


def enable() -> None:
  """Keeps what JAX compiles in the user's cache folder.

  Does nothing where the user has chosen a folder (JAX_COMPILATION_CACHE_DIR),
  or where there is no home to write to.
  """
  # JAX defines its settings as it runs: their types are not known.
  if jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
    return
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  try:
    folder = pathlib.Path(base).expanduser() / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
  except (OSError, RuntimeError):
    return
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 1.0)
