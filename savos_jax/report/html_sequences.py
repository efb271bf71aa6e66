"""The report's section on sequences: scores over time and worst frames."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from savos_jax.datasets import frame_folder
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
    name: of the video, or of the object if the video is unknown.
    objects: names of the scored objects.
    video: None if the frames are not available.
  """

  name: str
  objects: tuple[str, ...]
  video: sequences.Sequence | None = None


def group(
  results: results_folder.Results, videos: Sequence[sequences.Sequence]
) -> list[Group]:
  """Groups the scored objects by video; those of unknown videos are alone."""
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
  """Width of the pictures, pixels, that limits the size of the page."""
  heights = [3 * _WORST * video.height / video.width for video in videos]
  return min(_MOST_WIDTH, int(math.sqrt(_PIXEL_BUDGET / max(sum(heights), 1))))


def scored_frames(
  results: results_folder.Results, one: Group
) -> Sequence[int] | None:
  """Returns the indices of a video's scored frames, ascending.

  An object has the last of them. None if the video lacks them.
  """
  count = max(results.frames(name, 'J').size for name in one.objects)
  entry = results.scores.get('videos', {}).get(one.name, {})
  names = entry.get('frames', ())
  if one.video is None or len(names) != count:
    found = range(FIRST_SCORED, FIRST_SCORED + count)
    fits = one.video is None or FIRST_SCORED + count <= len(one.video)
    return found if fits else None
  own = map(one.video.frame_name, range(len(one.video)))
  places = {frame_folder.key(name): index for index, name in enumerate(own)}
  keys = [frame_folder.key(name) for name in names]
  return [places[key] for key in keys] if places.keys() >= set(keys) else None


def worst_frames(
  results: results_folder.Results, one: Group
) -> list[tuple[int, dict[str, float]]]:
  """Selects the worst frames of a video by mean J and F over its objects.

  Returns:
    Frame index and its mean J and F, worst first; empty if the video lacks the
    scored frames.
  """
  frames = scored_frames(results, one)
  if frames is None:
    return []
  values = {}
  for measure in ('J', 'F'):
    total, count = np.zeros((2, len(frames)))
    for name in one.objects:
      own = results.frames(name, measure)
      total[len(frames) - own.size :] += own
      count[len(frames) - own.size :] += 1
    values[measure] = total / count
  picked = error_frames.worst((values['J'] + values['F']) / 2, _WORST)
  return [
    (frames[i], {m: float(v[i]) for m, v in values.items()}) for i in picked
  ]


def course(
  results: results_folder.Results,
  one: Group,
  name: str,
  marks: Sequence[int] = (),
) -> charts.Chart:
  """Draws J and F of an object over time."""
  series = [
    charts.Series(m, results.frames(name, m).tolist()) for m in ('J', 'F')
  ]
  count = len(series[0].values)
  frames = scored_frames(results, one) or range(1, 1 + count)
  at = frames[len(frames) - count :]
  return charts.lines(f'{name} over time', series, at, marks)


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


def _frames(
  results, video: sequences.Sequence, picked, width: int
) -> markup.Markup:
  """Returns the pictures of the worst frames.

  Raises:
    SavosError: a frame or a mask can't be read.
  """
  read = protocol.read_predictions(results.folder / 'masks', video)
  figures = []
  for index, values in picked:
    text = ', '.join(f'{m} {charts.percent(v)} %' for m, v in values.items())
    where = f'{video.name}, frame {index}'
    drawn = error_frames.pictures(video, read, index, width)
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
    return [_e('p', 'Not scored.')]
  picked = worst_frames(results, one)
  marks = [index for index, _ in picked]
  shown = _e(
    'div',
    *(
      _e(
        'figure',
        _e('figcaption', name) if len(one.objects) > 1 else '',
        charts.to_svg(course(results, one, name, marks)),
        class_='plain',
      )
      for name in one.objects
    ),
    class_='charts',
  )
  if one.video is None or not one.video.frames:
    return [shown, _e('p', f'No pictures: {missing}', class_='faint')]
  if scored_frames(results, one) is None:
    reason = 'the video does not have the frames of the scores.'
    return [shown, _e('p', f'No pictures: {reason}', class_='faint')]
  try:
    return [shown, _frames(results, one.video, picked, width)]
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
  """Returns the section, with an article for each video.

  Args:
    results: the results, with their masks.
    videos: with frames; may be empty.
    missing: why there are no frames, shown instead of pictures.
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


def plots(
  results: results_folder.Results, videos: Sequence[sequences.Sequence]
) -> Mapping[str, charts.Chart]:
  """Returns file stem -> chart: the bars, and each object over time."""
  drawn = {'sequences': bars(results)}
  for one in group(results, videos):
    for name in one.objects:
      # A name is one part of a path, whatever a file of scores says.
      stem = ''.join(c if c.isalnum() or c in '-_.' else '_' for c in name)
      drawn[f'time_{stem}'] = course(results, one, name)
  return drawn


def bars(results: results_folder.Results) -> charts.Chart:
  """Draws the mean of J and of F of every object."""
  names = results.objects
  series = [
    charts.Series(m, [results.mean(n, m) for n in names]) for m in ('J', 'F')
  ]
  return charts.bars('J and F by sequence', names, series)
