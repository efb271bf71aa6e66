"""Times the tracker on random frames."""

import argparse
import dataclasses
import functools
import itertools
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.foundation import errors
from savos_jax.inference import compiled as compiled_lib
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.models import savos_config
from savos_jax.tools import flags
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import program
from savos_jax.tools.benchmark import roofline
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import state as state_lib

_FIGURES = (
  'compile_s', 'median_s', 'fastest_s', 'slowest_s', 'frames_per_s', 'gflop',
  'gbyte', 'gflop_per_s', 'share_of_limit', 'limited_by', 'temporary_gib',
  'total_gib', 'peak_gib',
)  # fmt: skip

_MOST_OBJECTS = 254  # As the tracker segments.


@dataclasses.dataclass(frozen=True)
class Case:
  """What a row is for.

  Attributes:
    size: of the frames.
    zoom: see `options.InferenceConfig`; 0: whole frames.
    objects: segmented at once.
    compute_dtype: of the network.
  """

  size: shared.Size
  zoom: float
  objects: int
  compute_dtype: str


def operations(
  model: savos.SAVOS,
  config: options.InferenceConfig,
  size: tuple[int, int],
  objects: int,
) -> float | None:
  """Counts the network's floating-point operations per frame, over all views.

  Args:
    model: the network.
    config: its views.
    size: (height, width) of the frames, pixels.
    objects: segmented at once.
  """
  geometry = geometry_lib.of(size, config)
  params = state_lib.param_shapes(model)

  def encode(params, frame, mask):
    return model.apply(
      {'params': params}, frame, mask, method='encode_reference'
    )

  def segment(params, frame, mask, reference):
    return model.apply(
      {'params': params}, frame, mask, reference, method='segment'
    )

  total = 0.0
  for view in geometry.views:
    height, width = geometry.size if view.plain else (view.height, view.width)
    # Objects share a whole frame, but have windows of their own.
    pictures = objects if geometry.windows else 1
    frame = jax.ShapeDtypeStruct((pictures, height, width, 3), jnp.float32)
    mask = jax.ShapeDtypeStruct((objects, height, width), jnp.float32)
    reference = jax.eval_shape(encode, params, frame, mask)
    count = program.operations(segment, params, frame, mask, reference)
    if count is None:
      return None
    total += count
  return total


def compile_step(
  model: savos.SAVOS,
  params: Any,
  config: options.InferenceConfig,
  size: tuple[int, int],
  objects: int,
  device: jax.Device | None = None,
) -> jax.stages.Compiled:
  """Compiles a step like the tracker, which then reuses it.

  Args:
    model: the network.
    params: its parameters.
    config: inference settings, without chunks or a merged background.
    size: (height, width) of the frames, pixels.
    objects: segmented at once.
    device: to compile for; None: the first one of this machine.
  """
  place = device and jax.sharding.SingleDeviceSharding(device)
  shape_of = functools.partial(jax.ShapeDtypeStruct, sharding=place)
  geometry = geometry_lib.of(size, config)
  bottom, right = geometry.padding
  padded = geometry.size[0] + bottom, geometry.size[1] + right
  frame = shape_of((*padded, 3), jnp.uint8)
  masks = shape_of((objects, *padded), jnp.float32)
  true_size = shape_of((2,), jnp.int32)
  encode = functools.partial(
    compiled_lib.encode_references.eval_shape, model, **geometry.static
  )

  def placed(shapes):
    return jax.tree.map(lambda leaf: shape_of(leaf.shape, leaf.dtype), shapes)

  if device is not None:
    params = placed(params)
  references, guidance = placed(encode(params, frame, masks, true_size))
  memory = None
  if model.config.matching and config.memory_frames:
    empty = functools.partial(
      compiled_lib.empty_memory, frames=config.memory_frames
    )
    memory = placed(jax.eval_shape(empty, references))
  platform = device.platform if device else jax.default_backend()
  lowered = compiled_lib.step.on(platform).lower(
    model,
    params,
    frame,
    guidance,
    references,
    true_size,
    memory,
    **geometry.static,
    mode=config.aggregation,
    background=config.background if objects > 1 else 'max',
    labels_size=geometry.labels_size,
    memory_confidence=config.memory_confidence,
    focus=config.focus if platform == 'cpu' else 0.0,
  )
  return lowered.compile()


def measure(
  architecture: savos_config.SavosConfig,
  config: options.InferenceConfig,
  case: Case,
  frames: int,
  peaks: roofline.Peaks,
  trace: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Times the tracker on random frames.

  Args:
    architecture: of the network.
    config: inference settings, without chunks or a merged background; the case
      has the zoom.
    case: the row's settings.
    frames: number of timed frames, after one that compiles.
    peaks: rates of the device.
    trace: folder for a profile.

  Returns:
    The row; its figures are None if the device runs out of memory.
  """
  model = savos.SAVOS(architecture)
  config = dataclasses.replace(config, zoom=case.zoom)
  row = common.identity(case)
  name = '_'.join(map(str, row.values()))
  row |= dict.fromkeys(_FIGURES)
  size = case.size.height, case.size.width
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, (*size, 3), np.uint8)
  labels = rng.integers(0, case.objects + 1, size, np.uint8)
  with common.memory_may_run_out(name):
    params = jax.device_put(common.draw_params(model))
    tracker = tracker_lib.Tracker(model, params, config)
    started = time.perf_counter()
    compiled = compile_step(model, params, config, size, case.objects)
    row |= program.memory_gib(compiled)
    tracker.start(frame, labels, tuple(range(1, case.objects + 1)))
    tracker.step(frame)
    row['compile_s'] = time.perf_counter() - started
    once = functools.partial(tracker.step, frame)
    row |= common.spread(common.times(once, frames))
    row['frames_per_s'] = 1 / row['median_s']
    # Before counting operations, which takes memory.
    row['peak_gib'] = common.peak_gib()
    common.trace(trace, name, once)
    row |= roofline.columns(
      row['median_s'],
      operations(model, config, size, case.objects),
      program.bytes_accessed(compiled),
      peaks,
      case.compute_dtype,
    )
  return row


def run(arguments: argparse.Namespace) -> None:
  """Measures, and prints each row as soon as it is done.

  Raises:
    SavosError: no network can be built from the arguments, or a file can't be
      written.
  """
  config = options.InferenceConfig(
    **flags.values(arguments, ('short_side', 'scales', 'flip'))
  )
  if max(arguments.objects) > _MOST_OBJECTS:
    raise errors.SavosError(
      f'--objects is {max(arguments.objects)}.\n'
      f'  Expected at most {_MOST_OBJECTS}.'
    )
  architectures = {
    dtype: common.architecture(arguments, dtype)
    for dtype in arguments.compute_dtype
  }
  common.make_trace_folder(arguments.trace)
  peaks = roofline.measure_for(arguments)
  out = output.Output(arguments, peaks=peaks.block())
  for values in itertools.product(
    arguments.size,
    arguments.zoom,
    arguments.objects,
    arguments.compute_dtype,
  ):
    case = Case(*values)
    out.add(
      measure(
        architectures[case.compute_dtype],
        config,
        case,
        arguments.frames,
        peaks,
        arguments.trace,
      )
    )
  common.tell_trace(arguments.trace)
