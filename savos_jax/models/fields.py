"""An architecture as plain fields, for files and messages."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from savos_jax.foundation import typed
from savos_jax.models import savos_config

# Far larger than any real network, which would take forever to build.
_MOST = {
  'block_counts': 64, 'width_multiplier': 16, 'gcb_kernel_size': 255,
  'spatial_kernel_size': 255, 'rgb_mean': 256, 'rgb_std': 256,
}  # fmt: skip
# The dtype of computation does not affect the parameters.
_WITHOUT_PARAMETERS = ('compute_dtype',)


def as_fields(config: savos_config.SavosConfig) -> dict[str, Any]:
  """Returns the architecture as a JSON-serialisable dictionary."""
  return dataclasses.asdict(config)


def from_fields(fields: Mapping[str, Any]) -> savos_config.SavosConfig:
  """Returns the architecture described in a file.

  Args:
    fields: from `as_fields`, with lists instead of tuples. A missing field gets
      its default, since the file may be older than the field.

  Returns:
    The architecture.

  Raises:
    ValueError: a field is unknown, of another type or out of range.
  """
  return typed.build(savos_config.SavosConfig, fields, _MOST)


def differences(
  found: savos_config.SavosConfig, expected: savos_config.SavosConfig
) -> list[str]:
  """Lists as 'field: found (expected)' what makes parameters incompatible."""
  found_fields, expected_fields = as_fields(found), as_fields(expected)
  return [
    f'{name}: {value!r} (expected {expected_fields[name]!r})'
    for name, value in found_fields.items()
    if name not in _WITHOUT_PARAMETERS and value != expected_fields[name]
  ]
