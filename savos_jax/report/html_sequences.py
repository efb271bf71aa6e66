"""The report's part on single sequences: course and worst frames."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from savos_jax.datasets import sequences
from savos_jax.evaluation import protocol
from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.report import charts
from savos_jax.report import error_frames
from savos_jax.report import markup

# Every protocol leaves out the first frame: its mask is given.
FIRST_SCORED = 1
_MOST_WIDTH = 480  # Pixels, of a picture.
# Pixels of all pictures together: at some 0.2 bytes each (measured on DAVIS,
# base64 included) the page stays well below 6 MB.
_PIXEL_BUDGET = 20e6
_WORST = 3

_e = markup.element


@dataclasses.dataclass(frozen=True)
class Group:
  """The objects of one video.

  Attributes:
    name: of the video, or of the object where the video is not known.
    objects: names of the scored objects.
    video: None where the frames are not at hand.
  """

  name: str
  objects: tuple[str, ...]
  video: sequences.Sequence | None = None


def group(
  results: results_folder.Results, videos: Sequence[sequences.Sequence]
) -> list[Group]:
  """Sorts the scored objects by video; those of unknown videos stand alone."""
  found = {video.name: video for video in videos}
  owner = {v.object_name(i): v.name for v in videos for i in v.scored_ids}
  for name, entry in results.scores.get('videos', {}).items():
    owner |= dict.fromkeys(entry['objects'], name)
  members: dict[str, list[str]] = {}
  for name in results.objects:
    members.setdefault(owner.get(name, name), []).append(name)
  return [
    Group(name, tuple(objects), found.get(name))
    for name, objects in members.items()
  ]


def picture_width(videos: Sequence[sequences.Sequence]) -> int:
  """Width of the pictures, pixels, that keeps the page's size in bounds."""
  heights = [3 * _WORST * video.height / video.width for video in videos]
  return min(_MOST_WIDTH, int(math.sqrt(_PIXEL_BUDGET / max(sum(heights), 1))))


def worst_frames(
  results: results_folder.Results, one: Group
) -> list[tuple[int, dict[str, float]]]:
  """Picks a video's worst frames by the mean of J and F over its objects.

  Returns:
    Frame index and its mean J and F, the worst first.
  """
  values = {
    measure: np.mean([results.frames(n, measure) for n in one.objects], axis=0)
    for measure in ('J', 'F')
  }
  picked = error_frames.worst((values['J'] + values['F']) / 2, _WORST)
  return [
    (i + FIRST_SCORED, {m: float(v[i]) for m, v in values.items()})
    for i in picked
  ]


def course(
  results: results_folder.Results, name: str, marks: Sequence[int] = ()
) -> charts.Chart:
  """Draws J and F of one object over the frames."""
  series = [charts.Series(m, results.frames(name, m)) for m in ('J', 'F')]
  frames = range(FIRST_SCORED, FIRST_SCORED + len(series[0].values))
  return charts.lines(f'{name} over time', series, frames, marks)


def _image(picture: error_frames.Picture, where: str, text: str):
  data = base64.b64encode(picture.jpeg).decode('ascii')
  return _e(
    'img',
    src=f'data:image/jpeg;base64,{data}',
    width=picture.width,
    height=picture.height,
    decoding='async',
    alt=f'{where}: {picture.kind}. {picture.note or text}.',
  )


def _frames(results, one: Group, picked, width: int) -> markup.Markup:
  """Returns the pictures of the worst frames.

  Raises:
    SavosError: a frame or a mask can't be read.
  """
  read = protocol.read_predictions(results.folder / 'masks', one.video)
  figures = []
  for index, values in picked:
    text = ', '.join(f'{m} {charts.percent(v)} %' for m, v in values.items())
    where = f'{one.name}, frame {index}'
    drawn = error_frames.pictures(one.video, read, index, width)
    figures.append(
      _e(
        'figure',
        *(_image(picture, where, text) for picture in drawn),
        _e('figcaption', f'Frame {index}: {text}. {drawn[-1].note}.'),
        class_='trio',
      )
    )
  return _e('div', *figures, class_='frames')


def _body(results, one: Group, width: int, missing: str) -> list:
  counts = {results.frames(name, 'J').size for name in one.objects}
  if counts == {0}:
    return [_e('p', 'No scored frames.')]
  picked = worst_frames(results, one) if len(counts) == 1 else []
  marks = [index for index, _ in picked]
  shown = _e(
    'div',
    *(
      _e(
        'figure',
        _e('figcaption', name) if len(one.objects) > 1 else '',
        charts.to_svg(course(results, name, marks)),
        class_='plain',
      )
      for name in one.objects
    ),
    class_='charts',
  )
  if one.video is None or not one.video.frames:
    return [shown, _e('p', f'No pictures: {missing}', class_='faint')]
  if max(marks, default=0) >= len(one.video):
    reason = 'the video has fewer frames than the scores.'
    return [shown, _e('p', f'No pictures: {reason}', class_='faint')]
  try:
    return [shown, _frames(results, one, picked, width)]
  except errors.SavosError as error:
    return [shown, _e('p', f'No pictures: {error}', class_='faint')]


def _score_text(results, one: Group) -> str:
  means = [
    np.mean([results.mean(n, m) for n in one.objects]) for m in ('J', 'F')
  ]
  j, f = map(charts.percent, means)
  several = f', {len(one.objects)} objects' if len(one.objects) > 1 else ''
  return f'{one.name}: J {j}, F {f}{several}'


def _swatch(colour: tuple[int, int, int], text: str) -> markup.Markup:
  style = f'background:rgb{colour}'
  return _e('span', _e('span', class_='swatch', style=style), text)


def section(
  results: results_folder.Results,
  videos: Sequence[sequences.Sequence],
  missing: str,
) -> markup.Markup:
  """Returns the section with one article a video.

  Args:
    results: the results, with their masks.
    videos: with frames; may be empty.
    missing: why there are no frames; stands where pictures would.
  """
  groups = group(results, videos)
  width = picture_width([one.video for one in groups if one.video])
  articles = [
    _e(
      'article',
      _e('h3', _score_text(results, one)),
      _e('div', *_body(results, one, width, missing), class_='body'),
      class_='sequence',
    )
    for one in groups
  ]
  legend = _e(
    'p',
    _swatch(error_frames.FALSE_POSITIVE, 'false positive'),
    _swatch(error_frames.FALSE_NEGATIVE, 'false negative (missed)'),
    _swatch(error_frames.WRONG_OBJECT, 'wrong object'),
    class_='legend',
  )
  return _e(
    'section',
    _e('h2', 'Sequences'),
    _e(
      'p',
      'J and F, percent, over the frames, and the worst frames: lowest mean of '
      'J and F, at least a tenth of the video apart, marked in the chart by '
      'vertical lines. From left to right: prediction, ground truth, error.',
    ),
    legend,
    *articles,
    id='sequences',
  )


def plots(results: results_folder.Results) -> Mapping[str, charts.Chart]:
  """Returns file stem -> chart: the bars, and each object over time."""
  drawn = {'sequences': bars(results)}
  for name in results.objects:
    # A name is one part of a path, whatever a file of scores says.
    stem = ''.join(c if c.isalnum() or c in '-_.' else '_' for c in name)
    drawn[f'time_{stem}'] = course(results, name)
  return drawn


def bars(results: results_folder.Results) -> charts.Chart:
  """Draws the mean of J and of F of every object."""
  names = results.objects
  series = [
    charts.Series(m, [results.mean(n, m) for n in names]) for m in ('J', 'F')
  ]
  return charts.bars('J and F by sequence', names, series)
