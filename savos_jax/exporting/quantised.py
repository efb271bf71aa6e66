"""Quantises the convolutions of an ONNX network to 8 bits.

Static quantisation by ONNX Runtime's tool: the range of each convolution's
input is calibrated on frames of training sequences, weights are quantised per
channel. The first convolution, which sees the frame, and the last one, which
returns the logits, stay in float32, and so do all other operators.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import tempfile

import numpy as np
import onnx
import tqdm

from savos_jax.datasets import davis
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import tracker
from savos_jax.inference import with_onnx

_SEQUENCES = 10
_FRAMES = 25  # Of each; every `_EVERY`-th is taken.
_EVERY = 8

Inputs = list[dict[str, np.ndarray]]


def chosen(root: pathlib.Path) -> list[sequences.Sequence]:
  """Chooses training sequences of DAVIS, always the same ones.

  Raises:
    SavosError: no DAVIS there, or one that is damaged.
  """
  # Of the two lists a folder may have only the larger one.
  year = '2016' if (root / 'ImageSets' / '2016').is_dir() else '2017'
  found = [
    one for one in davis.load(root, 'train', year, '480p') if len(one) > 1
  ]
  if not found:
    raise errors.SavosError(
      f'{root}: no sequence of two frames in its train split.\n  Expected '
      'DAVIS, to see what enters the convolutions.'
    )
  drawn = np.random.default_rng(0).permutation(len(found))[:_SEQUENCES]
  return [found[i] for i in sorted(drawn)]


class _Noting(with_onnx.Onnx):
  """Records the inputs of the functions."""

  def __init__(self, exported: with_onnx.Exported):
    super().__init__(exported)
    self.noted: dict[str, Inputs] = {name: [] for name in with_onnx.FUNCTIONS}

  def call(
    self, name: str, inputs: Mapping[str, np.ndarray]
  ) -> dict[str, np.ndarray]:
    self.noted[name].append(dict(inputs))
    return super().call(name, inputs)


def seen(
  exported: with_onnx.Exported,
  config: options.InferenceConfig,
  videos: Sequence[sequences.Sequence],
) -> dict[str, Inputs]:
  """Returns the inputs of the functions when some videos are segmented.

  Args:
    exported: the network, in float32.
    config: the inference settings.
    videos: annotated, each with at least one object.
  """
  runtime = _Noting(exported)
  for video in tqdm.tqdm(videos, desc='calibrating', disable=None):
    following = tracker.Tracker(runtime, None, config)
    following.start(video.frame(0), video.labels(0), video.object_ids)
    for index in range(1, min(_FRAMES, len(video))):
      before = len(runtime.noted['step'])
      following.step(video.frame(index))
      if index % _EVERY and len(video) > _EVERY:
        del runtime.noted['step'][before:]
  return runtime.noted


def _reader(inputs: Inputs):
  from onnxruntime import quantization

  class Reader(quantization.CalibrationDataReader):
    """Yields the recorded inputs."""

    def __init__(self):
      self._left: Iterator[dict[str, np.ndarray]] = iter(inputs)

    def get_next(self):
      return next(self._left, None)

  return Reader()


def write(model: onnx.ModelProto, inputs: Inputs, path: pathlib.Path) -> None:
  """Quantises a function.

  Args:
    model: its graph, which contains the float32 weights.
    inputs: for the calibration.
    path: of the file to write.
  """
  from onnxruntime import quantization
  from onnxruntime.quantization import shape_inference

  with tempfile.TemporaryDirectory() as folder:
    plain, prepared = (
      f'{folder}/{name}.onnx' for name in ('plain', 'prepared')
    )
    onnx.save(model, plain)
    shape_inference.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    nodes = onnx.load(prepared).graph.node
    convolutions = [node.name for node in nodes if node.op_type == 'Conv']
    with files.replacing(path) as partial:
      quantization.quantize_static(
        prepared,
        partial,
        _reader(inputs),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=['Conv'],
        nodes_to_exclude=[convolutions[0], convolutions[-1]],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
      )
