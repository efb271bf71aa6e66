"""An ONNX network that computes its convolutions in 8 bits.

Static quantisation by ONNX Runtime's own tool: the range of what enters each
convolution is that seen on frames of training sequences; weights have a scale a
channel. The first convolution, which sees the frame, and the last one, whose
results are the logits, stay in float32, as does all that is no convolution.
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
  """Draws training sequences of DAVIS, the same ones each time.

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
  """Notes what the functions are called with."""

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
  """Returns what the functions are called with in some videos.

  Args:
    exported: the network, in float32.
    config: how it is used.
    videos: annotated; an object each at least.
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
    """Gives one after another."""

    def __init__(self):
      self._left: Iterator[dict[str, np.ndarray]] = iter(inputs)

    def get_next(self):
      return next(self._left, None)

  return Reader()


def write(model: onnx.ModelProto, inputs: Inputs, path: pathlib.Path) -> None:
  """Quantises a function.

  Args:
    model: its graph, with float32 weights inside.
    inputs: what it is called with.
    path: the file.
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
