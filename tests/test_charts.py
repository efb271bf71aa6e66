"""Charts as SVG and PNG, and the markup around them."""

import re

from PIL import Image
import pytest

from savos_jax.report import charts
from savos_jax.report import markup


def test_bars_and_lines_show_the_values():
  series = [charts.Series('J', [0.5, float('nan')]), charts.Series('F', [1, 0])]
  chart = charts.bars('Scores', ['a', 'b'], series)
  assert chart.label == 'Scores, percent. a: J 50.0, F 100.0; b: J -, F 0.0.'
  svg = charts.to_svg(chart)
  widths = [float(w) for w in re.findall(r'<rect [^>]* width="([\d.]+)"', svg)]
  assert widths[0] * 2 == pytest.approx(widths[1], abs=0.2)
  assert widths[2:] == [0, 0]
  values = [0.2, float('nan'), 0.4, 0.6]
  chart = charts.lines('x', [charts.Series('J', values)], range(1, 5))
  assert 'lowest 20.0 at frame 1, highest 60.0 at frame 4' in chart.label
  # A gap at the missing value: two pieces, and one key in the legend.
  assert charts.to_svg(chart).count(f'stroke:var(--{charts.SERIES[0]})') == 3
  assert charts.lines('empty', [charts.Series('J', [])], []).shapes


def test_png_has_the_paint_of_the_svg(tmp_path):
  series = [charts.Series('J', [1.0])]
  charts.write_png(tmp_path / 'a.png', charts.bars('t', ['a'], series))
  with Image.open(tmp_path / 'a.png') as image:
    assert image.width > 1000
    colours = {colour for _, colour in image.getcolors(100_000)}
  blue = charts.PAINTS['series0'][0]
  assert tuple(bytes.fromhex(blue[1:])) in colours


def test_markup_escapes_what_is_not_markup():
  inner = markup.element('i', 'a<b', title='"q"', hidden=True, id=None)
  assert inner == '<i title="&quot;q&quot;" hidden>a&lt;b</i>'
  assert markup.element('p', inner, '&') == f'<p>{inner}&amp;</p>'


def test_long_names_stay_apart():
  names = [f'val-03-cat-retina-motorcycle_{number}' for number in (1, 2)]
  chart = charts.bars('J', names, [charts.Series('J', [0.5, 0.5])])
  shown = re.findall(r'<text[^>]*>(val[^<]*)</text>', charts.to_svg(chart))
  assert [text[-2:] for text in shown] == ['_1', '_2']
  assert all(
    len(text) < len(name) for text, name in zip(shown, names, strict=True)
  )
  # Whoever can't see the chart hears the whole names.
  assert all(name in chart.label for name in names)


def test_a_scatter_chart_names_its_points():
  points = [
    charts.Point('one', 0.1, 0.8, 0),
    charts.Point('two', 10.0, 0.6, 1),
    charts.Point('near', 13.0, 0.602, 1),
    charts.Point('untimed', float('nan'), 0.7, 1),
  ]
  chart = charts.scatter('J', ['ours', 'paper'], points, 'seconds')
  assert chart.label == (
    'J, percent; seconds. one (ours): 80.0 at 0.1; two (paper): 60.0 at 10; '
    'near (paper): 60.2 at 13.'
  )
  svg = charts.to_svg(chart)
  dots = [
    tuple(map(float, found))
    for found in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', svg)
  ]
  texts = {
    name: (float(x), float(y))
    for x, y, name in re.findall(
      r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(\w+)</text>', svg
    )
  }
  assert len(dots) == 3
  assert dots[0][0] < dots[1][0] < dots[2][0]
  assert dots[0][1] < dots[1][1]
  assert 'untimed' not in texts
  assert texts['one'][0] > dots[0][0]  # To the right, where there is room.
  assert texts['two'][0] < dots[1][0]  # To the left of its neighbour.
  # 0.1 and 10 are two decades apart.
  assert texts['1'][0] == pytest.approx((dots[0][0] + dots[1][0]) / 2 + 3.5)
  assert charts.scatter('empty', [], [], 'seconds').shapes
