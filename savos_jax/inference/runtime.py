"""What a tracker asks of whatever runs the network.

`with_jax.py` compiles it; `with_onnx.py` runs what was exported, without JAX.
References, guidance and memory are trees (`foundation.trees`) of arrays [K,
...] of whichever library it is, K objects.
"""

import abc
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np

from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options


class Memory(NamedTuple):
  """What is remembered of a video besides its reference.

  Attributes:
    views: for every view the frames, [K, M, ...]; the last one in front.
    slot: where besides the next frame is put, int32 scalar: 1 .. M - 1, or 0
      for nowhere.
  """

  views: tuple[Any, ...]
  slot: Any


class Outputs(NamedTuple):
  """What a step returns.

  Attributes:
    guidance: of the next frame, float32 [K, H, W].
    labels: uint8, [H, W] or of the labels' size.
    confidence: mean probability of each object's pixels, float32 [K]; 0 where
      an object has none.
    memory: after the frame; None where nothing is remembered.
  """

  guidance: Any
  labels: Any
  confidence: Any
  memory: Memory | None


class Inputs(NamedTuple):
  """Of a video, what a step takes.

  Attributes:
    frame: uint8 [H, W, 3], padded.
    guidance: probabilities in the frame before, float32 [K, H, W], padded.
    references: for every view; with a 'merged' background K + 1, the union's
      behind the objects'.
    size: int32 [2], the true height and width.
    memory: of the objects, the union not included; None: the reference alone.
  """

  frame: Any
  guidance: Any
  references: Any
  size: Any
  memory: Memory | None


@dataclasses.dataclass(frozen=True)
class Finishing:
  """How a frame's objects become one answer.

  Attributes:
    mode: of the aggregation.
    background: of the aggregation.
    labels_size: height and width of the labels, where it is not the frame's.
    memory_confidence: from which on a frame is remembered of an object.
  """

  mode: str
  background: str
  labels_size: tuple[int, int] | None
  memory_confidence: float = 0.0


class Runtime(abc.ABC):
  """Runs a network."""

  @property
  @abc.abstractmethod
  def key(self) -> Hashable:
    """Equal for runtimes that run the same network in the same way."""

  @property
  @abc.abstractmethod
  def compiles(self) -> bool:
    """Whether the first step of each kind takes long."""

  @abc.abstractmethod
  def check(self, config: options.InferenceConfig) -> None:
    """Raises SavosError for what it cannot do."""

  @abc.abstractmethod
  def encode(
    self,
    params: Any,
    frame: np.ndarray,
    masks: Any,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """Encodes a frame as the reference of K objects.

    Args:
      params: of the network.
      frame: uint8 [H, W, 3], padded.
      masks: float32 [K, H, W], padded.
      geometry: of the video.

    Returns:
      For every view the references; and the masks as the first guidance.
    """

  @abc.abstractmethod
  def nothing(
    self,
    params: Any,
    frame: np.ndarray,
    objects: int,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """Returns zeros in place of what `encode` would of so many objects."""

  @abc.abstractmethod
  def empty_memory(self, references: Any, frames: int) -> Memory | None:
    """Returns a memory of so many frames, at least 1, in which nothing is yet.

    None if the network does not look back.
    """

  @abc.abstractmethod
  def step(
    self,
    params: Any,
    inputs: Inputs,
    geometry: geometry_lib.Geometry,
    finishing: Finishing,
    chunk: int = 0,
  ) -> Outputs:
    """Segments a frame, so many objects at a time; 0: all."""

  @abc.abstractmethod
  def step_videos(
    self,
    params: Any,
    videos: Sequence[Inputs],
    geometry: geometry_lib.Geometry,
    finishing: Finishing,
  ) -> list[Outputs]:
    """Segments a frame of each of several videos of one kind."""

  @abc.abstractmethod
  def placed(self, arrays: Any, references: Any) -> Any:
    """Returns a tree of NumPy's arrays as it would come out of `step`."""

  @abc.abstractmethod
  def label(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """Labels [K, H, W] at its own size or, enlarged, at another: uint8."""

  @abc.abstractmethod
  def classes(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """Returns what `label` decides by, [K + 1, ...], the background first."""

  @abc.abstractmethod
  def confidence(self, guidance: Any, size: np.ndarray) -> Any:
    """Returns how sure each object's mask is, float32 [K]."""
