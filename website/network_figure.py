"""Draws the network: docs/explanation/network.svg.

  python -m website.network_figure

Encoders go down, the decoder comes up: what stands side by side has one stride.
Upright and with large letters, so that it can be read on a phone.
"""

import html
import pathlib

_OUT = pathlib.Path(__file__).parents[1] / 'docs/explanation/network.svg'
_TITLE = 'The SAVOS network'
_DESCRIPTION = (
  'The reference frame with its mask and the current frame with the previous '
  'mask go down through two encoders with shared weights, res2 to res5 at '
  'strides 4 to 32. A global convolution block joins both at stride 32. Three '
  'attention modules go back up, each joined with the features of the current '
  'frame at its stride, to a prediction at stride 4. Beyond the paper, a look '
  'back compares the features of both frames at stride 16 and enters the first '
  'attention module.'
)
_STYLE = """
  svg { background: #fff; font-family: sans-serif; }
  text { font-size: 17px; fill: #1a1a1a; text-anchor: middle; }
  .small { font-size: 14px; fill: #444; }
  .stride { font-size: 14px; fill: #444; text-anchor: start; }
  .shared { fill: #cfe3f7; stroke: #1f5f99; }
  .once { fill: #dcdcdc; stroke: #666; }
  .decoder { fill: #d6eed8; stroke: #2b7a37; }
  .beyond { fill: #ffe3bf; stroke: #b45f06; }
  .flow { fill: none; stroke: #333; stroke-width: 2; marker-end: url(#tip); }
  .weights { fill: none; stroke: #1f5f99; stroke-width: 2;
    stroke-dasharray: 5 4; }
  .look { fill: none; stroke: #b45f06; stroke-width: 2;
    marker-end: url(#look-tip); }
"""
# Where the middle of each column is.
_REFERENCE, _TARGET, _DECODER = 100, 300, 540
# Stage -> (middle of its row, width of its box, stride).
_STAGES = {
  'res2': (210, 140, 4),
  'res3': (295, 116, 8),
  'res4': (380, 92, 16),
  'res5': (495, 76, 32),
}
_HALF = 23  # Of a box's height.


def _box(kind: str, x: float, y: float, width: float, text: str) -> str:
  return (
    f'<rect class="{kind}" x="{x - width / 2}" y="{y - _HALF}" '
    f'width="{width}" height="{2 * _HALF}" rx="5" stroke-width="1.5"/>'
    f'<text x="{x}" y="{y + 6}">{html.escape(text)}</text>'
  )


def _text(x: float, y: float, text: str, kind: str = '') -> str:
  return f'<text class="{kind}" x="{x}" y="{y}">{html.escape(text)}</text>'


def _path(kind: str, *points: tuple[float, float]) -> str:
  way = ' L '.join(f'{x} {y}' for x, y in points)
  return f'<path class="{kind}" d="M {way}"/>'


def _thing(x: float, y: float, colour: str) -> str:
  """Draws the object that is followed: a kite with its tail."""
  return (
    f'<path d="M {x} {y - 17} l 13 15 l -13 19 l -13 -19 z '
    f'm 0 34 q 9 5 3 12" fill="{colour}" stroke="{colour}"/>'
  )


def _tile(x: float, y: float, shift: float, soft: bool = False) -> str:
  """Draws a frame, and the mask behind it to the right."""
  mask = _thing(x + 41 + (0 if soft else shift), y, '#fff')
  mask = f'<g filter="url(#soft)">{mask}</g>' if soft else mask
  return (
    f'<rect x="{x - 78}" y="{y - 33}" width="75" height="66" fill="#9cc7e8"/>'
    f'<path d="M {x - 78} {y + 33} v -12 q 35 -16 75 0 v 12 z" '
    'fill="#7fae6b"/>'
    f'{_thing(x - 41 + shift, y, "#c62828")}'
    f'<rect x="{x + 3}" y="{y - 33}" width="75" height="66" fill="#111"/>{mask}'
  )


def _encoders() -> list[str]:
  parts = []
  for x, kind in ((_REFERENCE, 'once'), (_TARGET, 'shared')):
    below = 135.0
    for name, (y, width, _) in _STAGES.items():
      parts.append(_path('flow', (x, below), (x, y - _HALF - 3)))
      parts.append(_box(kind, x, y, width, name))
      below = y + _HALF
  for y, width, stride in _STAGES.values():
    first, last = _REFERENCE + width / 2, _TARGET - width / 2
    parts.append(_path('weights', (first, y), (last, y)))
    parts.append(_text(626, y + 5, f'{stride}', 'stride'))
  parts.append(_text(200, 202, 'shared', 'small'))
  parts.append(_text(200, 228, 'weights', 'small'))
  return parts


def _decoder() -> list[str]:
  parts = [
    _box('decoder', 200, 590, 250, 'global convolution, 7×7'),
    _path('flow', (_REFERENCE, 518), (_REFERENCE, 564)),
    _path('flow', (_TARGET, 518), (_TARGET, 564)),
    _path('flow', (325, 590), (_DECODER, 590), (_DECODER, 380 + _HALF + 3)),
  ]
  above = ''
  for name in ('res4', 'res3', 'res2'):
    y, width, _ = _STAGES[name]
    parts.append(_box('decoder', _DECODER, y, 130, 'attention'))
    right = _TARGET + width / 2
    parts.append(_path('flow', (right, y), (_DECODER - 68, y)))
    if above:
      below = _STAGES[above][0] - _HALF
      parts.append(_path('flow', (_DECODER, below), (_DECODER, y + _HALF + 3)))
    above = name
  parts.append(_path('flow', (_DECODER, 187), (_DECODER, 138)))
  parts.append(_text(_DECODER + 14, 168, 'softmax', 'stride'))
  return parts


def _look_back() -> list[str]:
  y = 437
  return [
    _path('look', (146, 392), (172, 392), (172, y), (374, y)),
    _path('look', (330, 403), (330, 424), (374, 430)),
    _box('beyond', 424, y, 94, 'look back'),
    _path('look', (471, y), (500, y), (500, 406)),
  ]


def draw() -> str:
  """Returns the figure as SVG."""
  marker = (
    '<marker id="{}" markerWidth="9" markerHeight="9" refX="6" refY="3" '
    'orient="auto"><path d="M 0 0 L 7 3 L 0 6 z" fill="{}"/></marker>'
  )
  parts = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 670 632" role="img" '
    'aria-labelledby="title description">',
    f'<title id="title">{_TITLE}</title>',
    f'<desc id="description">{_DESCRIPTION}</desc>',
    f'<style>{_STYLE}</style><defs>',
    marker.format('tip', '#333'),
    marker.format('look-tip', '#b45f06'),
    '<filter id="soft"><feGaussianBlur stdDeviation="3"/></filter></defs>',
    '<rect width="670" height="632" fill="#fff"/>',
    _text(_REFERENCE, 24, 'first frame'),
    _text(_REFERENCE, 44, 'and its mask', 'small'),
    _tile(_REFERENCE, 90, 0),
    _text(_TARGET, 24, 'current frame'),
    _text(_TARGET, 44, 'and the mask before', 'small'),
    _tile(_TARGET, 90, 14, soft=True),
    _text(_DECODER, 24, 'prediction'),
    f'<rect x="{_DECODER - 38}" y="57" width="75" height="66" fill="#111"/>',
    _thing(_DECODER + 14, 90, '#fff'),
    _text(626, 168, 'stride', 'stride'),
    *_encoders(),
    *_decoder(),
    *_look_back(),
    '</svg>',
  ]
  return '\n'.join(parts) + '\n'


if __name__ == '__main__':
  _OUT.write_text(draw(), 'utf-8')
