"""Runs a network with JAX, compiled (`compiled.py`)."""

from collections.abc import Collection
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from savos_jax.inference import compiled
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options
from savos_jax.inference import runtime
from savos_jax.models import savos


def placed_params(params: Any) -> Any:
  """Returns parameters on the device that is to run the network.

  Arrays of NumPy would be copied to it at every call.
  """
  return jax.device_put(params, jax.local_devices()[0])


class Jax(runtime.Runtime):
  """Runs a flax network; see `runtime.Runtime`."""

  def __init__(self, model: savos.SAVOS):
    """Keeps the network; compilation happens at the first calls."""
    self._model = model

  @property
  def key(self) -> Hashable:
    """The network, which identifies the runtime."""
    return self._model

  @property
  def compiles(self) -> bool:
    """Always True: every kind of video is compiled once."""
    return True

  def check(self, config: options.InferenceConfig) -> None:
    """Accepts every configuration."""

  def encode(
    self,
    params: Any,
    frame: np.ndarray,
    masks: Any,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """See `runtime.Runtime.encode`."""
    size = np.asarray(geometry.size, np.int32)
    return compiled.encode_references(
      self._model, params, frame, masks, size, **geometry.static
    )

  def compile(
    self,
    params: Any,
    objects: int,
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
    *,
    union: bool = False,
    memory_frames: int = 0,
    chunk: int = 0,
  ) -> None:
    """See `runtime.Runtime.compile`; only for parameters from `placed_params`.

    What is computed from them is where they are, and a function is compiled for
    arguments that are there.
    """
    first = jax.tree.leaves(params)[0]
    if not getattr(first, 'committed', False):
      return
    here = functools.partial(jax.ShapeDtypeStruct, sharding=first.sharding)
    height, width = geometry.padded
    frame = jax.ShapeDtypeStruct((height, width, 3), np.uint8)
    size = jax.ShapeDtypeStruct((2,), np.int32)
    masks = jax.ShapeDtypeStruct((objects, height, width), np.float32)
    seeing = geometry.static

    def shaped(rows, tree):
      return jax.tree.map(lambda x: here((rows, *x.shape[1:]), x.dtype), tree)

    references, guidance = compiled.encode_references.eval_shape(
      self._model, params, frame, masks, size, **seeing
    )
    references, guidance = shaped(objects, (references, guidance))
    memory = None
    if memory_frames and references[0].remembered is not None:
      views, _ = compiled.empty_memory.eval_shape(references, memory_frames)
      slot = jax.ShapeDtypeStruct((), np.int32)
      memory = runtime.Memory(shaped(objects, views), slot)
    count = objects + union
    if 0 < chunk < count:
      if memory is not None:
        memory = runtime.Memory(shaped(chunk, memory.views), memory.slot)
      guidance, references = shaped(chunk, (guidance, references))
      compiled.segment.lower(
        self._model, params, frame, guidance, references, size, memory,
        **seeing, focus=_finishing(finishing)['focus'],
      ).compile()  # fmt: skip
      return
    references = shaped(count, references)
    compiled.step.compile(
      self._model, params, frame, guidance, references, size, memory,
      **seeing, **_finishing(finishing),
    )  # fmt: skip

  def empty_memory(self, references: Any, frames: int) -> runtime.Memory | None:
    """See `runtime.Runtime.empty_memory`."""
    if references[0].remembered is None:
      return None
    return compiled.empty_memory(references, frames)

  def step(
    self,
    params: Any,
    inputs: runtime.Inputs,
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
    chunk: int = 0,
    skipped: Collection[int] = (),
  ) -> runtime.Outputs:
    """See `runtime.Runtime.step`; nobody is skipped."""
    del skipped  # It is compiled for all objects.
    static = geometry.static | _finishing(finishing)
    if 0 < chunk < inputs.references[0].share.shape[0]:
      return compiled.step_in_chunks(
        self._model, params, *inputs, chunk=chunk, **static
      )
    return compiled.step(self._model, params, *inputs, **static)

  def step_videos(
    self,
    params: Any,
    videos: Sequence[runtime.Inputs],
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
  ) -> list[runtime.Outputs]:
    """See `runtime.Runtime.step_videos`."""
    static = geometry.static | _finishing(finishing)
    return compiled.step_videos(self._model, params, tuple(videos), **static)

  def placed(self, arrays: Any, references: Any) -> Any:
    """See `runtime.Runtime.placed`."""
    return compiled.placed(arrays, references)

  def cropped(self, guidance: Any, size: tuple[int, int]) -> Any:
    """See `runtime.Runtime.cropped`; on a CPU nothing is copied or compiled."""
    height, width = size
    if jax.default_backend() == 'cpu':
      guidance = np.asarray(guidance)
    return guidance[:, :height, :width]

  def label(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See `runtime.Runtime.label`."""
    return compiled.label(guidance, mode, labels_size)

  def classes(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See `runtime.Runtime.classes`."""
    return compiled.classes(guidance, mode, labels_size)

  def confidence(self, guidance: Any, size: np.ndarray) -> Any:
    """See `runtime.Runtime.confidence`."""
    return compiled.confidence(guidance, size)


def _finishing(finishing: runtime.Finishing) -> dict[str, Any]:
  """Returns the settings as arguments; accelerators don't focus.

  They have little to gain: a box's size is only known at run time, so that
  objects are decoded one after another.
  """
  found = dataclasses.asdict(finishing)
  if jax.default_backend() != 'cpu':
    found['focus'] = 0.0
  return found
