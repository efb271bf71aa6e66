"""`jax.jit` for what a user waits for: on a CPU it compiles in less time."""

from collections.abc import Callable
import functools
import os
from typing import Any

import jax

# XLA's highest level of optimisation takes longer, and so does, in JAX 0.10
# alone, its other way of making code out of fused operations; neither makes a
# frame faster (docs/benchmarks.md).
_ON_CPU: dict[str, Any] = {'xla_backend_optimization_level': 1}
if jax.__version_info__ < (0, 11):
  _ON_CPU['xla_cpu_use_fusion_emitters'] = False
for _name in list(_ON_CPU):
  if _name in os.environ.get('XLA_FLAGS', ''):  # The user's word holds.
    del _ON_CPU[_name]


class Jitted:
  """A compiled function; on other devices than a CPU exactly `jax.jit`'s."""

  def __init__(self, function: Callable[..., Any], **options: Any):
    """Compiles nothing yet.

    Args:
      function: a pure one.
      **options: of `jax.jit`.
    """
    functools.update_wrapper(self, function)
    self._anywhere = jax.jit(function, **options)
    self._on_cpu = jax.jit(function, compiler_options=_ON_CPU, **options)

  def on(self, platform: str) -> Any:
    """Returns what `jax.jit` makes of it for 'cpu', 'gpu' or 'tpu'."""
    return self._on_cpu if platform == 'cpu' else self._anywhere

  @property
  def _here(self) -> Any:
    return self.on(jax.default_backend())

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    """Calls the function."""
    return self._here(*args, **kwargs)

  def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
    """Returns the result's shapes; a call after it is not traced again."""
    return self._here.eval_shape(*args, **kwargs)

  def count(self) -> int:
    """Returns how often it was compiled."""
    return self._here._cache_size()
