"""A `jax.jit` that compiles faster on CPUs, for code that users wait for."""

from collections.abc import Callable
import functools
import os
from typing import Any

import jax

from savos_jax.inference import traces

# XLA's highest optimisation level compiles more slowly, as do its fusion
# emitters, in JAX 0.10 only; neither speeds up a frame (docs/benchmarks.md).
_ON_CPU: dict[str, Any] = {'xla_backend_optimization_level': 1}
if jax.__version_info__ < (0, 11):
  _ON_CPU['xla_cpu_use_fusion_emitters'] = False
for _name in list(_ON_CPU):
  if _name in os.environ.get('XLA_FLAGS', ''):  # The user's choice wins.
    del _ON_CPU[_name]


class Jitted:
  """A compiled function; identical to `jax.jit`'s on anything but a CPU."""

  def __init__(self, function: Callable[..., Any], **options: Any):
    """Wraps the function; compilation happens at the first call.

    Args:
      function: a pure function, as `traces.kept` takes it.
      **options: passed on to `jax.jit`.
    """
    functools.update_wrapper(self, function)
    self._anywhere = jax.jit(function, **options)
    self._on_cpu = jax.jit(
      traces.kept(function), compiler_options=_ON_CPU, **options
    )

  def on(self, platform: str) -> Any:
    """Returns the jitted function for 'cpu', 'gpu' or 'tpu'."""
    return self._on_cpu if platform == 'cpu' else self._anywhere

  @property
  def _here(self) -> Any:
    return self.on(jax.default_backend())

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    """Calls the function."""
    return self._here(*args, **kwargs)

  def compile(self, *args: Any, **kwargs: Any) -> Any:
    """Compiles for arguments of these shapes, for later calls.

    Returns:
      The shapes of the result.
    """
    lowered = self._here.lower(*args, **kwargs)
    lowered.compile()
    return lowered.out_info

  def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
    """Returns the result's shapes; a later call reuses the trace."""
    return self._here.eval_shape(*args, **kwargs)
