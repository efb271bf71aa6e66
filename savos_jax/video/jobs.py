"""How many videos to segment side by side, in processes of this machine."""

from savos_jax.foundation import cores
from savos_jax.foundation import memory
from savos_jax.foundation import ranges

RULE = ranges.whole(1, 1024, of='processes')
LEARNING = 'learning'
# What a process takes, GiB, by its runtime or with online learning; measured
# with seven objects (docs/benchmarks.md#many-cores), and a fifth more.
_GIB = {'onnx': 0.75, 'jax': 1.5, LEARNING: 2.5}


def fitting(videos: int, kind: str) -> int:
  """Returns how many processes to segment videos in, by cores and free memory.

  Args:
    videos: number of videos.
    kind: 'onnx' or 'jax', the runtime; or `LEARNING`, if the network learns.

  Returns:
    The number; 1 where the system can't bind processes to cores.
  """
  if not cores.can_bind():
    return 1
  free = memory.free_gib()
  return cores.jobs(len(cores.usable()), videos, free, _GIB[kind])
