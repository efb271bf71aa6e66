r"""Times one process on two cores against two with a core each.

  python -m tests.core_speed onnx --video=FOLDER --mask=MASK

FOLDER has the frames, MASK is the first one's. The processes take turns, so
that whatever else the machine does meets both alike.
"""

import argparse
import itertools
import multiprocessing
import statistics
import sys
import time

from savos_jax.foundation import allocation
from savos_jax.foundation import cores
from savos_jax.inference import tracker as tracker_lib
from savos_jax.tools import networks
from savos_jax.tools import segment
from savos_jax.tools import segmenting
from savos_jax.video import mask_files
from savos_jax.video import sources


def _work(connection, flags: list[str], count: int) -> None:
  """Segments frames as often as it is told; answers with the seconds a frame.

  They are those of the clock, and of the processor.
  """
  allocation.keep()
  arguments = segment._parse([*flags, '--out=unused'])
  network = networks.load(arguments)
  config = segmenting.inference_config(arguments, network.evaluated)
  tracker = tracker_lib.Tracker(network.model, network.params, config)
  video = sources.open_video(arguments.video)
  shown = itertools.islice(video.numbered(0), count)
  frames = [one.image for one in shown]
  marks = mask_files.marks(mask_files.readers(video, arguments.mask[0]))
  labels = marks.labels(0)
  while True:
    tracker.start(frames[0], labels, list(marks.objects[0]))
    tracker.step(frames[1])
    connection.send(None)
    connection.recv()
    begun = time.perf_counter(), time.process_time()
    for frame in frames[2:]:
      tracker.step(frame)
    ended = time.perf_counter(), time.process_time()
    each = [(b - a) / (count - 2) for a, b in zip(begun, ended, strict=True)]
    connection.send(each)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('runtime', choices=('jax', 'onnx'))
  parser.add_argument('--video', required=True)
  parser.add_argument('--mask', required=True)
  parser.add_argument('--frames', type=int, default=22)
  parser.add_argument('--rounds', type=int, default=7)
  asked = parser.parse_args()
  if len(cores.usable()) < 2:
    sys.exit('needs two cores')
  flags = [
    f'--video={asked.video}', f'--mask={asked.mask}',
    f'--runtime={asked.runtime}',
  ]  # fmt: skip
  context = multiprocessing.get_context('spawn')
  connections = []
  pair = cores.usable()[:2]
  for share in (*cores.shares(pair, 1), *cores.shares(pair, 2)):
    ours, its = context.Pipe()
    with cores.bound(share):
      context.Process(
        target=_work, args=(its, flags, asked.frames), daemon=True
      ).start()
    connections.append(ours)
  rates, seconds = ([], []), ([], [])
  for _ in range(asked.rounds):
    for kind, together in enumerate((connections[:1], connections[1:])):
      for connection in together:
        connection.recv()
      for connection in together:
        connection.send(None)
      found = [connection.recv() for connection in together]
      rates[kind].append(sum(1 / clock for clock, _ in found))
      seconds[kind].append(statistics.mean(used for _, used in found))
  for title, found, used in zip(
    ('one process, both cores', 'two processes, a core each'),
    rates, seconds, strict=True,
  ):  # fmt: skip
    print(
      f'{title}: {statistics.median(found):.1f} frames/s ({max(found):.1f} to '
      f'{min(found):.1f}), {statistics.median(used):.3f} s of processor time '
      'a frame'
    )


if __name__ == '__main__':
  main()
