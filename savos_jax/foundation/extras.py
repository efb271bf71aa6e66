"""Optional libraries, imported where they are used."""

from collections.abc import Iterator
import contextlib
import importlib
from types import ModuleType

from savos_jax.foundation import errors

# The libraries of the extra [jax], as they are imported.
_OF_JAX = {
  'absl', 'etils', 'flax', 'jax', 'ml_collections', 'optax', 'orbax',
  'safetensors', 'skimage', 'tensorboardX',
}  # fmt: skip


def require(module: str, extra: str, purpose: str) -> ModuleType:
  """Imports a library that belongs to an extra of this package.

  Args:
    module: its name, such as 'tensorflow'.
    extra: the extra of pyproject.toml that installs it.
    purpose: what it is needed for, for the message.

  Returns:
    The module.

  Raises:
    SavosError: it is not installed.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    # What is there and cannot be imported must not be called missing.
    if error.name != module.partition('.')[0]:
      raise
    raise errors.SavosError(
      f'{purpose} needs {error.name}, which is not installed.\n'
      f"  Expected it: pip install 'savos_jax[{extra}]', or in a checkout "
      'pip install -r requirements.txt.'
    ) from None


@contextlib.contextmanager
def jax_required(purpose: str) -> Iterator[None]:
  """Explains a failed import of a library of the extra [jax].

  Args:
    purpose: what needs it, for the message.

  Raises:
    SavosError: a library of the extra is not installed.
  """
  try:
    yield
  except ModuleNotFoundError as error:
    missing = (error.name or '').partition('.')[0]
    if missing not in _OF_JAX:
      raise
    raise errors.SavosError(
      f'{purpose} needs {missing}, which is not installed.\n  Expected JAX and '
      "what belongs to it: pip install 'savos_jax[jax]', or in a checkout pip "
      'install -r requirements.txt.'
    ) from None
