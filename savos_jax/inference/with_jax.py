"""Runs a network with JAX, compiled (`compiled.py`)."""

from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.inference import compiled
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options
from savos_jax.inference import runtime
from savos_jax.models import savos


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

  def nothing(
    self,
    params: Any,
    frame: np.ndarray,
    objects: int,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """See `runtime.Runtime.nothing`."""
    masks = np.zeros((objects, *frame.shape[:2]), np.float32)
    size = np.asarray(geometry.size, np.int32)
    found = compiled.encode_references.eval_shape(
      self._model, params, frame, masks, size, **geometry.static
    )
    # From a compiled function, for the placement described in
    # `compiled.encoded`.
    return jax.jit(
      lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found)
    )()

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
  ) -> runtime.Outputs:
    """See `runtime.Runtime.step`."""
    static = geometry.static | dataclasses.asdict(finishing)
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
    static = geometry.static | dataclasses.asdict(finishing)
    return compiled.step_videos(self._model, params, tuple(videos), **static)

  def placed(self, arrays: Any, references: Any) -> Any:
    """See `runtime.Runtime.placed`."""
    return compiled.placed(arrays, references)

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
