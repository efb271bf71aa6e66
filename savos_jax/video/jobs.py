"""How many videos to segment side by side, in processes of this machine."""

from savos_jax.foundation import cores
from savos_jax.foundation import memory
from savos_jax.foundation import ranges

RULE = ranges.whole(1, 1024, of='processes')
LEARNING = 'learning'
# What a process takes, GiB, by its runtime or with online learning; measured
# with seven objects in windows (docs/benchmarks.md#many-cores), and a fifth
# more.
GIB = {'onnx': 0.75, 'jax': 1.5, LEARNING: 2.5}
# Without a video, and for each pixel of each object that a network of full
# width sees at once.
_GIB_OF_ALL = 0.75
_GIB_A_PIXEL = 1.8e-6


def estimated_gib(pixels: int, learns: bool) -> float:
  """Estimates what a process takes at most, GiB.

  Args:
    pixels: that the network sees at once, of all objects.
    learns: whether the network learns.
  """
  found = _GIB_OF_ALL + _GIB_A_PIXEL * pixels
  return found + learns * (GIB[LEARNING] - GIB['jax'])


def fitting(videos: int, each_gib: float) -> int:
  """Returns how many processes to segment videos in, by cores and free memory.

  Args:
    videos: number of videos.
    each_gib: what a process takes, GiB.

  Returns:
    The number; 1 where the system can't bind processes to cores.
  """
  if not cores.can_bind():
    return 1
  free = memory.free_gib()
  return cores.jobs(len(cores.usable()), videos, free, each_gib)
