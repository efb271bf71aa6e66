"""SAVOS: video object segmentation in JAX."""

import pathlib

# In a checkout savos_jax.configs is the folder configs/ beside this package;
# what is installed has it inside.
_HERE = pathlib.Path(__file__).parent
if not (_HERE / 'configs').is_dir():
  __path__.append(str(_HERE.parent))
