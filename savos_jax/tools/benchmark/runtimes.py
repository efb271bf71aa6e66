"""Times the tracker with each runtime, in turns."""

import argparse
from collections.abc import Iterator
import itertools
import statistics
import time
from typing import Any

import cv2
import numpy as np

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared

_AHEAD = 2  # Frames that are not timed: the first compiles.
# Between turns: the threads of one wait a while for more work, on cores that
# the next one would have.
_PAUSE_S = 0.1
_STEP = 2.0  # Pixels that objects move a frame.


def video(
  size: shared.Size, objects: int, frames: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Draws frames, RGB uint8 [H, W, 3], and labels, uint8 [H, W].

  Ellipses side by side, which move to the right.
  """
  rng = np.random.default_rng(0)
  shape = size.height, size.width
  ground = rng.integers(0, 256, (*shape, 3), np.uint8)
  ground = cv2.GaussianBlur(ground, (0, 0), 5)
  colours = rng.integers(0, 256, (objects, 3)).tolist()
  radius = max(3, size.width // (12 * objects)), max(3, size.height // 6)
  for index in range(frames):
    frame, labels = ground.copy(), np.zeros(shape, np.uint8)
    for number, colour in enumerate(colours):
      x = size.width // 3 + 2 * radius[0] * number + int(_STEP * index)
      where = (x, size.height // 2), radius, 0, 0, 360
      cv2.ellipse(frame, *where, colour, -1)
      cv2.ellipse(labels, *where, number + 1, -1)
    yield frame, labels


def _networks(arguments) -> dict[str, tuple[Any, Any]]:
  """Returns model and parameters for trackers, by the name of the row."""
  trained = network.load(arguments.checkpoint)
  folders = arguments.exported
  if folders is None:
    if str(arguments.checkpoint) != checkpoints.DEFAULT:
      raise errors.SavosError(
        f'{arguments.checkpoint}: nothing that was exported of it is given.\n'
        '  Expected --exported with a folder of savos_jax.tools.export.'
      )
    folders = [checkpoints.find(checkpoints.DEFAULT).parent]
  found: dict[str, tuple[Any, Any]] = {'jax': (trained.model, trained.params)}
  for folder in folders:
    runtime = with_onnx.Onnx(with_onnx.read(folder))
    found[f'onnx {folder.name}'] = runtime, None
  return found


def measure(
  networks: dict[str, tuple[Any, Any]],
  config: options.InferenceConfig,
  size: shared.Size,
  objects: int,
  frames: int,
) -> dict[str, dict[str, Any]]:
  """Times all networks on a frame before going on to the next.

  Args:
    networks: model and parameters by name, 'jax' among them.
    config: the inference settings.
    size: of the frames.
    objects: segmented at once.
    frames: timed.

  Returns:
    The figures by name.
  """
  following = {
    name: tracker_lib.Tracker(*one, config) for name, one in networks.items()
  }
  seconds: dict[str, list[float]] = {name: [] for name in following}
  differing: dict[str, list[float]] = {name: [] for name in following}
  for index, (frame, labels) in enumerate(
    video(size, objects, 1 + _AHEAD + frames)
  ):
    found = {}
    for name, tracker in following.items():
      if not index:
        tracker.start(frame, labels, range(1, objects + 1))
        continue
      time.sleep(_PAUSE_S)
      began = time.perf_counter()
      found[name] = tracker.step(frame)
      seconds[name].append(time.perf_counter() - began)
    for name, labels in found.items():
      differing[name].append(1e6 * float((labels != found['jax']).mean()))
  timed = {name: values[_AHEAD:] for name, values in seconds.items()}
  return {
    name: {
      **common.spread(values),
      'over_jax': statistics.median(
        jax / own for jax, own in zip(timed['jax'], values, strict=True)
      ),
      'differing': statistics.mean(differing[name]),
    }
    for name, values in timed.items()
  }


def run(arguments: argparse.Namespace) -> None:
  """Measures; prints each row when it is there.

  Raises:
    SavosError: there is no such network, or a file can't be written.
  """
  networks = _networks(arguments)
  out = output.Output(arguments)
  for size, zoom, focus, objects in itertools.product(
    arguments.size, arguments.zoom, arguments.focus, arguments.objects
  ):
    config = options.InferenceConfig(
      short_side=arguments.short_side, zoom=zoom, focus=focus
    )
    rows = measure(networks, config, size, objects, arguments.frames)
    for name, figures in rows.items():
      told = {'size': str(size), 'zoom': zoom, 'focus': focus}
      out.add({**told, 'objects': objects, 'runtime': name, **figures})
