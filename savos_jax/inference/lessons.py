"""The interface between a tracker and online learning.

The tracker decides when to learn and recomputes what depends on the parameters;
a `Learner` implements the learning itself (`training.online`).
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from savos_jax.inference import geometry as geometry_lib


class Lesson(NamedTuple):
  """A training frame with its labels, resized for the network.

  Attributes:
    frame: RGB uint8 [h, w, 3].
    labels: object ids, uint8 [h, w].
  """

  frame: np.ndarray
  labels: np.ndarray


class Learner(Protocol):
  """Fine-tunes a network on the video being segmented."""

  @property
  def every(self) -> int:
    """Interval in frames between updates on unmarked frames; 0: never."""

  @property
  def confidence(self) -> float:
    """Lowest confidence any object may have in an unmarked frame."""

  def learn(
    self,
    params: Any,
    lessons: Sequence[Lesson],
    geometry: geometry_lib.Geometry,
    turn: int,
    *,
    again: bool,
  ) -> Any:
    """Returns parameters fine-tuned on the objects of some frames.

    Args:
      params: the network's parameters; not modified.
      lessons: the training frames, the newest last.
      geometry: how the network sees the video, with a single view.
      turn: number of earlier updates in this video.
      again: whether the last lesson is the network's own prediction.
    """

  def learnt(self, params: Any) -> list[Any]:
    """Returns the parameter arrays that `learn` updates."""

  def relearn(self, params: Any, learnt: Sequence[Any]) -> Any:
    """Restores learnt arrays into the parameters.

    Args:
      params: the parameters before any learning.
      learnt: from `learnt`.

    Raises:
      SavosError: the arrays belong to a different network.
    """
