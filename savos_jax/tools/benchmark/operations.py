"""Times the operations of a frame, by JAX and by ONNX Runtime."""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import itertools
import json
import math
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
import onnx

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.tools.benchmark import inference
from savos_jax.tools.benchmark import instructions
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark import runtimes

_AHEAD = 2  # Frames that are not timed: the first compiles.
_BYTES = 4  # Of float32.


@dataclasses.dataclass(frozen=True)
class Timed:
  """An operation of a frame.

  Attributes:
    did: what it computes.
    seconds: in the frame where it took the fewest.
  """

  did: instructions.Instruction
  seconds: float


def _fewest(
  seconds: Mapping[Any, list[float]], frames: int
) -> dict[Any, float]:
  """Returns the fewest seconds a frame of each operation.

  Args:
    seconds: of each of its calls, in order; as many in every frame.
    frames: timed.
  """
  return {
    name: float(np.reshape(calls, (frames, -1)).sum(axis=1).min())
    for name, calls in seconds.items()
    if len(calls) % frames == 0
  }


def _followed(tracker, video, frames: int) -> Iterable[np.ndarray]:
  """Starts a tracker, and returns the frames that are left for timing."""
  first, labels = next(video)
  tracker.start(first, labels, range(1, labels.max() + 1))
  for frame, _ in itertools.islice(video, _AHEAD):
    tracker.step(frame)
  return (frame for frame, _ in itertools.islice(video, frames))


# --- JAX. --------------------------------------------------------------------


def with_jax(
  trained: network.Trained, config: options.InferenceConfig, video, case
) -> list[Timed]:
  """Times the instructions of the compiled frame, from a profile.

  Args:
    trained: the network.
    config: the inference settings.
    video: yields frames and labels.
    case: the flags: size, objects, frames.
  """
  tracker = tracker_lib.Tracker(trained.model, trained.params, config)
  size = case.size.height, case.size.width
  compiled = inference.compile_step(
    trained.model, trained.params, config, size, case.objects
  )
  did = instructions.read(compiled.as_text() or '')
  left = list(_followed(tracker, video, case.frames))
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for frame in left:
        tracker.step(frame)
    (path,) = pathlib.Path(folder).rglob('*.xplane.pb')
    profile = jax.profiler.ProfileData.from_file(str(path))
  calls: dict[str, list[float]] = {}
  for name, seconds in _sorted_calls(profile):
    # A loop or a branch is the sum of what runs in it.
    if name in did and did[name].operation not in ('while', 'cond'):
      calls.setdefault(name, []).append(seconds)
  fewest = _fewest(calls, case.frames)
  return [Timed(did[name], seconds) for name, seconds in fewest.items()]


def _sorted_calls(profile: Any) -> list[tuple[str, float]]:
  """Returns name and seconds of each instruction's calls, in order."""
  found = []
  for plane in profile.planes:
    for line in plane.lines:
      for event in line.events:
        name = dict(event.stats).get('hlo_op')
        if name is not None:
          found.append((event.start_ns, name, 1e-9 * event.duration_ns))
  return [(name, seconds) for _, name, seconds in sorted(found)]


# --- ONNX Runtime. -----------------------------------------------------------


class _Profiled(with_onnx.Onnx):
  """Writes a profile of each session into a folder."""

  def __init__(self, exported: with_onnx.Exported, folder: str):
    self._folder = folder
    super().__init__(exported)

  def session_options(self) -> Any:
    """See `with_onnx.Onnx`."""
    wanted = super().session_options()
    wanted.enable_profiling = True
    wanted.profile_file_prefix = f'{self._folder}/profile'
    return wanted

  def end(self) -> pathlib.Path:
    """Ends the profile of the step, and returns its file."""
    self._reference.end_profiling()
    return pathlib.Path(self._step.end_profiling())


def with_onnx_runtime(
  exported: with_onnx.Exported, config: options.InferenceConfig, video, case
) -> list[Timed]:
  """Times the nodes of the graph, as ONNX Runtime has fused them.

  Args:
    exported: the network.
    config: the inference settings.
    video: yields frames and labels.
    case: the flags: objects, frames.
  """
  with tempfile.TemporaryDirectory() as folder:
    runtime = _Profiled(exported, folder)
    tracker = tracker_lib.Tracker(runtime, None, config)
    for frame in _followed(tracker, video, case.frames):
      tracker.step(frame)
    events = json.loads(runtime.end().read_text('utf-8'))
  graph = onnx.load(exported.folder / 'step.onnx', load_external_data=False)
  layers = _layers(graph.graph.node)
  calls: dict[str, list[float]] = {}
  did = {}
  for event in events:
    if event.get('cat') == 'Node' and event['name'].endswith('_kernel_time'):
      name = event['name'].removesuffix('_kernel_time')
      calls.setdefault(name, []).append(1e-6 * event['dur'])
      did[name] = _node(event['args'], layers.get(_plain(name), ''))
  each = len(next(iter(calls.values()))) // (case.frames + _AHEAD)
  calls = {name: x[each * _AHEAD :] for name, x in calls.items()}
  fewest = _fewest(calls, case.frames)
  return [Timed(did[name], seconds) for name, seconds in fewest.items()]


def _plain(name: str) -> str:
  """Returns the name in the graph of a node that was fused."""
  return name.removesuffix('_nchwc')


def _layers(nodes: Iterable[onnx.NodeProto]) -> dict[str, str]:
  """Returns each node's layer: that of the parameters that it reads.

  A node that reads none has its first input's.
  """
  layers: dict[str, str] = {}
  for node in nodes:
    own = [name.rpartition('/')[0] for name in node.input if '/' in name]
    of_inputs = [layers[name] for name in node.input if layers.get(name)]
    # Weights come after what they are applied to.
    layers[node.output[0]] = (own or of_inputs[::-1] or [''])[0]
  return layers


def _node(told: Mapping[str, Any], layer: str) -> instructions.Instruction:
  """Describes a node of a profile."""
  given, results = (
    [tuple(sizes) for one in told[key] for sizes in one.values()]
    for key in ('input_type_shape', 'output_type_shape')
  )
  kind, flops = told['op_name'], 0.0
  if kind == 'Conv' and len(given) > 1:
    flops = 2.0 * math.prod(results[0]) * math.prod(given[1][1:])
  elif kind in ('MatMul', 'FusedMatMul', 'Gemm', 'FusedGemm'):
    flops = 2.0 * math.prod(results[0]) * given[0][-1]
  moved = sum(map(math.prod, (*given, *results)))
  return instructions.Instruction(
    layer, kind, results[0] if results else (), flops, _BYTES * moved
  )


# --- The table. --------------------------------------------------------------


def _row(one: Timed, peaks: roofline.Peaks, frame_s: float) -> dict[str, Any]:
  """Returns a row of the table.

  Args:
    one: the operation.
    peaks: rates of the device.
    frame_s: seconds of all operations.
  """
  limit, bound = roofline.limit_seconds(
    one.did.flops, one.did.bytes, peaks, 'float32'
  )
  assert limit is not None  # Operations are known.
  return {
    'layer': one.did.layer or '-',
    'operation': one.did.operation or '-',
    'result': 'x'.join(map(str, one.did.result)),
    'ms': 1e3 * one.seconds,
    'share_of_frame': one.seconds / frame_s,
    'gflop': one.did.flops / 1e9,
    'mbyte': one.did.bytes / 1e6,
    'share_of_limit': limit / one.seconds,
    'limited_by': bound,
  }


def run(arguments: argparse.Namespace) -> None:
  """Measures; prints the rows of each runtime when they are there.

  Raises:
    SavosError: there is no such network, or a file can't be written.
  """
  config = options.InferenceConfig(
    short_side=arguments.short_side, zoom=arguments.zoom
  )
  shipped = checkpoints.find(checkpoints.DEFAULT)
  timing = {
    'jax': functools.partial(with_jax, network.load(shipped)),
    'onnx': functools.partial(
      with_onnx_runtime, with_onnx.read(shipped.parent)
    ),
  }
  peaks = roofline.measure(
    ('float32',), arguments.product_size, arguments.copy_mib
  )
  out = output.Output(arguments, peaks=peaks.block())
  for name in arguments.runtime:
    frames = runtimes.video(
      arguments.size, arguments.objects, 1 + _AHEAD + arguments.frames
    )
    found = timing[name](config, frames, arguments)
    total = sum(one.seconds for one in found)
    found.sort(key=lambda one: -one.seconds)
    for one in found[: arguments.top]:
      out.add({'runtime': name, **_row(one, peaks, total)})
