"""An architecture as plain fields: in files, in messages."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from savos_jax.models import savos_config

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
    ValueError: a field is unknown or out of its range.
  """
  known = {field.name for field in dataclasses.fields(savos_config.SavosConfig)}
  unknown = sorted(set(fields) - known)
  if unknown:
    raise ValueError(
      f'unknown fields: {", ".join(unknown)}.\n'
      '  Expected those of config.model.'
    )
  return savos_config.SavosConfig(
    **{
      name: tuple(value) if isinstance(value, list) else value
      for name, value in fields.items()
    }
  )


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
