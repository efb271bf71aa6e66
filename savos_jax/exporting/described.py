"""The contents of savos.json, common to all export formats."""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any

import jax

from savos_jax import network as network_lib
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import functions
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import with_onnx
from savos_jax.models import savos_config
from savos_jax.weights import fingerprints

FILE = with_onnx.DESCRIPTION
_LICENCE = 'Apache-2.0'


def check(trained: network_lib.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what the two functions do not support.

  Raises:
    SavosError: the size is no multiple of 32, or the network was evaluated with
      remembered frames.
  """
  choices_lib.check_multiples(choices.size)
  frames = trained.config.get('eval', {}).get('memory_frames', 0)
  if frames:
    raise errors.SavosError(
      f'this network was evaluated with memory_frames={frames}.\n  Expected 0: '
      'the exported functions look back at the reference alone. StableHLO '
      '(--format=stablehlo) has the whole step.'
    )


def config(trained: network_lib.Trained) -> options.InferenceConfig:
  """Returns the inference settings of the network's evaluation."""
  evaluated = trained.config.get('eval', {})
  plain = options.InferenceConfig()
  known = {name: evaluated[name] for name in vars(plain) if name in evaluated}
  known['scales'] = tuple(known.get('scales', plain.scales))
  return options.InferenceConfig(**known)


def arrays(structs: Mapping[str, Any]) -> dict[str, Any]:
  """Returns shapes and dtypes by name; dimensions may be symbols."""
  return {
    name: {
      'shape': [x if isinstance(x, int) else str(x) for x in struct.shape],
      'dtype': str(struct.dtype),
    }
    for name, struct in structs.items()
  }


def function(
  file: str, inputs: Mapping[str, Any], trained: network_lib.Trained
) -> dict[str, Any]:
  """Describes one of the two functions.

  Args:
    file: its file name.
    inputs: from `functions.inputs`.
    trained: the network.
  """
  name = file.partition('.')[0]
  traced = functions.FUNCTIONS[name](trained.model)
  params = functions.flat(trained.params)
  outputs = jax.eval_shape(traced, params, dict(inputs))
  return {'file': file, 'inputs': arrays(inputs), 'outputs': arrays(outputs)}


def network(
  kind: str,
  trained: network_lib.Trained,
  told: Mapping[str, Any],
  **more: Any,
) -> dict[str, Any]:
  """Describes a network.

  Args:
    kind: the name of the format.
    trained: the network.
    told: descriptions of its functions.
    **more: entries of this format only.
  """
  known = {field.name for field in dataclasses.fields(options.InferenceConfig)}
  evaluated = trained.config.get('eval', {})
  model = trained.model.config
  return {
    'format': kind,
    **more,
    'functions': told,
    # Mean and deviation are inside the functions; what pads a frame has the
    # mean colour.
    'frame': {
      'colours': 'RGB',
      'range': [0, 1],
      'multiple': savos_config.SIZE_MULTIPLE,
      'mean': list(model.rgb_mean),
      'std': list(model.rgb_std),
    },
    'inference': {k: v for k, v in evaluated.items() if k in known},
    'step': trained.step,
    'averaged': trained.averaged,
    'checksum': fingerprints.fingerprint(trained.params),
    'licence': _LICENCE,
  }


def write(out: pathlib.Path, description: Mapping[str, Any]) -> None:
  """Writes `FILE`.

  Args:
    out: the folder of the export.
    description: from `network`.

  Raises:
    SavosError: the file cannot be written.
  """
  with files.replacing(out / FILE) as partial:
    partial.write_text(json.dumps(description, indent=2) + '\n', 'utf-8')
