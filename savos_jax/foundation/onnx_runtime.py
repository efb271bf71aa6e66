"""ONNX Runtime, told to tell nobody.

By default it reports its use to Microsoft (its Privacy.md), and keeps an id of
the device in the user's cache.
"""

import os
from types import ModuleType

from savos_jax.foundation import extras


def require(extra: str, purpose: str) -> ModuleType:
  """Imports ONNX Runtime, which then reports nothing.

  A user's own ORT_DISABLE_TELEMETRY holds.

  Args:
    extra: of pyproject.toml, that has it.
    purpose: what needs it, for the message.

  Raises:
    SavosError: it is not installed.
  """
  os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
  library = extras.require('onnxruntime', extra, purpose)
  if os.environ['ORT_DISABLE_TELEMETRY'] == '1':
    library.disable_telemetry_events()  # Windows has no such variable.
  return library
