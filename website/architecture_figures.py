"""Draws the architecture: docs/assets/floors.svg and docs/assets/frame.svg.

  python -m website.architecture_figures

The floors are those that tests/test_architecture.py enforces. Upright and with
large letters, so that they can be read on a phone.
"""

import html
import pathlib

from tests import test_architecture

_ASSETS = pathlib.Path(__file__).parents[1] / 'docs' / 'assets'
_WIDTH = 600
_STYLE = """
  svg { font-family: sans-serif; }
  text { font-size: 17px; fill: #1a1a1a; text-anchor: middle; }
  .small { font-size: 14px; fill: #444; }
  .light { fill: #d6eed8; stroke: #2b7a37; }
  .heavy { fill: #cfe3f7; stroke: #1f5f99; }
  .plain { fill: #eee; stroke: #666; }
  .flow { fill: none; stroke: #333; stroke-width: 2; marker-end: url(#tip); }
"""
# What a test shows to import neither JAX nor TensorFlow.
_LIGHT = {
  *('datasets', 'data', 'synthetic', 'pictures', 'annotations'),
  *('evaluation', 'report'),
}
# Steps of a frame: what, in which modules, and what is beside it.
_STEPS = (
  ('source', 'video/sources.py', 'a video file, a folder, an excerpt'),
  ('marks', 'video/marks.py', 'first masks, corrections, annotations'),
  ('tracker', 'inference/tracker.py', 'windows, then objects made to agree'),
  ('network', 'models/savos.py', 'compiled once for each size'),
  ('joined, refined', 'video/both_ways.py', 'both directions, dense CRF'),
  ('sinks', 'video/sinks.py', 'masks, overlay, cut-outs, formats'),
)


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
  return (
    f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" '
    'rx="5" stroke-width="1.5"/>'
  )


def _text(x: float, y: float, text: str, kind: str = '') -> str:
  return f'<text class="{kind}" x="{x}" y="{y}">{html.escape(text)}</text>'


def _figure(
  title: str, description: str, height: float, parts: list[str]
) -> str:
  return '\n'.join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
      ' role="img" aria-labelledby="title description">',
      f'<title id="title">{html.escape(title)}</title>',
      f'<desc id="description">{html.escape(description)}</desc>',
      f'<style>{_STYLE}</style>',
      '<defs><marker id="tip" markerWidth="9" markerHeight="9" refX="6" '
      'refY="3" orient="auto"><path d="M 0 0 L 7 3 L 0 6 z" fill="#333"/>'
      '</marker></defs>',
      f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
      *parts,
      '</svg>\n',
    ]
  )


def floors() -> str:
  """Returns the floors of the package as SVG, the highest on top."""
  parts, told, y = [], [], 10
  for floor in reversed(test_architecture.FLOORS):
    # Of a wide floor two rows.
    names = sorted(floor)
    half = len(names) if len(names) <= 4 else (len(names) + 1) // 2
    for row in filter(None, (names[:half], names[half:])):
      width = (_WIDTH - 20 - 8 * (len(row) - 1)) / len(row)
      for place, name in enumerate(row):
        x = 10 + place * (width + 8)
        kind = 'light' if name in _LIGHT else 'heavy'
        parts.append(_box(kind, round(x, 1), y, round(width, 1), 34))
        parts.append(_text(round(x + width / 2, 1), y + 23, name))
      y += 40
    y += 8
    told.append(', '.join(names))
  parts.append(_text(_WIDTH / 2, y + 12, 'imports only go down', 'small'))
  return _figure(
    'The floors of savos_jax',
    f'From top to bottom: {"; ".join(told)}. Each imports only from below.',
    y + 24,
    parts,
  )


def frame() -> str:
  """Returns the way of a frame as SVG."""
  parts, y = [], 10
  for number, (name, module, beside) in enumerate(_STEPS):
    kind = 'heavy' if name in ('tracker', 'network') else 'plain'
    parts.append(_box(kind, 10, y, 250, 56))
    parts.append(_text(135, y + 24, name))
    parts.append(_text(135, y + 45, module, 'small'))
    parts.append(_text(430, y + 34, beside, 'small'))
    if number:
      parts.append(f'<path class="flow" d="M 135 {y - 24} V {y - 3}"/>')
    y += 80
  steps = '; '.join(f'{name} ({module})' for name, module, _ in _STEPS)
  return _figure('The way of a frame', f'In order: {steps}.', y - 14, parts)


FIGURES = {'floors.svg': floors, 'frame.svg': frame}


if __name__ == '__main__':
  for file, draw in FIGURES.items():
    (_ASSETS / file).write_text(draw(), 'utf-8')
