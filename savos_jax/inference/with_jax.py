"""Runs a network by JAX, which compiles it (`compiled.py`)."""

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
  """A network of flax; see `runtime.Runtime`, as for all it does."""

  def __init__(self, model: savos.SAVOS):
    """Compiles nothing yet."""
    self._model = model

  @property
  def key(self) -> Hashable:
    """The network."""
    return self._model

  @property
  def compiles(self) -> bool:
    """It does."""
    return True

  def check(self, config: options.InferenceConfig) -> None:
    """It can do everything."""

  def encode(
    self,
    params: Any,
    frame: np.ndarray,
    masks: Any,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """See there."""
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
    """See there."""
    masks = np.zeros((objects, *frame.shape[:2]), np.float32)
    size = np.asarray(geometry.size, np.int32)
    found = compiled.encode_references.eval_shape(
      self._model, params, frame, masks, size, **geometry.static
    )
    # Through a compiled function, as `compiled.encode_references` tells.
    return jax.jit(
      lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found)
    )()

  def empty_memory(self, references: Any, frames: int) -> runtime.Memory | None:
    """See there."""
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
    """See there."""
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
    """See there."""
    static = geometry.static | dataclasses.asdict(finishing)
    return compiled.step_videos(self._model, params, tuple(videos), **static)

  def placed(self, arrays: Any, references: Any) -> Any:
    """See there."""
    return compiled.placed(arrays, references)

  def label(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See there."""
    return compiled.label(guidance, mode, labels_size)

  def classes(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See there."""
    return compiled.classes(guidance, mode, labels_size)

  def confidence(self, guidance: Any, size: np.ndarray) -> Any:
    """See there."""
    return compiled.confidence(guidance, size)
