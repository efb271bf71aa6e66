"""Speed and figures of scoring, beside the package `vos-benchmark`.

  python -m venv VENV && VENV/bin/pip install vos-benchmark
  python tests/golden/vos_benchmark_speed.py --python VENV/bin/python \
    --results R --annotations DAVIS [--protocol davis2017]

Both score the same mask files with as many workers, in turn, so that whatever
else the machine does slows both. vos-benchmark runs in its own Python, since it
needs other versions of the libraries; its imports are not timed, its pool of
processes is, since every call makes one. It knows no merging of objects:
for DAVIS 2016 the results are copied as masks of 0 and 255 first, for both,
and the annotations must have these values already. It has no void pixels: 255
beside other ids is an object there. It leaves out frames as DAVIS does, and
reports means alone.

Prints one line of JSON: medians of frames a second and of processor seconds,
their ratios, and the largest difference of an object's mean J or F.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
from PIL import Image

from savos_jax.datasets import sequences
from savos_jax.evaluation import annotations
from savos_jax.evaluation import predictions
from savos_jax.evaluation import protocol
from savos_jax.foundation import errors
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark.flags import shared

# Scores once for each line of its input, in the other Python.
_WORKER = """
import json, resource, sys, time
from vos_benchmark.benchmark import benchmark

def used():
  kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
  return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)

truth, results, workers = sys.argv[1:]
for line in sys.stdin:
  started, before = time.perf_counter(), used()
  *_, (scores,) = benchmark(
    [truth], [results], num_processes=int(workers), verbose=False
  )
  row = {
    'seconds': time.perf_counter() - started,
    'processor_seconds': used() - before,
    'scores': [
      [video, id, j[id], f[id]] for video, (j, f) in scores.items() for id in j
    ],
  }
  print(json.dumps(row, default=float), flush=True)
"""


class VosBenchmark:
  """The package, in a process of its own."""

  def __init__(self, python: str, truth, results, workers: int):
    """Starts it."""
    try:
      self._process = subprocess.Popen(
        [python, '-c', _WORKER, str(truth), str(results), str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
      )
    except OSError as error:
      raise errors.SavosError(
        f'{python}: {error.strerror}.\n'
        '  Expected a Python that has vos-benchmark; --help says how to get it.'
      ) from None

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._process.communicate()

  def score(self) -> dict:
    """Returns seconds, processor seconds and scores, in percent."""
    try:
      self._process.stdin.write('\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # It has ended; that there is no answer says so.
    answer = self._process.stdout.readline()
    if not answer:
      raise errors.SavosError(
        'vos-benchmark ended without scores.\n'
        '  Expected the package in that Python; what it printed is above.'
      )
    return json.loads(answer)


def lay_out(
  videos: list[sequences.Sequence],
  results: pathlib.Path,
  folder: pathlib.Path,
) -> None:
  """Makes the two folders that vos-benchmark wants, of these videos alone.

  Args:
    videos: what is scored.
    results: folder of mask files.
    folder: gets `truth` and `results`, of links where nothing is to be merged.
  """
  for kind in ('truth', 'results'):
    (folder / kind).mkdir()
  for video in videos:
    source = video.masks[0].parent.resolve()
    (folder / 'truth' / video.name).symlink_to(source)
    target = folder / 'results' / video.name
    if not video.merge_objects:
      target.symlink_to((results / video.name).resolve())
      continue
    target.mkdir()
    files = predictions.open_files(results, video)
    for index in protocol.scored_frames(video):
      (mask,) = predictions.by_object(video, files, index).values()
      image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
      image.save(target / f'{video.frame_name(index)}.png')


def score_here(videos, results: pathlib.Path, workers: int) -> dict:
  """As `VosBenchmark.score`, by this project."""
  started, before = time.perf_counter(), time.process_time()
  scores = protocol.score_results(
    results, videos, progress=False, workers=workers
  )
  seconds = time.perf_counter() - started
  processor_seconds = time.process_time() - before
  ids = [
    (video.name, 255 if video.merge_objects else object_id)
    for video in videos
    for object_id in video.scored_ids
  ]
  rows = [
    (*key, 100 * score.j_statistics.mean, 100 * score.f_statistics.mean)
    for key, score in zip(ids, scores.objects, strict=True)
  ]
  return {
    'seconds': seconds,
    'processor_seconds': processor_seconds,
    'scores': rows,
  }


def differences(ours: dict, theirs: dict) -> dict[str, float]:
  """Compares the objects that both score; shares of 1, not percent."""
  here = {(video, i): values for video, i, *values in ours['scores']}
  there = {(video, i): values for video, i, *values in theirs['scores']}
  both = [key for key in here if key in there]
  gaps = [np.subtract(here[key], there[key]) / 100 for key in both]
  return {
    'objects': len(here),
    'objects_compared': len(both),
    'largest_difference': float(np.max(np.abs(gaps))) if both else None,
  }


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--python', required=True, help='a Python that has vos-benchmark')
  add('--results', type=pathlib.Path, required=True)
  add('--annotations', type=pathlib.Path, required=True)
  add('--protocol', default='davis2016', choices=('davis2016', 'davis2017'))
  add('--workers', type=shared.positive, default=os.cpu_count())
  add('--repeats', type=shared.positive, default=5)
  return parser.parse_args()


def main() -> None:
  """Measures and prints."""
  arguments = _parse()
  videos = annotations.open_annotations(
    arguments.annotations, arguments.protocol
  ).videos
  frames = sum(len(protocol.scored_frames(video)) for video in videos)
  rows = {'savos_jax': [], 'vos_benchmark': []}
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    lay_out(videos, arguments.results, folder)
    results = folder / 'results'
    with VosBenchmark(
      arguments.python, folder / 'truth', results, arguments.workers
    ) as package:
      for _ in range(1 + arguments.repeats):
        rows['vos_benchmark'].append(package.score())
        rows['savos_jax'].append(score_here(videos, results, arguments.workers))
  medians = {
    kind: {
      # The first one reads the files from disk.
      name: statistics.median(row[kind] for row in found[1:])
      for name, found in rows.items()
    }
    for kind in ('seconds', 'processor_seconds')
  }
  figures = {'frames': frames}
  for kind, of in medians.items():
    for name, seconds in of.items():
      figures[f'{name}_median_{kind}'] = round(seconds, 3)
    ratio = of['vos_benchmark'] / of['savos_jax']
    figures[f'ratio_of_{kind}'] = round(ratio, 2)
  for name, seconds in medians['seconds'].items():
    figures[f'{name}_frames_per_s'] = round(frames / seconds, 1)
  figures |= differences(rows['savos_jax'][-1], rows['vos_benchmark'][-1])
  setting = output.flags(arguments) | output.device()
  print(json.dumps(setting | figures, default=str))


if __name__ == '__main__':
  with errors.reported():
    main()
