"""An architecture as plain fields: in files, in messages."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from savos_jax.foundation import typed
from savos_jax.models import savos_config

# Far beyond every network; what is larger takes for ever to build.
_MOST = {
  'block_counts': 64, 'width_multiplier': 16, 'gcb_kernel_size': 255,
  'spatial_kernel_size': 255, 'rgb_mean': 256, 'rgb_std': 256,
}  # fmt: skip
# The dtype of the computation changes no parameter.
_WITHOUT_PARAMETERS = ('compute_dtype',)


def as_fields(config: savos_config.SavosConfig) -> dict[str, Any]:
  """Returns the architecture as a dictionary that JSON can hold."""
  return dataclasses.asdict(config)


def from_fields(fields: Mapping[str, Any]) -> savos_config.SavosConfig:
  """Returns the architecture that a file tells of.

  Args:
    fields: from `as_fields`, lists in place of tuples. A field that is not
      there has its default: the file is older than the field.

  Returns:
    The architecture.

  Raises:
    ValueError: a field is unknown, of another type or out of its range.
  """
  return typed.build(savos_config.SavosConfig, fields, _MOST)


def differences(
  found: savos_config.SavosConfig, expected: savos_config.SavosConfig
) -> list[str]:
  """Lists 'field: found (expected)' where parameters would not fit."""
  found_fields, expected_fields = as_fields(found), as_fields(expected)
  return [
    f'{name}: {value!r} (expected {expected_fields[name]!r})'
    for name, value in found_fields.items()
    if name not in _WITHOUT_PARAMETERS and value != expected_fields[name]
  ]
