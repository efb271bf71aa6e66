"""Job 2: frames a second of the tracker, and of the same network in PyTorch.

  python launch/gpu/inference.py --json=inference.json

Random frames; full and half width, 1, 2 and 5 objects, 1, 8 and 32 videos at
once, float32 (with the device's default rounding) and bfloat16. JAX, PyTorch
and torch.compile (with channels-last weights, the same rounding of float32, and
autocast for bfloat16) take one frame each in turn. A frame starts as an array
on the host and ends as labels on the host. Columns: frames per second, over all
videos; torch_over_jax: above 1, JAX is faster; `plain`: XLA's own 1x1
convolutions instead of matrix products.

The paper: 0.51 s a frame (2.0 frames a second) on a GTX 1080 Ti, full width,
480x854, one object.
"""

import contextlib
import dataclasses
import functools
import sys
from typing import Any
from unittest import mock

import jobs  # isort: skip, it finds the others.

import jax
import numpy as np

from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import convolutions
from savos_jax.models import savos
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark.flags import shared


@dataclasses.dataclass(frozen=True)
class Case:
  """What a row is for.

  Attributes:
    width: of the network, see `jobs.WIDTHS`.
    dtype: of its computation.
    objects: in each video.
    videos: at once.
    torch: PyTorch beside it: '', 'eager' or 'compile' (both).
    plain: 1x1 convolutions are not turned into matrix products.
  """

  width: str
  dtype: str
  objects: int = 1
  videos: int = 1
  torch: str = 'eager'
  plain: bool = False


# The most important first: time may end the list.
CASES = (
  Case('full', 'bfloat16', torch='compile'),
  Case('half', 'bfloat16', torch='compile'),
  Case('full', 'bfloat16', plain=True, torch=''),
  Case('full', 'float32'),
  Case('full', 'bfloat16', videos=8),
  Case('full', 'bfloat16', objects=5),
  Case('half', 'float32'),
  Case('full', 'bfloat16', videos=32),
  Case('half', 'bfloat16', videos=32),
  Case('half', 'bfloat16', objects=5),
  Case('full', 'float32', objects=5),
  Case('full', 'bfloat16', objects=2),
  Case('full', 'float32', videos=32),
)
QUICK = (
  Case('tiny', 'float32', objects=2),
  Case('tiny', 'bfloat16', videos=2, torch=''),
  Case('tiny', 'float32', plain=True, torch=''),
)


def _convolve(x, kernel, strides=(1, 1), padding='SAME', **others: Any):
  """1x1 convolutions and lines as `by_products` gets them, by XLA."""
  layout = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, **layout | others
  )


@contextlib.contextmanager
def _convolutions(plain: bool):
  """Turns no convolution into products in the block, if they are plain."""
  with contextlib.ExitStack() as stack:
    if plain:
      jax.clear_caches()  # The same network, compiled in another way.
      patch = mock.patch.object(convolutions, 'by_products', _convolve)
      stack.enter_context(patch)
      stack.callback(jax.clear_caches)
    yield


def jax_program(case: Case, size: shared.Size):
  """Returns what takes a frame of all videos with the tracker."""
  model = savos.SAVOS(jobs.architecture(case.width, case.dtype))
  params = jax.device_put(common.draw_params(model))
  frame, labels = frame_and_labels(size, case.objects)
  trackers = []
  for _ in range(case.videos):
    tracker = tracker_lib.Tracker(model, params, options.InferenceConfig())
    tracker.start(frame, labels, tuple(range(1, case.objects + 1)))
    trackers.append(tracker)
  return functools.partial(
    tracker_lib.step_together, trackers, [frame] * case.videos
  )


def frame_and_labels(
  size: shared.Size, objects: int
) -> tuple[np.ndarray, np.ndarray]:
  """Draws a frame, uint8 [H, W, 3], and labels, uint8 [H, W]."""
  rng = np.random.default_rng(0)
  shape = size.height, size.width
  frame = rng.integers(0, 256, (*shape, 3), np.uint8)
  return frame, rng.integers(0, objects + 1, shape, np.uint8)


def _torch_programs(case: Case, size: shared.Size) -> dict[str, Any]:
  """Returns the same with PyTorch; empty where it is not installed."""
  try:
    import torch_speed
  except ImportError:
    return {}
  frame, labels = frame_and_labels(size, case.objects)
  programs = {}
  for kind in ('eager', 'compile')[: 2 if case.torch == 'compile' else 1]:
    tracker = torch_speed.TorchTracker(
      jobs.architecture(case.width, 'float32'),
      compiled=kind == 'compile',
      bfloat16=case.dtype == 'bfloat16',
      device=torch_speed.default_device(),
      videos=case.videos,
    )
    tracker.start(frame, labels, tuple(range(1, case.objects + 1)))
    programs[f'torch_{kind}'] = functools.partial(tracker.step, frame)
  return programs


def measure(
  case: Case, size: shared.Size, frames: int, peaks: roofline.Peaks
) -> dict[str, Any]:
  """Times a frame of all videos.

  Args:
    case: what the row is for.
    size: of the frames.
    frames: that are timed.
    peaks: rates of the device.

  Returns:
    The row.
  """
  with _convolutions(case.plain):
    programs = {'jax': jax_program(case, size)}
    if case.torch:
      programs |= _torch_programs(case, size)
    seconds = jobs.in_turn(programs, frames)
  architecture = jobs.architecture(case.width, case.dtype)
  operations = inference.operations(
    savos.SAVOS(architecture),
    options.InferenceConfig(),
    (size.height, size.width),
    case.objects,
  )
  row = dataclasses.asdict(case)
  row['torch'] = case.torch or '-'
  for name in ('jax', 'torch_eager', 'torch_compile'):
    found = seconds.get(name)
    row[f'{name}_frames_per_s'] = found and case.videos / found
  best = min((s for n, s in seconds.items() if n != 'jax'), default=None)
  row['torch_over_jax'] = best and best / seconds['jax']
  flops = operations and operations * case.videos / seconds['jax']
  row['share_of_peak'] = flops and flops / peaks.best_flops(case.dtype)
  row['peak_gib'] = common.peak_gib()
  return row


def main() -> int:
  """Measures; returns the exit status."""
  parser = jobs.parser(__doc__, seconds=170)
  parser.set_defaults(command='gpu inference')
  arguments = parser.parse_args()
  quick = arguments.quick
  size = shared.Size(64, 96) if quick else shared.DAVIS_SIZE
  peaks = roofline.measure(
    ('float32', 'bfloat16'), 128 if quick else None, 1 if quick else 256
  )
  one = functools.partial(
    measure, size=size, frames=2 if quick else 30, peaks=peaks
  )
  return jobs.run(
    arguments, QUICK if quick else CASES, one, peaks=peaks.block()
  )


if __name__ == '__main__':
  sys.exit(main())
