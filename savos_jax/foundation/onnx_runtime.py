"""Imports ONNX Runtime with telemetry disabled.

By default, ONNX Runtime reports usage to Microsoft (see its Privacy.md) and
stores a device id in the user's cache.
"""

import os
from types import ModuleType

from savos_jax.foundation import extras


def require(extra: str, purpose: str) -> ModuleType:
  """Imports ONNX Runtime with telemetry disabled.

  If the user has set ORT_DISABLE_TELEMETRY, that value is respected.

  Args:
    extra: the extra in pyproject.toml that installs it.
    purpose: what needs it, for the error message.

  Raises:
    SavosError: it is not installed.
  """
  os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
  library = extras.require('onnxruntime', extra, purpose)
  if os.environ['ORT_DISABLE_TELEMETRY'] == '1':
    library.disable_telemetry_events()  # Windows ignores the variable.
  return library
