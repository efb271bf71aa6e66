"""Bar, line and scatter charts, rendered as SVG and as PNG.

A chart is about 360 units wide, the width of a phone, so its text is legible
there. Both formats are made from the same shapes.
"""

from collections.abc import Sequence
import dataclasses
import itertools
import math
import os
from typing import NamedTuple

from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from savos_jax.foundation import files
from savos_jax.report import markup

# Name -> colour on a light page and on a dark one. Okabe and Ito's and Tol's
# colours: told apart with any colour vision, and at 3:1 from their page.
PAINTS = {
  'page': ('#ffffff', '#16181c'),
  'ink': ('#1c1e21', '#e6e8eb'),
  'faint': ('#5c6370', '#a0a8b5'),
  'grid': ('#d5d9e0', '#3a3f48'),
  'series0': ('#0072b2', '#56b4e9'),
  'series1': ('#c4500b', '#f0a050'),
  'series2': ('#00795c', '#3cc9a3'),
  'series3': ('#aa3377', '#e58ac0'),
  'series4': ('#6b5d00', '#e0d04a'),
  'series5': ('#4b4b9b', '#a8a8f0'),
}
SERIES = tuple(name for name in PAINTS if name.startswith('series'))
_WIDTH = 360
_FONT = 11  # Units.
_LETTER = 0.6  # Width of a letter by its height: a wide font's.
_BAR = 11
_PNG_SCALE = 3  # Pixels a unit.
_SMOOTH = 2  # Drawn so much larger, then shrunk: Pillow's lines are jagged.


class _Rectangle(NamedTuple):
  x: float
  y: float
  width: float
  height: float
  paint: str


class _Path(NamedTuple):
  points: tuple[tuple[float, float], ...]
  paint: str
  thickness: float = 1.0
  dash: float = 0.0  # Units drawn and left out in turn; 0: all drawn.


class _Text(NamedTuple):
  x: float
  y: float  # Of the baseline.
  text: str
  anchor: str = 'start'  # Or 'middle', 'end'.
  paint: str = 'ink'


@dataclasses.dataclass(frozen=True)
class Chart:
  """A drawing.

  Attributes:
    title: a short heading, shown in the PNG, which has no page around it.
    label: a description with figures, for screen readers.
    width: units.
    height: units.
    shapes: from back to front.
  """

  title: str
  label: str
  width: float
  height: float
  shapes: tuple[_Rectangle | _Path | _Text, ...]


class Series(NamedTuple):
  """One measure, or one result, in a chart.

  Attributes:
    name: for the legend.
    values: fractions; nan if undefined.
  """

  name: str
  values: Sequence[float]


def percent(value: float) -> str:
  """Returns a fraction as percent with one decimal, '-' for nan."""
  # Adding 0 turns the -0.0 of a small negative value into 0.0.
  return f'{round(100 * value, 1) + 0:.1f}' if math.isfinite(value) else '-'


def _shorten(text: str, width: float) -> str:
  """Cuts text to a width, estimated: SVG has no text measure.

  From its middle: objects of a video differ in the last letters.
  """
  most = max(3, int(width / (_LETTER * _FONT)))
  if len(text) <= most:
    return text
  end = (most - 1) // 2
  return f'{text[: most - 1 - end]}…{text[-end:]}'


def _legend(names: Sequence[str], dashed: bool) -> tuple[list, float]:
  """Returns the shapes of a legend at the top, and its height."""
  shapes, x, y = [], 0.0, _FONT
  for index, name in enumerate(names):
    name = _shorten(name, _WIDTH - 30)
    width = 34 + _LETTER * _FONT * len(name)
    if x and x + width > _WIDTH:
      x, y = 0.0, y + 1.5 * _FONT
    dash = 4.0 if dashed and index % 2 else 0.0
    middle = y - 0.35 * _FONT
    key = ((x, middle), (x + 16, middle))
    thickness = 2.0 if dashed else 8.0
    shapes += [
      _Path(key, SERIES[index % len(SERIES)], thickness, dash),
      _Text(x + 20, y, name),
    ]
    x += width
  return shapes, y + 0.7 * _FONT


def bars(title: str, names: Sequence[str], series: Sequence[Series]) -> Chart:
  """Horizontal bars, grouped by name, labelled with their values.

  Args:
    title: the chart's.
    names: of the groups.
    series: bars of each group; values as many as names.
  """
  column = min(0.36 * _WIDTH, _LETTER * _FONT * max(map(len, names), default=0))
  left = column + 6
  scale = _WIDTH - left - 34  # Room for the figure behind a bar of 100 %.
  shapes, y = _legend([one.name for one in series], dashed=False)
  group = _BAR * len(series)
  bottom = y + (group + 7) * len(names)
  for part in (0, 0.25, 0.5, 0.75, 1):
    x = left + part * scale
    shapes.append(_Path(((x, y), (x, bottom)), 'grid'))
    anchor = 'middle'
    shapes.append(_Text(x, bottom + 12, f'{100 * part:.0f}', anchor, 'faint'))
  for number, name in enumerate(names):
    top = y + 3 + (group + 7) * number
    middle = top + group / 2 + 0.35 * _FONT
    shapes.append(_Text(left - 6, middle, _shorten(name, column), 'end'))
    for index, one in enumerate(series):
      value = one.values[number]
      paint = SERIES[index % len(SERIES)]
      length = scale * min(max(value, 0), 1) if math.isfinite(value) else 0
      at = top + _BAR * index
      shapes.append(_Rectangle(left, at, length, _BAR - 1.5, paint))
      shapes.append(_Text(left + length + 3, at + _BAR - 2, percent(value)))
  figures = '; '.join(
    f'{name}: '
    + ', '.join(f'{one.name} {percent(one.values[i])}' for one in series)
    for i, name in enumerate(names)
  )
  label = f'{title}, percent. {figures}.'
  return Chart(title, label, _WIDTH, bottom + 17, tuple(shapes))


def _pieces(points: list[tuple[float, float]]) -> list[tuple]:
  """Splits a line where a value is nan."""
  pieces, piece = [], []
  for point in [*points, (0.0, math.nan)]:
    if math.isfinite(point[1]):
      piece.append(point)
    elif piece:
      # A lone point becomes a dot.
      pieces.append(tuple(piece if len(piece) > 1 else [piece[0], piece[0]]))
      piece = []
  return pieces


def _range_text(one: Series, at: Sequence[int], unit: str) -> str:
  finite = [(v, i) for i, v in enumerate(one.values) if math.isfinite(v)]
  if not finite:
    return f'{one.name}: no values'
  (low, at_low), (high, at_high) = min(finite), max(finite)
  mean = sum(v for v, _ in finite) / len(finite)
  return (
    f'{one.name}: mean {percent(mean)}, lowest {percent(low)} at {unit} '
    f'{at[at_low]}, highest {percent(high)} at {unit} {at[at_high]}, '
    f'last {percent(finite[-1][0])}'
  )


def lines(
  title: str,
  series: Sequence[Series],
  at: Sequence[int],
  marks: Sequence[int] = (),
  unit: str = 'frame',
) -> Chart:
  """Lines over frames or steps; every second one is dashed.

  Args:
    title: the chart's.
    series: one line each, of as many values as `at`.
    at: positions of the values on the axis, ascending, such as frame indices.
    marks: positions on the axis to highlight.
    unit: of the axis.
  """
  left, right, plot_height = 28.0, _WIDTH - 6.0, 110.0
  shapes, top = _legend([one.name for one in series], dashed=True)
  top += 4
  bottom = top + plot_height
  count = len(at)
  scale = (right - left) / max(1, at[-1] - at[0]) if count else 0.0

  def place(where, value):
    x = left + scale * (where - at[0])
    return x, bottom - plot_height * min(max(value, 0), 1)

  for part in (0, 0.25, 0.5, 0.75, 1):
    y = bottom - part * plot_height
    shapes.append(_Path(((left, y), (right, y)), 'grid'))
    shapes.append(_Text(left - 4, y + 4, f'{100 * part:.0f}', 'end', 'faint'))
  for mark in marks:
    x, _ = place(mark, 0)
    shapes.append(_Path(((x, top), (x, bottom)), 'faint', 1.0, 2.0))
  for index in sorted({0, count // 2, count - 1} if count else set()):
    anchor = 'end' if index and index == count - 1 else 'middle'
    x, _ = place(at[index], 0)
    shapes.append(_Text(x, bottom + 13, str(at[index]), anchor, 'faint'))
  for index, one in enumerate(series):
    points = [
      (place(where, v) if math.isfinite(v) else (0.0, math.nan))
      for where, v in zip(at, one.values, strict=True)
    ]
    dash = 4.0 if index % 2 else 0.0
    paint = SERIES[index % len(SERIES)]
    shapes += [_Path(piece, paint, 1.8, dash) for piece in _pieces(points)]
  middle = (left + right) / 2
  shapes.append(_Text(middle, bottom + 26, unit, 'middle', 'faint'))
  label = (
    f'{title}, percent. '
    f'{". ".join(_range_text(one, at, unit) for one in series)}.'
  )
  return Chart(title, label, _WIDTH, bottom + 31, tuple(shapes))


class Point(NamedTuple):
  """One method in a scatter chart.

  Attributes:
    name: written beside it.
    x: above 0.
    y: fraction.
    series: index of its series.
  """

  name: str
  x: float
  y: float
  series: int


# Where a name may stand beside its point: steps from it, units, and the anchor.
_PLACES = (
  (6, 4, 'start'),
  (-6, 4, 'end'),
  (0, -7, 'middle'),
  (0, 16, 'middle'),
  (6, 15, 'start'),
  (6, -7, 'start'),
)
_DOT = 7.0
_ROOM = 0.1  # From a point to the border, parts of a step of the grid.


def _covered(text: _Text) -> tuple[float, float, float, float]:
  """Returns what a text covers: left, top, right, bottom."""
  width = 1.2 * _LETTER * _FONT * len(text.text)  # In capitals.
  left = {'start': 0.0, 'middle': width / 2, 'end': width}[text.anchor]
  x = text.x - left
  return x, text.y - 0.8 * _FONT, x + width, text.y + 0.2 * _FONT


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
  across, along = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in range(2))
  return max(across, 0.0) * max(along, 0.0)


def _named(
  dots: Sequence[tuple[float, float, str]], bounds: Sequence[float]
) -> list[_Text]:
  """Sets names beside dots where they cover the least of others."""
  half = _DOT / 2
  taken = [(x - half, y - half, x + half, y + half) for x, y, _ in dots]
  texts = []
  for x, y, name in dots:
    places = [_Text(x + dx, y + dy, name, a) for dx, dy, a in _PLACES]

    def cost(text):
      box = _covered(text)
      size = (box[2] - box[0]) * (box[3] - box[1])
      outside = size - _overlap(box, bounds)
      covered = outside + sum(_overlap(box, other) for other in taken)
      return round(covered, 3)  # Of equal ones the first.

    best = min(places, key=cost)
    texts.append(best)
    taken.append(_covered(best))
  return texts


def scatter(
  title: str, series: Sequence[str], points: Sequence[Point], axis: str
) -> Chart:
  """Named points; the x axis is logarithmic.

  Args:
    title: the chart's.
    series: names for the legend.
    points: those with a non-finite x or y are skipped.
    axis: label of the x axis, with its unit.
  """
  points = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y)]
  left, right, height = 28.0, _WIDTH - 6.0, 220.0
  shapes, top = _legend(series, dashed=False)
  top += 4
  bottom = top + height
  decades = [math.log10(p.x) for p in points]
  first = math.floor(min(decades, default=0.0) - _ROOM)
  last = math.ceil(max(decades, default=0.0) + _ROOM)
  values = [10 * p.y for p in points]
  lowest = math.floor(min(values, default=0.0) - _ROOM) / 10
  highest = math.ceil(max(values, default=0.0) + _ROOM) / 10

  def place(x, y):
    along = (math.log10(x) - first) / (last - first)
    up = (y - lowest) / (highest - lowest)
    return left + along * (right - left), bottom - up * height

  for step in range(round(10 * lowest), round(10 * highest) + 1):
    _, y = place(10**first, step / 10)
    shapes.append(_Path(((left, y), (right, y)), 'grid'))
    shapes.append(_Text(left - 4, y + 4, f'{10 * step}', 'end', 'faint'))
  for decade in range(first, last + 1):
    x, _ = place(10.0**decade, lowest)
    shapes.append(_Path(((x, top), (x, bottom)), 'grid'))
    anchor = 'end' if decade == last else 'middle'
    text = f'{10.0**decade:g}'
    shapes.append(_Text(x, bottom + 13, text, anchor, 'faint'))
  dots = [(*place(p.x, p.y), p.name) for p in points]
  for (x, y, _), point in zip(dots, points, strict=True):
    paint = SERIES[point.series % len(SERIES)]
    shapes.append(_Rectangle(x - _DOT / 2, y - _DOT / 2, _DOT, _DOT, paint))
  shapes += _named(dots, (left, top, right, bottom))
  middle = (left + right) / 2
  shapes.append(_Text(middle, bottom + 26, axis, 'middle', 'faint'))
  figures = '; '.join(
    f'{p.name} ({series[p.series]}): {percent(p.y)} at {p.x:.3g}'
    for p in points
  )
  label = f'{title}, percent; {axis}. {figures}.'
  return Chart(title, label, _WIDTH, bottom + 31, tuple(shapes))


def _shape_svg(shape) -> markup.Markup:
  colour = f'var(--{shape.paint})'
  if isinstance(shape, _Rectangle):
    return markup.element(
      'rect',
      x=f'{shape.x:.1f}',
      y=f'{shape.y:.1f}',
      width=f'{shape.width:.1f}',
      height=f'{shape.height:.1f}',
      style=f'fill:{colour}',
    )
  if isinstance(shape, _Path):
    return markup.element(
      'polyline',
      points=' '.join(f'{x:.1f},{y:.1f}' for x, y in shape.points),
      style=f'stroke:{colour};stroke-width:{shape.thickness:g}'
      + (f';stroke-dasharray:{shape.dash:g}' if shape.dash else ''),
    )
  return markup.element(
    'text',
    shape.text,
    x=f'{shape.x:.1f}',
    y=f'{shape.y:.1f}',
    text_anchor=None if shape.anchor == 'start' else shape.anchor,
    style=f'fill:{colour}',
  )


def to_svg(chart: Chart) -> markup.Markup:
  """Returns a chart as an SVG element, coloured by variables of the page.

  The page defines `--<name>` for each of `PAINTS`, for light and dark mode.
  """
  return markup.element(
    'svg',
    *map(_shape_svg, chart.shapes),
    viewBox=f'0 0 {chart.width:g} {chart.height:.0f}',
    role='img',
    aria_label=chart.label,
    font_size=_FONT,
  )


def _dashes(points, dash: float):
  """Yields the pieces of a line that are drawn, as lists of two points."""
  if not dash:
    yield from itertools.pairwise(points)
    return
  along = 0.0  # Length so far, carried over the corners.
  for (x0, y0), (x1, y1) in itertools.pairwise(points):
    length = math.hypot(x1 - x0, y1 - y0)
    at = 0.0
    while at < length:
      end = min(length, at + dash - along % dash)
      if int(along / dash + 1e-6) % 2 == 0:
        yield tuple(
          (x0 + (x1 - x0) * t / length, y0 + (y1 - y0) * t / length)
          for t in (at, end)
        )
      along, at = along + end - at, end if end > at else length


def to_image(chart: Chart) -> Image.Image:
  """Returns a chart as an RGB picture in the light colours."""
  margin, zoom = 8, _PNG_SCALE * _SMOOTH
  heading = 1.8 * _FONT
  size = (chart.width + 2 * margin, chart.height + 2 * margin + heading)
  image = Image.new(
    'RGB', [round(zoom * side) for side in size], PAINTS['page'][0]
  )
  pen = ImageDraw.Draw(image)
  font = ImageFont.load_default(zoom * _FONT)
  anchors = {'start': 'ls', 'middle': 'ms', 'end': 'rs'}

  def scaled(x, y):
    return zoom * (x + margin), zoom * (y + margin + heading)

  title = f'{chart.title}, percent'
  pen.text(scaled(0, -0.6 * _FONT), title, PAINTS['ink'][0], font, 'ls')
  for shape in chart.shapes:
    colour = PAINTS[shape.paint][0]
    if isinstance(shape, _Rectangle):
      if shape.width:
        x, y = shape.x + shape.width, shape.y + shape.height
        pen.rectangle((scaled(shape.x, shape.y), scaled(x, y)), fill=colour)
    elif isinstance(shape, _Path):
      thickness = max(1, round(zoom * shape.thickness))
      for start, end in _dashes(shape.points, shape.dash):
        pen.line((scaled(*start), scaled(*end)), colour, thickness)
    else:
      place = scaled(shape.x, shape.y)
      pen.text(place, shape.text, colour, font, anchors[shape.anchor])
  return image.reduce(_SMOOTH)


def write_png(path: str | os.PathLike, chart: Chart) -> None:
  """Writes a chart as a PNG file about 1100 pixels wide.

  Raises:
    SavosError: the file cannot be written.
  """
  with files.replacing(path) as partial:
    to_image(chart).save(partial, format='PNG', optimize=True)
