"""SAVOS: video object segmentation in JAX."""

import pathlib

# In a checkout savos_jax.configs is the folder configs/ beside this package; an
# installed package contains it.
_HERE = pathlib.Path(__file__).parent
if not (_HERE / 'configs').is_dir():
  __path__.append(str(_HERE.parent))


def __getattr__(name: str) -> str:
  """Looks up `__version__`, the one in pyproject.toml, on first use."""
  if name != '__version__':
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  # Slow, and rarely needed.
  from importlib import metadata

  try:
    return metadata.version('savos_jax')
  except metadata.PackageNotFoundError:
    return '0+unknown'  # A checkout that is not installed.
