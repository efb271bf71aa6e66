"""Seconds a frame of the tracker, by JAX, ONNX Runtime and PyTorch.

  python tests/golden/torch_speed.py --width_multiplier 0.5 --compile

All run the same network with the same weights and segment the same random
frames with the same objects, one frame each in turn, so that whatever else the
machine does slows all. ONNX Runtime runs what our own exporter writes. PyTorch
runs the independent definition in `torch_savos.py` with its weights in
channels-last order, eagerly and with --compile by torch.compile as well; it
encodes the reference once, as the tracker does, and computes its first
convolution for each object. All compute in float32, on the CPU. Prints one line
of JSON: the median and the fewest seconds of each, both over JAX's (above 1,
JAX is faster), and how many labels of a million differ from JAX's. Where other
work goes on, only the fewest tell of both cores. (launch/gpu/inference.py does
this on a GPU.)
"""

import argparse
from collections.abc import Mapping
import json
import pathlib
import statistics
import sys
import tempfile
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import network_weights
import numpy as np
import torch
import torch_savos
import turns

from savos_jax import network
from savos_jax.foundation import allocation
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared

_SEED = 0  # Of the weights.


def default_device() -> str:
  """Returns a GPU where PyTorch sees one, which may then round float32."""
  if not torch.cuda.is_available():
    return 'cpu'
  # As JAX does by default.
  torch.set_float32_matmul_precision('high')
  torch.backends.cudnn.allow_tf32 = True
  return 'cuda'


class TorchTracker:
  """The tracker's steps with the PyTorch network, for videos of equal size."""

  def __init__(
    self,
    config: savos_config.SavosConfig,
    compiled: bool,
    bfloat16: bool = False,
    device: str = 'cpu',
    videos: int = 1,
    state: Mapping[str, np.ndarray] | None = None,
  ):
    """Builds the network.

    Args:
      config: the architecture; its dtype is not used.
      compiled: by torch.compile.
      bfloat16: computes in it, by autocast.
      device: PyTorch's name of it.
      videos: that are segmented at once.
      state: the weights, from `network_weights`; None: PyTorch draws them.
    """
    network = torch_savos.Savos(config)
    if state is not None:
      tensors = {name: torch.from_numpy(array) for name, array in state.items()}
      # BatchNorms count what they have seen, which is not drawn.
      network.load_state_dict(tensors, strict=False)
    network = network.to(device, memory_format=torch.channels_last)
    self._network, self._device = network, device
    self._run = torch.compile(self._segment) if compiled else self._segment
    self._cast = torch.autocast(device, torch.bfloat16, enabled=bfloat16)
    self._videos = videos

  def _segment(self, frames, guidance, reference):
    frames = self._for_each_object(frames, guidance)
    target = self._network.encode(frames, guidance)
    both = torch.cat([target['res5'], reference], dim=1)
    x = self._network.global_convolution(both)
    logits = self._network.decoder(x, target)
    logits = torch.nn.functional.interpolate(
      logits, scale_factor=4, mode='bilinear', align_corners=False
    )
    height, width = frames.shape[2:]
    return torch.softmax(logits, 1)[:, 1:, :height, :width]

  def _for_each_object(self, frames, guidance):
    """Repeats frames [V, 3, H, W] for the objects of each video."""
    objects = guidance.shape[0] // self._videos
    frames = frames[:, None].expand(-1, objects, -1, -1, -1).flatten(0, 1)
    return frames.contiguous(memory_format=torch.channels_last)

  def _tensor(self, frame: np.ndarray) -> torch.Tensor:
    """Returns the frame as that of all videos."""
    frames = torch.from_numpy(np.stack([frame] * self._videos))
    tensor = frames.to(self._device).permute(0, 3, 1, 2).float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)

  @torch.inference_mode()
  def start(self, frame: np.ndarray, labels: np.ndarray, ids) -> None:
    """As `tracker.Tracker.start`, for all videos."""
    masks = np.stack([labels == i for i in ids]).astype(np.float32)
    masks = np.concatenate([masks] * self._videos)[:, None]
    self._guidance = torch.from_numpy(masks).to(self._device)
    frames = self._for_each_object(self._tensor(frame), self._guidance)
    with self._cast:
      encoded = self._network.encode(frames, self._guidance)
    self._reference = encoded['res5']

  @torch.inference_mode()
  def step(self, frame: np.ndarray) -> np.ndarray:
    """As `tracker.Tracker.step`, with Eq. 5 for several objects.

    Args:
      frame: uint8 [H, W, 3], of all videos.

    Returns:
      Labels [V, H, W].
    """
    with self._cast:
      p = self._run(self._tensor(frame), self._guidance, self._reference)
    p = p.float().unflatten(0, (self._videos, -1))
    if p.shape[1] > 1:
      behind = torch.prod(1 - p, 1, keepdim=True)
      both = torch.cat([behind, p], 1).clamp(1e-7, 1 - 1e-7)
      p = torch.softmax(torch.logit(both), 1)[:, 1:]
    self._guidance = p.flatten(0, 1)
    best = p.max(1)
    behind = 1 - p.sum(1)
    labels = torch.where(best.values > behind, best.indices + 1, 0)
    return labels[:, 0].cpu().numpy()


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    '--size',
    type=shared.size,
    default=shared.DAVIS_SIZE,
    metavar='HxW',
    help='height and width of the frames, pixels',
  )
  for name, default in (('objects', 1), ('frames', 10)):
    parser.add_argument(f'--{name}', type=shared.positive, default=default)
  parser.add_argument(
    '--compile',
    action='store_true',
    help='PyTorch by torch.compile, too',
  )
  turns.add_argument(parser)
  shared.add_architecture_arguments(parser)
  return parser.parse_args()


def _trackers(
  config: savos_config.SavosConfig, compiled: bool, folder: pathlib.Path
) -> dict[str, Any]:
  """Returns trackers with the same weights, by the name of what runs them.

  Args:
    config: the architecture.
    compiled: torch.compile, too.
    folder: for the exported network, read until the first frame is segmented.
  """
  # The jobs for a GPU, which use the class above, have no onnx.
  from savos_jax.exporting import choices
  from savos_jax.exporting import onnx_folder

  state = network_weights.torch_state(config, _SEED)
  model = savos.SAVOS(config)
  params = network_weights.flax_params(config, state)
  trained = network.Trained(model, params, 0, False, {})
  onnx_folder.write(folder, trained, choices.Choices())
  found: dict[str, Any] = {
    'jax': tracker_lib.Tracker(model, params),
    'onnx': tracker_lib.Tracker(with_onnx.Onnx(with_onnx.read(folder)), None),
    'torch': TorchTracker(config, compiled=False, state=state),
  }
  if compiled:
    found['torch_compile'] = TorchTracker(config, compiled=True, state=state)
  return found


def main() -> None:
  """Measures and prints."""
  allocation.keep()
  arguments = _parse()
  clock = turns.clock(arguments.one_core)
  rng = np.random.default_rng(0)
  shape = arguments.size.height, arguments.size.width
  frame = rng.integers(0, 256, (*shape, 3), np.uint8)
  labels = rng.integers(0, arguments.objects + 1, shape, np.uint8)
  config = common.architecture(arguments)
  with tempfile.TemporaryDirectory() as folder:
    trackers = _trackers(config, arguments.compile, pathlib.Path(folder))
    for tracker in trackers.values():
      tracker.start(frame, labels, tuple(range(1, arguments.objects + 1)))
      for _ in range(2):  # Compiles, and settles.
        tracker.step(frame)
  seconds: dict[str, list[float]] = {name: [] for name in trackers}
  differing: dict[str, list[float]] = {name: [] for name in trackers}
  found = {}
  for _ in range(arguments.frames):
    for name, tracker in trackers.items():

      def once(name=name, tracker=tracker):
        found[name] = np.asarray(tracker.step(frame))

      seconds[name].append(turns.timed(once, clock))
    for name, labels in found.items():
      differing[name].append(1e6 * float((labels != found['jax']).mean()))
  others = [name for name in trackers if name != 'jax']
  told: dict[str, float] = {'segmented': float((found['jax'] > 0).mean())}
  for name, best in (('median', statistics.median), ('fastest', min)):
    times = {one: best(values) for one, values in seconds.items()}
    told |= {f'{one}_{name}_s': times[one] for one in trackers}
    told |= {
      f'{one}_over_jax_{name}': times[one] / times['jax'] for one in others
    }
  told |= {f'{one}_differing': max(differing[one]) for one in others}
  print(
    json.dumps(
      output.flags(arguments)
      | output.device()
      | {'torch': torch.__version__}
      | {name: round(value, 4) for name, value in told.items()},
      default=str,
    )
  )


if __name__ == '__main__':
  main()
