r"""Scores a folder of masks from any method, as the official tools do.

  python -m savos_jax.tools.score --results=masks --annotations=DAVIS \
      --protocol=davis2017 --json=scores.json --csv=tables

--results has a folder per sequence with an indexed PNG per frame, named like
the annotations; 0 is the background, and objects keep the ids of the first
frame. Only annotated frames are scored, even if that is every fifth; masks of
other frames are ignored. The first frame's mask may be missing, and in DAVIS
the last one's.

  davis2016   all objects of a sequence are merged; masks may be 0/255
  davis2017   objects 1..max id of the first frame. Masks of 0/255 are accepted
              if a sequence has one object, and refused otherwise
  segtrack    each object separately, without void pixels; ids, or a folder per
              object: <sequence>/<object>/<frame>.png with 0/255
  youtube_vos each object, in the annotated frames after its first, including
              the last: objects may appear in any frame. If meta.json of this
              split and of `train` beside it name categories, seen and unseen
              ones are scored separately, with the mean of both

--annotations is the data set's root or its folder of masks (Annotations/480p,
GroundTruth). Without --sequences, the official list in ImageSets is scored
(val; SegTrack: all), or every sequence if there is no list.

Nothing is reused from earlier runs. The exit status is 0 only if there were
frames to score and all of them were scored; otherwise it is 2, and nothing is
written.
"""

import argparse
from collections.abc import Sequence
import functools
import pathlib
from typing import Any

from savos_jax.evaluation import rules
from savos_jax.tools import command


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('score', __doc__)
  add = parser.add_argument
  path: dict[str, Any] = {'type': command.path}
  add(
    '--results', **path, required=True, metavar='FOLDER',
    help='the masks to score: FOLDER/<sequence>/<frame>.png',
  )  # fmt: skip
  add(
    '--annotations', **path, required=True, metavar='FOLDER',
    help='the ground truth: root of the data set, or the folder of its masks',
  )  # fmt: skip
  add(
    '--protocol', required=True, choices=tuple(rules.PROTOCOLS),
    help='scoring rules: see above',
  )  # fmt: skip
  add(
    '--sequences', **path, metavar='LIST.txt',
    help='names of the sequences to score, one per line',
  )  # fmt: skip
  add(
    '--json', **path, metavar='FILE',
    help='file for all scores, including those of every frame',
  )  # fmt: skip
  add(
    '--csv', **path, metavar='FOLDER',
    help='folder for global_results-LIST.csv and '
    'per-sequence_results-LIST.csv, as written by davis2017-evaluation',
  )  # fmt: skip
  command.add_overwrite(parser)
  return parser.parse_args(argv)


def _not_scored(results: pathlib.Path, names: set[str]) -> list[str]:
  """Returns the folders of results that are not on the list."""
  from savos_jax.datasets import frame_folder

  return sorted(
    path.name
    for path in results.iterdir()
    if path.is_dir()
    and path.name not in names
    and not path.name.startswith('.')
    and frame_folder.holds(path, frame_folder.MASKS)
  )


def run(arguments: argparse.Namespace) -> None:
  """Scores, prints the table and writes the files.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.evaluation import annotations as annotations_lib
  from savos_jax.evaluation import attributes
  from savos_jax.evaluation import categories
  from savos_jax.evaluation import predictions
  from savos_jax.evaluation import protocol
  from savos_jax.evaluation import tables

  truth = annotations_lib.open_annotations(
    arguments.annotations, arguments.protocol, arguments.sequences
  )
  read = [arguments.annotations, arguments.sequences]
  check = functools.partial(
    command.check_outputs, overwrite=arguments.overwrite
  )
  check([arguments.json], [*read, arguments.results])
  if arguments.csv is not None:
    # The official tool puts them among the results.
    check(tables.csv_paths(arguments.csv, truth.split), read)
  described = attributes.read(truth.root)
  kinds = {}
  if arguments.protocol == 'youtube_vos':
    kinds = categories.read(truth.root)
  results = arguments.results.expanduser()
  # Printed first: the wrong list explains many errors.
  print(
    f'{arguments.protocol}: {len(truth.videos)} sequences, '
    f'{sum(len(video.scored_ids) for video in truth.videos)} objects, by '
    f'{truth.chosen_by}\nannotations: {truth.folder}\nresults: {results}',
    flush=True,
  )
  scores = protocol.score_results(results, truth.videos)
  for note in scores.notes:
    print(f'note: {note}')
  others = _not_scored(results, {video.name for video in truth.videos})
  if others:
    print(
      f'note: {len(others)} more sequences in the results are not scored: '
      f'{predictions.shown(others)}'
    )
  divided = categories.divide(scores, kinds)
  print(tables.format_table(scores, categories=divided))
  if arguments.json is not None:
    tables.write_json(arguments.json, scores, described, divided)
    print(f'wrote {arguments.json}')
  if arguments.csv is not None:
    for path in tables.write_csv(arguments.csv, scores, truth.split):
      print(f'wrote {path}')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
