"""The interface between a tracker and the library that runs the network.

`with_jax.py` compiles the network; `with_onnx.py` runs an exported one without
JAX. References, guidance and memory are trees (`foundation.trees`) of the
runtime's own arrays, [K, ...] for K objects.
"""

import abc
from collections.abc import Collection
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np

from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options


class Memory(NamedTuple):
  """The frames remembered from a video besides its reference.

  Attributes:
    views: the remembered frames for every view, [K, M, ...]; slot 0 holds the
      latest frame.
    slot: additional slot for the next frame, int32 scalar: 1 .. M - 1, or 0 for
      none.
  """

  views: tuple[Any, ...]
  slot: Any


class Outputs(NamedTuple):
  """The outputs of a step.

  Attributes:
    guidance: for the next frame, float32 [K, H, W].
    labels: uint8 [H, W], or of `labels_size`.
    confidence: mean probability of each object's pixels, float32 [K]; 0 for an
      object without pixels.
    memory: after the frame; None if nothing is remembered.
  """

  guidance: Any
  labels: Any
  confidence: Any
  memory: Memory | None


class Inputs(NamedTuple):
  """The inputs of a step, for one video.

  Attributes:
    frame: uint8 [H, W, 3], padded.
    guidance: probabilities in the previous frame, float32 [K, H, W], padded.
    references: for every view, K; K + 1 with a 'merged' background, the union
      last.
    size: int32 [2], height and width without padding.
    memory: the objects', without the union; None: the reference alone.
  """

  frame: Any
  guidance: Any
  references: Any
  size: Any
  memory: Memory | None


@dataclasses.dataclass(frozen=True)
class Finishing:
  """How a frame's objects are combined and labelled.

  Attributes:
    mode: aggregation mode, one of `options.MODES`.
    background: how the aggregation models the background, one of
      `options.BACKGROUNDS`.
    labels_size: height and width of the labels; None: the network's size.
    memory_confidence: lowest confidence at which an object remembers a frame.
    focus: ratio of the sides of the box that is decoded finely to the object's;
      0: the whole view.
  """

  mode: str
  background: str
  labels_size: tuple[int, int] | None
  memory_confidence: float = 0.0
  focus: float = 0.0


class Runtime(abc.ABC):
  """Runs a network."""

  @property
  @abc.abstractmethod
  def key(self) -> Hashable:
    """A key that is equal for runtimes that run the same network alike."""

  @property
  @abc.abstractmethod
  def compiles(self) -> bool:
    """Whether the first step of each kind has to compile, and so is slow."""

  @abc.abstractmethod
  def check(self, config: options.InferenceConfig) -> None:
    """Raises SavosError for settings that the runtime does not support."""

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
      params: the network's parameters.
      frame: uint8 [H, W, 3], padded.
      masks: float32 [K, H, W], padded.
      geometry: the video's.

    Returns:
      The references for every view, and the masks as the initial guidance.
    """

  @abc.abstractmethod
  def compile(
    self,
    params: Any,
    objects: int,
    geometry: geometry_lib.Geometry,
    finishing: Finishing,
    *,
    union: bool = False,
    memory_frames: int = 0,
    chunk: int = 0,
  ) -> None:
    """Prepares for the first `step` of a video, in another thread.

    Args:
      params: the network's parameters.
      objects: how many it will have.
      geometry: the video's.
      finishing: as for `step`.
      union: whether their union has a reference.
      memory_frames: as for `empty_memory`; 0: there is no memory.
      chunk: as for `step`.
    """

  @abc.abstractmethod
  def empty_memory(self, references: Any, frames: int) -> Memory | None:
    """Returns an empty memory for `frames` frames, at least 1.

    None if the network has no look back.
    """

  @abc.abstractmethod
  def step(
    self,
    params: Any,
    inputs: Inputs,
    geometry: geometry_lib.Geometry,
    finishing: Finishing,
    chunk: int = 0,
    skipped: Collection[int] = (),
  ) -> Outputs:
    """Segments a frame.

    Args:
      params: the network's parameters.
      inputs: of the frame.
      geometry: the video's.
      finishing: how the objects are combined and labelled.
      chunk: number of objects segmented at a time; 0: all at once.
      skipped: objects, as positions among the K, that need not be searched for
        in this frame: they keep their guidance. A runtime to which fewer
        objects make no difference may search for them nevertheless.
    """

  @abc.abstractmethod
  def step_videos(
    self,
    params: Any,
    videos: Sequence[Inputs],
    geometry: geometry_lib.Geometry,
    finishing: Finishing,
  ) -> list[Outputs]:
    """Segments one frame of each of several videos of the same kind."""

  @abc.abstractmethod
  def placed(self, arrays: Any, references: Any) -> Any:
    """Converts a tree of NumPy arrays to the form that `step` returns."""

  @abc.abstractmethod
  def cropped(self, guidance: Any, size: tuple[int, int]) -> Any:
    """Returns the top left corner (height, width) of [K, H, W], to read."""

  @abc.abstractmethod
  def label(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """Labels [K, H, W], enlarged to `labels_size` unless None, as uint8."""

  @abc.abstractmethod
  def classes(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """Returns the probabilities that `label` compares, [K + 1, ...].

    The background comes first.
    """

  @abc.abstractmethod
  def confidence(self, guidance: Any, size: np.ndarray) -> Any:
    """Returns the confidence of each object's mask, float32 [K]."""
