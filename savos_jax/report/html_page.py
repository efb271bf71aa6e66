"""A self-contained HTML page, with style and links to its sections."""

from collections.abc import Sequence
from importlib import resources

from savos_jax.report import charts
from savos_jax.report import markup

_e = markup.element

# What links to it (its id), its heading in the links, the section.
Section = tuple[str, str, markup.Markup]


def _style() -> markup.Markup:
  """Returns the style sheet, with the charts' colours for light and dark."""

  def variables(which):
    return ''.join(f'--{n}:{pair[which]};' for n, pair in charts.PAINTS.items())

  sheet = resources.files('savos_jax.report') / 'report.css'
  light, dark = variables(0), variables(1)
  return markup.Markup(
    f'<style>:root{{color-scheme:light dark;{light}}}\n'
    f'@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n'
    f'{sheet.read_text("utf-8")}</style>'
  )


def build(
  title: str,
  subtitle: str,
  sections: Sequence[Section],
  top: Sequence[markup.Markup] = (),
) -> str:
  """Returns a page.

  Args:
    title: its heading.
    subtitle: a line below.
    sections: in order.
    top: content before them.
  """
  links = [_e('li', _e('a', name, href=f'#{key}')) for key, name, _ in sections]
  head = _e(
    'head',
    _e('meta', charset='utf-8'),
    _e('meta', name='viewport', content='width=device-width, initial-scale=1'),
    _e('title', title),
    _style(),
  )
  body = _e(
    'body',
    _e('header', _e('h1', title), _e('p', subtitle, class_='faint')),
    _e('nav', _e('ul', *links), aria_label='Sections'),
    _e('main', *top, *(part for _, _, part in sections)),
  )
  return f'<!DOCTYPE html>\n{_e("html", head, body, lang="en")}\n'
