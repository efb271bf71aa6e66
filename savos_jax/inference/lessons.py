"""What a tracker may teach its network of a video, and by whom.

The tracker knows when there is something to learn and what depends on the
parameters; a `Learner` knows how it is learnt (`training.online`).
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from savos_jax.inference import geometry as geometry_lib


class Lesson(NamedTuple):
  """A frame and what is in it, at the size to which frames are resized.

  Attributes:
    frame: RGB uint8 [h, w, 3].
    labels: uint8 [h, w], the objects' ids.
  """

  frame: np.ndarray
  labels: np.ndarray


class Learner(Protocol):
  """Teaches a network."""

  @property
  def every(self) -> int:
    """Each so many frames it is taught a frame without a mark; 0: never."""

  @property
  def confidence(self) -> float:
    """How sure every object must be in such a frame."""

  def learn(
    self,
    params: Any,
    lessons: Sequence[Lesson],
    geometry: geometry_lib.Geometry,
    turn: int,
    *,
    again: bool,
  ) -> Any:
    """Returns parameters that know the objects of some frames.

    Args:
      params: the network's; they stay as they are.
      lessons: the frames, the last one is new.
      geometry: how the network sees the video, in one view.
      turn: how often it was taught before in this video.
      again: the last lesson is what the network itself found.
    """

  def learnt(self, params: Any) -> list[Any]:
    """Returns the arrays that `learn` changes."""

  def relearn(self, params: Any, learnt: Sequence[Any]) -> Any:
    """Returns parameters with what was learnt in them.

    Args:
      params: before.
      learnt: from `learnt`.

    Raises:
      SavosError: it is of another network.
    """
