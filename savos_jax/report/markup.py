"""HTML and SVG from Python calls; whatever is not markup yet is escaped."""

from collections.abc import Iterable
from collections.abc import Sequence
import html

# Elements that have no end tag.
_VOID = frozenset({'br', 'img', 'meta'})


class Markup(str):
  """Text that is HTML already; `element` takes it as it is."""

  __slots__ = ()


def _attribute(name: str, value: object) -> str:
  """Writes ` name="value"`: `class_` is class, `aria_label` aria-label."""
  name = name.rstrip('_').replace('_', '-')
  if value is None or value is False:
    return ''
  return f' {name}' if value is True else f' {name}="{html.escape(str(value))}"'


def join(parts: Iterable[object]) -> Markup:
  """Joins markup, and anything else as escaped text."""
  return Markup(
    ''.join(p if isinstance(p, Markup) else html.escape(str(p)) for p in parts)
  )


def element(tag: str, *children: object, **attributes: object) -> Markup:
  """Returns one element.

  Args:
    tag: such as 'p'.
    *children: markup is taken as it is, everything else is escaped.
    **attributes: values are escaped; None and False leave the attribute out,
      True writes its name alone. A trailing underscore is dropped, others
      become hyphens: `class_`, `aria_label`.
  """
  start = f'<{tag}{"".join(_attribute(*item) for item in attributes.items())}>'
  if tag in _VOID:
    return Markup(start)
  return Markup(f'{start}{join(children)}</{tag}>')


def table(
  caption: str,
  columns: Sequence[str],
  rows: Sequence[Sequence[object]],
  emphasis: Iterable[int] = (),
) -> Markup:
  """Returns a table in a box that scrolls sideways by itself.

  Args:
    caption: says what it shows; also names the box to a screen reader.
    columns: the headings; the first is that of the rows' own headings.
    rows: their cells, the first of each is its heading.
    emphasis: indices of rows to set apart.
  """
  emphasis = set(emphasis)
  head = element('tr', *(element('th', c, scope='col') for c in columns))
  body = [
    element(
      'tr',
      element('th', row[0], scope='row'),
      *(element('td', cell) for cell in row[1:]),
      class_='strong' if number in emphasis else None,
    )
    for number, row in enumerate(rows)
  ]
  return element(
    'div',
    element(
      'table',
      element('caption', caption),
      element('thead', head),
      element('tbody', *body),
    ),
    class_='scroll',
    role='region',
    aria_label=caption,
    tabindex=0,  # A box that scrolls must be reachable from the keyboard.
  )
