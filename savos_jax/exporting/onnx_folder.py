"""A network as a folder that ONNX Runtime runs, in Python or in a browser.

  savos.json         what the functions take and return, and how to use them
  reference.onnx     of `functions.py`
  step.onnx
  weights.safetensors

The weights are in one file, to which both graphs point (ONNX's external data):
a safetensors file holds its arrays as they are. The file that is shipped with
the package is one already; its graphs lie beside it.
"""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
import struct
from typing import Any

from flax import traverse_util
import jax
import numpy as np
import onnx

from savos_jax import network
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import functions
from savos_jax.exporting import onnx_graph
from savos_jax.exporting import parity
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import with_onnx
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.weights import fingerprints

WEIGHTS = 'weights.safetensors'
FILES = (with_onnx.DESCRIPTION, 'reference.onnx', 'step.onnx', WEIGHTS)
_LICENCE = 'Apache-2.0'
_DTYPES = {'F32': np.float32, 'F16': np.float16}


def _stored(path: pathlib.Path) -> dict[str, onnx_graph.Stored]:
  """Returns where in a safetensors file each array is."""
  with path.open('rb') as file:
    (length,) = struct.unpack('<Q', file.read(8))
    header = json.loads(file.read(length))
    data = file.read()
  header.pop('__metadata__', None)
  stored = {}
  for name, told in header.items():
    begin, end = told['data_offsets']
    array = np.frombuffer(data[begin:end], _DTYPES[told['dtype']])
    array = array.reshape(told['shape'])
    stored[name] = onnx_graph.Stored(array, path.name, 8 + length + begin)
  return stored


def sizes(
  count: int | None, size: tuple[int, int] | None
) -> tuple[Any, Any, Any]:
  """Returns number of objects, height and width by 32; symbols for None."""
  k, h, w = jax.export.symbolic_shape('K, h, w')
  multiple = savos_config.SIZE_MULTIPLE
  height, width = [side // multiple for side in size] if size else (h, w)
  return count or k, height, width


def _graphs(
  model: savos.SAVOS,
  params: Mapping[str, Any],
  count: int | None,
  size: tuple[int, int] | None,
) -> dict[str, onnx.ModelProto]:
  """Returns both functions' graphs.

  Args:
    model: the network.
    params: its parameters by their names, stored or not.
    count: of objects; None: any.
    size: height and width, multiples of 32; None: any.
  """
  inputs = functions.inputs(model, *sizes(count, size))
  made = {'reference': functions.reference, 'step': functions.step}
  return {
    name: onnx_graph.build(make(model), params, inputs[name], name)
    for name, make in made.items()
  }


def _told(values) -> dict[str, Any]:
  """Returns shapes and dtypes of a graph's inputs or outputs."""
  return {
    value.name: {
      'shape': [
        size.dim_param or size.dim_value
        for size in value.type.tensor_type.shape.dim
      ],
      'dtype': 'float32',
    }
    for value in values
  }


def description(
  trained: network.Trained,
  graphs: Mapping[str, onnx.ModelProto],
  weights: str,
) -> dict[str, Any]:
  """Returns what `with_onnx.DESCRIPTION` tells.

  Args:
    trained: the network.
    graphs: its functions'.
    weights: the name of their file.
  """
  known = {field.name for field in dataclasses.fields(options.InferenceConfig)}
  evaluated = trained.config.get('eval', {})
  config = trained.model.config
  return {
    'format': with_onnx.FORMAT,
    'weights': weights,
    'functions': {
      name: {
        'file': f'{name}.onnx',
        'inputs': _told(model.graph.input),
        'outputs': _told(model.graph.output),
      }
      for name, model in graphs.items()
    },
    # Mean and deviation are inside the graphs; what pads has the mean colour.
    'frame': {
      'colours': 'RGB',
      'range': [0, 1],
      'multiple': savos_config.SIZE_MULTIPLE,
      'mean': list(config.rgb_mean),
      'std': list(config.rgb_std),
    },
    'inference': {k: v for k, v in evaluated.items() if k in known},
    'step': trained.step,
    'checksum': fingerprints.fingerprint(trained.params),
    'licence': _LICENCE,
  }


def check(trained: network.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what can't be exported.

  Raises:
    SavosError: a size that the network can't see, or frames that it is to
      remember.
  """
  choices_lib.check_multiples(choices.size)
  frames = trained.config.get('eval', {}).get('memory_frames', 0)
  if frames:
    raise errors.SavosError(
      f'this network was evaluated with memory_frames={frames}.\n  Expected 0: '
      'the exported functions look back at the reference alone. StableHLO '
      '(--format=stablehlo) has the whole step.'
    )


def write(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> None:
  """Writes a network's folder.

  Args:
    out: the folder; it is made if it is not there.
    trained: the network.
    choices: the size is what the functions see.

  Raises:
    SavosError: a value is beyond float16, or the disk is full.
  """
  out.mkdir(parents=True, exist_ok=True)
  network.write(out / WEIGHTS, trained, choices.dtype)
  _write_graphs(out, trained, WEIGHTS, choices.objects, choices.size)


def measure(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> parity.Parity:
  """Runs what was written, beside the network.

  Raises:
    SavosError: ONNX Runtime is not installed.
  """
  runtime = with_onnx.Onnx(with_onnx.read(out))
  return parity.measure(trained, runtime.call, choices.objects, choices.size)


def write_beside(weights: pathlib.Path, trained: network.Trained) -> None:
  """Writes the graphs of a file of weights that is there, beside it."""
  _write_graphs(weights.parent, trained, weights.name, None, None)


def _write_graphs(out, trained, weights, count, size) -> None:
  graphs = _graphs(trained.model, _stored(out / weights), count, size)
  for name, model in graphs.items():
    with files.replacing(out / f'{name}.onnx') as partial:
      partial.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(out / f'{name}.onnx', full_check=True)
  told = description(trained, graphs, weights)
  with files.replacing(out / with_onnx.DESCRIPTION) as partial:
    partial.write_text(json.dumps(told, indent=2) + '\n', 'utf-8')


def folded(
  trained: network.Trained,
) -> dict[str, onnx.ModelProto]:
  """Returns the graphs with float32 weights inside, for tools that need it."""
  flat = traverse_util.flatten_dict(trained.params, sep='/')
  params = {name: np.asarray(array) for name, array in flat.items()}
  return _graphs(trained.model, params, None, None)
