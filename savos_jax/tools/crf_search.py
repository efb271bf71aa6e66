r"""Searches for parameters of the dense CRF on sequences with ground truth.

  python -m savos_jax.tools.crf_search --root=/path/to/DAVIS --split=train \
      --sequences rhino drift-turn --trials=20 --csv=search.csv

The network segments the first frames of each sequence once. Its predictions are
scored without the CRF, with the parameters given as flags (by default the
paper's), and with random ones. The best by J&F are printed as flags of
tools.segment. --trials=0 scores only the given parameters: use it to check the
ones found on a train split on a val split.
"""

import argparse
from collections.abc import Sequence
import csv
import dataclasses
import functools
import time
from typing import Any

from savos_jax import checkpoints
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import command
from savos_jax.tools import flags

# Drawn log-uniformly. The number of iterations is not searched: further ones
# change less and less.
_DRAWN = {
  'crf_gaussian_sxy': (0.2, 5.0),
  'crf_gaussian_weight': (0.1, 5.0),
  'crf_bilateral_sxy': (2.0, 60.0),
  'crf_bilateral_srgb': (2.0, 30.0),
  'crf_bilateral_weight': (0.1, 5.0),
}
_FIELDS = ('crf_iterations', *_DRAWN)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('crf_search', __doc__)
  add = parser.add_argument
  add('--root', type=command.path, required=True, help='of DAVIS')
  add('--split', default='train', help='default: train')
  add('--year', default='2016', choices=('2016', '2017'))
  add('--resolution', default='480p', help='default: 480p')
  add(
    '--sequences', nargs='+', default=(), metavar='NAME',
    help='sequences of the split; default: all',
  )  # fmt: skip
  number = functools.partial(flags.add_flag, parser, metavar='N')
  number(
    'frames', ranges.whole(3, 10_000), default=24,
    help='frames per sequence, at most; the first and the last are not scored; '
    'default: 24',
  )  # fmt: skip
  number(
    'every', ranges.whole(1, 10_000), default=1,
    help='score every N-th frame; default: 1',
  )  # fmt: skip
  number(
    'trials', ranges.whole(0, 10_000), default=20,
    help='random sets of parameters to try; default: 20',
  )  # fmt: skip
  number('seed', ranges.whole(0, 2**31 - 1), default=0, help='of the draws')
  for name in _FIELDS:
    flags.add_field(parser, options.InferenceConfig, name)
  add('--checkpoint', type=command.path, default=checkpoints.DEFAULT)
  add('--csv', type=command.path, metavar='FILE', help='one row per trial')
  command.add_overwrite(parser)
  return parser.parse_args(argv)


def _videos(arguments: argparse.Namespace) -> list:
  """Opens the first frames of the sequences.

  Raises:
    SavosError: a sequence does not exist or is damaged.
  """
  from savos_jax.datasets import davis
  from savos_jax.foundation import errors

  found = davis.load(
    arguments.root, arguments.split, arguments.year, arguments.resolution
  )
  by_name = {video.name: video for video in found}
  names = arguments.sequences or list(by_name)
  for name in names:
    if name not in by_name:
      raise errors.SavosError(
        f'--sequences: {name} is not in {arguments.split}.\n'
        f'  Expected some of {", ".join(by_name)}.'
      )
  return [
    _thinned(by_name[name].first_frames(arguments.frames), arguments.every)
    for name in names
  ]


def _thinned(video: Any, every: int) -> Any:
  """Returns a sequence with only every N-th mask."""
  masks = video.masks
  known = (m if i % every == 0 else None for i, m in enumerate(masks))
  return dataclasses.replace(video, masks=tuple(known))


def _seen(videos: list, tracker: Any, bar: Any) -> dict[str, list]:
  """Returns the network's predictions: name -> (frame, classes) per frame.

  There is none for the first frame.
  """
  found: dict[str, list] = {}
  for video in videos:
    ids = video.appearances[0]
    tracker.start(video.frame(0), video.labels(0), ids)
    found[video.name] = [None]
    for index in range(1, len(video)):
      frame = video.frame(index)
      tracker.step(frame)
      classes = tracker.classes(tracker.probabilities)
      found[video.name].append((frame, classes))
      bar.update()
  return found


def _labels(video: Any, frame: Any, classes: Any, config: Any) -> Any:
  """Labels a frame, with or without the CRF."""
  import numpy as np

  from savos_jax.inference import dense_crf

  if config.crf:
    found = dense_crf.refine(frame, classes, config)
  else:
    found = classes.argmax(axis=0)
  return np.array([0, *video.appearances[0]], np.uint8)[found]


def score(
  videos: list, seen: dict[str, list], config: options.InferenceConfig, bar: Any
) -> dict[str, Any]:
  """Scores one set of parameters.

  Args:
    videos: sequences.
    seen: name -> frames and classes, for all frames but the first.
    config: whether and how to refine.
    bar: progress bar that counts frames.

  Returns:
    A row of the table: 'crf', the parameters, 'j' and 'f' (means over the
    objects, 0..1) and 'seconds' (of the CRF, per frame).
  """
  from savos_jax.evaluation import protocol

  spent = []

  def predicted_of(video):
    def predicted(index):
      began = time.perf_counter()
      frame, classes = seen[video.name][index]
      found = _labels(video, frame, classes, config)
      spent.append(time.perf_counter() - began)
      bar.update()
      return found

    return predicted

  scores = protocol.score_predictions(
    videos, predicted_of, progress=False, workers=1
  )
  return {
    'crf': config.crf,
    **{name: getattr(config, name) for name in _FIELDS},
    'j': scores.j.mean,
    'f': scores.f.mean,
    'seconds': sum(spent) / len(spent),
  }


def trials(config: options.InferenceConfig, count: int, seed: int) -> list:
  """Returns the configurations to score: no CRF, the given one, random ones.

  Args:
    config: the given one; all share its other fields.
    count: number of random ones.
    seed: of the random ones.
  """
  import numpy as np

  rng = np.random.default_rng(seed)

  def drawn():
    values: dict[str, Any] = {
      name: float(f'{np.exp(rng.uniform(*np.log(bounds))):.4g}')
      for name, bounds in _DRAWN.items()
    }
    return dataclasses.replace(config, crf=True, **values)

  return [
    dataclasses.replace(config, crf=False),
    dataclasses.replace(config, crf=True),
    *(drawn() for _ in range(count)),
  ]


def run(arguments: argparse.Namespace) -> None:
  """Searches, prints the results and writes the table.

  Raises:
    SavosError: something that the user can put right.
  """
  import tqdm

  from savos_jax import network
  from savos_jax.evaluation import protocol
  from savos_jax.foundation import files
  from savos_jax.inference import dense_crf
  from savos_jax.inference import tracker as tracker_lib
  from savos_jax.tools import segmenting

  command.check_outputs([arguments.csv], [arguments.root], arguments.overwrite)
  videos = _videos(arguments)
  dense_crf.require()
  trained = network.load(arguments.checkpoint)
  config = segmenting.inference_config(
    arguments, trained.config.get('eval', {})
  )
  bar = functools.partial(tqdm.tqdm, unit='frame', disable=None)
  with bar(total=sum(map(len, videos)) - len(videos), desc='network') as shown:
    tracker = tracker_lib.Tracker(trained.model, trained.params, config)
    seen = _seen(videos, tracker, shown)
  chosen = trials(config, arguments.trials, arguments.seed)
  frames = sum(len(protocol.scored_frames(video)) for video in videos)
  with bar(total=frames * len(chosen), desc='search') as shown:
    rows = [score(videos, seen, each, shown) for each in chosen]
  if arguments.csv:
    with (
      files.replacing(arguments.csv) as partial,
      partial.open('w', newline='') as file,
    ):
      writer = csv.DictWriter(file, rows[0])
      writer.writeheader()
      writer.writerows(rows)
    print(f'wrote {arguments.csv}')
  _print(rows, f'{frames} frames of {", ".join(v.name for v in videos)}')


def _print(rows: list[dict[str, Any]], what: str) -> None:
  best = max(rows[1:], key=lambda row: row['j'] + row['f'])
  named = {'without': rows[0], 'as given': rows[1], 'best': best}
  print(what)
  for name, row in named.items():
    print(
      f'{name:9} J {100 * row["j"]:.2f}  F {100 * row["f"]:.2f}  '
      f'{row["seconds"]:.3f} s a frame'
    )
  print('--crf', *(f'--{name}={best[name]}' for name in _FIELDS))


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
