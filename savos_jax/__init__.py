"""SAVOS: video object segmentation in JAX."""

import pathlib

# In a checkout savos_jax.configs is the folder configs/ beside this package;
# what is installed has it inside.
_HERE = pathlib.Path(__file__).parent
if not (_HERE / 'configs').is_dir():
  __path__.append(str(_HERE.parent))


def __getattr__(name: str) -> str:
  """Returns `__version__`, as pyproject.toml says it, when it is asked for."""
  if name != '__version__':
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  # Takes a while, and is seldom asked for.
  from importlib import metadata

  try:
    return metadata.version('savos_jax')
  except metadata.PackageNotFoundError:
    return '0+unknown'  # A checkout that is not installed.
