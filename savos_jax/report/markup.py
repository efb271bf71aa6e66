"""Builds HTML and SVG; everything that is not markup is escaped."""

from collections.abc import Iterable
from collections.abc import Sequence
import html

# Elements that have no end tag.
_VOID = frozenset({'br', 'img', 'meta'})


class Markup(str):
  """Text that is already HTML; `element` does not escape it."""

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
    tag: its name, such as 'p'.
    *children: markup is kept, everything else is escaped.
    **attributes: values are escaped; None and False omit the attribute, True
      writes only its name. A trailing underscore is dropped, others become
      hyphens: `class_`, `aria_label`.
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
  """Returns a table in a horizontally scrollable box.

  Args:
    caption: of the table; also labels the box for screen readers.
    columns: the column headings; the first is above the row headings.
    rows: of cells; the first of each is the row heading.
    emphasis: indices of rows to highlight.
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
