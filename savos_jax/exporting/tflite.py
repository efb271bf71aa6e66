"""Writes a network as two TFLite files, for phones and other small devices.

  savos.json         inputs and outputs of the functions
  reference.tflite   the functions of `functions.py`, which contain the weights
  step.tflite

All sizes are fixed: TFLite's interpreters plan their memory in advance.
"""

from collections.abc import Mapping
import os
import pathlib
from types import ModuleType
from typing import Any

import numpy as np

from savos_jax import network
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import described
from savos_jax.exporting import functions
from savos_jax.exporting import parity
from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import files

FORMAT = 'savos_jax.tflite'
FILES = (described.FILE, 'reference.tflite', 'step.tflite')


def _tensorflow() -> ModuleType:
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # Before it is imported.
  return extras.require('tensorflow', 'tf', '--format=tflite')


def check(trained: network.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what can't be exported.

  Raises:
    SavosError: a size or number is missing, or is none that the network sees;
      TensorFlow is not installed.
  """
  if choices.size is None or choices.objects is None:
    raise errors.SavosError(
      'TFLite has fixed sizes, and --size or --objects is missing.\n  Expected '
      'both, such as --size=256x448 --objects=1; or --format=onnx, which takes '
      'any.'
    )
  described.check(trained, choices)
  _tensorflow()


def write(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> None:
  """Writes a network's folder.

  Args:
    out: the folder; it is made if it is not there.
    trained: the network.
    choices: float16 is that of the weights in the file.

  Raises:
    SavosError: the disk is full.
  """
  out.mkdir(parents=True, exist_ok=True)
  inputs = functions.inputs(trained.model, choices.objects, choices.size)
  told = {}
  for name, make in functions.FUNCTIONS.items():
    function = make(trained.model)
    with files.replacing(out / f'{name}.tflite') as partial:
      partial.write_bytes(
        _converted(function, trained.params, inputs[name], choices.dtype)
      )
    told[name] = described.function(f'{name}.tflite', inputs[name], trained)
  description = described.network(FORMAT, trained, told)
  described.write(out, description)


def _converted(
  function: functions.Function,
  params: Any,
  inputs: Mapping[str, Any],
  dtype: str,
) -> bytes:
  """Converts a function together with its parameters."""
  tf = _tensorflow()
  from jax.experimental import jax2tf

  flat = functions.flat(params)
  own: Any = {name: np.asarray(array) for name, array in flat.items()}
  module = tf.Module()
  module.call = tf.function(
    jax2tf.convert(lambda **given: function(own, given), with_gradient=False),
    autograph=False,
  )
  traced = module.call.get_concrete_function(
    **{
      name: tf.TensorSpec(struct.shape, tf.float32, name=name)
      for name, struct in inputs.items()
    }
  )
  converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
  # Built-in operators only, none of TensorFlow's.
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
  if dtype == 'float16':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
  return converter.convert()


def measure(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> parity.Parity:
  """Compares the exported network with the original."""
  tf = _tensorflow()

  def run(name, inputs):
    interpreter = tf.lite.Interpreter(str(out / f'{name}.tflite'))
    (signature,) = interpreter.get_signature_list()
    return interpreter.get_signature_runner(signature)(**inputs)

  return parity.measure(trained, run, choices.objects, choices.size)
