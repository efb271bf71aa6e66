"""Writes a network as a folder for ONNX Runtime, in Python or in a browser.

  savos.json         inputs and outputs of the functions, and how to use them
  reference.onnx     the functions of `functions.py`
  step.onnx
  weights.safetensors

Both graphs refer to one file of weights (ONNX's external data), since a
safetensors file stores its arrays uncompressed. The shipped weights are such a
file; their graphs lie beside it.
"""

from collections.abc import Mapping
import json
import pathlib
import struct
import tempfile
from typing import Any

import numpy as np
import onnx

from savos_jax import network
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import described
from savos_jax.exporting import functions
from savos_jax.exporting import onnx_graph
from savos_jax.exporting import parity
from savos_jax.exporting import quantised
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import onnx_runtime
from savos_jax.inference import with_onnx
from savos_jax.models import savos

WEIGHTS = 'weights.safetensors'
FILES = (described.FILE, 'reference.onnx', 'step.onnx', WEIGHTS)
_DTYPES = {'F32': np.float32, 'F16': np.float16}


def _stored(path: pathlib.Path) -> dict[str, onnx_graph.Stored]:
  """Returns the arrays of a safetensors file and their offsets."""
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
  inputs = functions.inputs(model, count, size)
  return {
    name: onnx_graph.build(make(model), params, inputs[name], name)
    for name, make in functions.FUNCTIONS.items()
  }


def check(trained: network.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what can't be exported.

  Raises:
    SavosError: as `described.check`; or the frames for 8 bits are missing.
  """
  described.check(trained, choices)
  if choices.dtype == 'int8':
    if choices.calibration is None:
      raise errors.SavosError(
        '--dtype=int8 needs frames, to see what enters the convolutions, and '
        '--calibrate is missing.\n  Expected the folder of DAVIS.'
      )
    if choices.size or choices.objects:
      raise errors.SavosError(
        '--dtype=int8 with --size or --objects.\n  Expected any: the frames '
        'that it is calibrated with are of several sizes.'
      )
    quantised.chosen(choices.calibration)
    onnx_runtime.require('export', '--dtype=int8')


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
  if choices.dtype == 'int8':
    _write_quantised(out, trained, choices)
    return
  network.write(out / WEIGHTS, trained, choices.dtype)
  _write_graphs(out, trained, WEIGHTS, choices.objects, choices.size)


def _write_quantised(out, trained, choices) -> None:
  config = described.config(trained)
  with tempfile.TemporaryDirectory() as folder:
    plain = pathlib.Path(folder)
    write(plain, trained, choices_lib.Choices())
    noted = quantised.seen(
      with_onnx.read(plain), config, quantised.chosen(choices.calibration)
    )
  for name, model in folded(trained).items():
    quantised.write(model, noted[name], out / f'{name}.onnx')
  _describe(out, trained, None, None, weights='inside')


def measure(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> parity.Parity:
  """Compares the exported network with the original.

  Raises:
    SavosError: ONNX Runtime is not installed.
  """
  runtime = with_onnx.Onnx(with_onnx.read(out))
  return parity.measure(
    trained,
    runtime.call,
    choices.objects,
    choices.size,
    region=choices.size is None,
  )


def write_beside(weights: pathlib.Path, trained: network.Trained) -> None:
  """Writes graphs that refer to an existing file of weights, beside it."""
  _write_graphs(weights.parent, trained, weights.name, None, None)


def _write_graphs(out, trained, weights, count, size) -> None:
  graphs = _graphs(trained.model, _stored(out / weights), count, size)
  for name, model in graphs.items():
    with files.replacing(out / f'{name}.onnx') as partial:
      partial.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(out / f'{name}.onnx', full_check=True)
  _describe(out, trained, count, size, weights)


def _describe(out, trained, count, size, weights: str) -> None:
  inputs = functions.inputs(trained.model, count, size)
  told = described.network(
    with_onnx.FORMAT,
    trained,
    {
      name: described.function(f'{name}.onnx', inputs[name], trained)
      for name in functions.FUNCTIONS
    },
    weights=weights,
  )
  described.write(out, told)


def folded(trained: network.Trained) -> dict[str, onnx.ModelProto]:
  """Returns graphs that contain the weights, as float32."""
  flat = functions.flat(trained.params)
  params = {name: np.asarray(array) for name, array in flat.items()}
  return _graphs(trained.model, params, None, None)
