"""Seconds a frame of the tracker and of the same network in PyTorch.

  python tests/golden/torch_speed.py --width_multiplier 0.5 --compile

Both segment the same random frames with the same objects, one frame each in
turn, so that whatever else the machine does slows both. PyTorch runs the
independent definition in `torch_savos.py` with its weights in channels-last
order, and encodes the reference once, as the tracker does; its first
convolution is computed for each object. Both compute in float32, on the CPU.
Prints one line of JSON. (launch/gpu/inference.py does this on a GPU.)
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import jax
import numpy as np
import torch
import torch_savos
import turns

from savos_jax.foundation import allocation
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import state as state_lib


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
  ):
    """Draws the weights.

    Args:
      config: the architecture; its dtype is not used.
      compiled: by torch.compile.
      bfloat16: computes in it, by autocast.
      device: PyTorch's name of it.
      videos: that are segmented at once.
    """
    network = torch_savos.Savos(config).to(memory_format=torch.channels_last)
    self._network, self._device = network.to(device), device
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
    labels = torch.where(best.values > 0.5, best.indices + 1, 0)
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
    '--compile', action='store_true', help='PyTorch by torch.compile'
  )
  turns.add_argument(parser)
  shared.add_architecture_arguments(parser)
  return parser.parse_args()


def main() -> None:
  """Measures and prints."""
  allocation.keep()
  arguments = _parse()
  clock = turns.clock(arguments.one_core)
  config = common.architecture(arguments)
  model = savos.SAVOS(config)
  params = jax.jit(lambda key: state_lib.init_params(model, key))(
    jax.random.key(0)
  )
  trackers = {
    'jax': tracker_lib.Tracker(model, params, options.InferenceConfig()),
    'torch': TorchTracker(config, arguments.compile),
  }
  rng = np.random.default_rng(0)
  shape = arguments.size.height, arguments.size.width
  frame = rng.integers(0, 256, (*shape, 3), np.uint8)
  labels = rng.integers(0, arguments.objects + 1, shape, np.uint8)
  seconds = {name: [] for name in trackers}
  for tracker in trackers.values():
    tracker.start(frame, labels, tuple(range(1, arguments.objects + 1)))
    for _ in range(2):  # Compiles, and settles.
      tracker.step(frame)
  for _ in range(arguments.frames):
    for name, tracker in trackers.items():
      once = functools.partial(tracker.step, frame)
      seconds[name].append(turns.timed(once, clock))
  medians = {name: statistics.median(s) for name, s in seconds.items()}
  print(
    json.dumps(
      output.flags(arguments)
      | output.device()
      | {'torch': torch.__version__}
      | {f'{n}_median_s_per_frame': round(m, 4) for n, m in medians.items()}
      | {'torch_over_jax': round(medians['torch'] / medians['jax'], 3)},
      default=str,
    )
  )


if __name__ == '__main__':
  main()
