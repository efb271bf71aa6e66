"""Compares several results over their common sequences."""

from collections.abc import Sequence
import dataclasses
import math
import pathlib

from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.report import charts
from savos_jax.report import markup


def unique_names(folders: Sequence[pathlib.Path]) -> list[str]:
  """Names folders by the fewest trailing components that distinguish them.

  Args:
    folders: absolute paths.

  Returns:
    One distinct name each; a repeated folder gets ' (2)' appended.
  """
  names: list[str] = []
  for folder in folders:
    rivals = [other for other in folders if other != folder]
    depth = 1
    while depth < len(folder.parts) and any(
      other.parts[-depth:] == folder.parts[-depth:] for other in rivals
    ):
      depth += 1
    name = '/'.join(folder.parts[-depth:])
    seen = folders[: len(names)].count(folder)
    names.append(f'{name} ({seen + 1})' if seen else name)
  return names


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Several results over their common objects.

  Attributes:
    names: of the results; the first is the baseline.
    results: the results, in the same order.
    objects: names of the common objects, in the order of the first result.
    notes: sentences about what is excluded or does not match.
  """

  names: tuple[str, ...]
  results: tuple[results_folder.Results, ...]
  objects: tuple[str, ...]
  notes: tuple[str, ...]

  def quality(self, index: int) -> list[float]:
    """J&F of each object in result `index`; nan if undefined."""
    one = self.results[index]
    return [(one.mean(n, 'J') + one.mean(n, 'F')) / 2 for n in self.objects]

  def mean(self, index: int, measure: str) -> float:
    """Mean of 'J' or 'F' over the objects that have scored frames."""
    values = [self.results[index].mean(n, measure) for n in self.objects]
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else float('nan')


def _notes(names, results, objects) -> list[str]:
  notes = []
  for name, one in zip(names, results, strict=True):
    extra = [other for other in one.objects if other not in objects]
    if extra:
      notes.append(
        f'Left out, since not all results have them: {", ".join(extra)} '
        f'of {name}.'
      )
  for label in objects:
    counts = [one.frames(label, 'J').size for one in results]
    if len(set(counts)) > 1:
      notes.append(
        f'{label} has different numbers of scored frames: '
        f'{", ".join(map(str, counts))}.'
      )
  return notes


def compare(results: Sequence[results_folder.Results]) -> Comparison:
  """Finds the common objects of results.

  Args:
    results: two or more; the first is the baseline.

  Raises:
    SavosError: they have no object in common.
  """
  names = unique_names([one.workdir for one in results])
  shared = set.intersection(*(set(one.objects) for one in results))
  objects = tuple(name for name in results[0].objects if name in shared)
  if not objects:
    held = '\n'.join(
      f'    {one.folder}: {", ".join(one.objects[:4])}, ...' for one in results
    )
    raise errors.SavosError(
      f'{results[0].folder}: no sequence in common with what it is compared '
      f'with.\n{held}\n  Expected results of the same data set and protocol '
      '(2016 scores sequences, 2017 and SegTrack objects).'
    )
  notes = _notes(names, results, objects)
  return Comparison(tuple(names), tuple(results), objects, tuple(notes))


def chart(comparison: Comparison) -> charts.Chart:
  """Draws J&F of every object, with a bar for each result."""
  series = [
    charts.Series(name, comparison.quality(index))
    for index, name in enumerate(comparison.names)
  ]
  return charts.bars('J&F by sequence', comparison.objects, series)


def _signed(value: float) -> str:
  text = charts.percent(value)
  return f'+{text}' if value > 0 and text != '0.0' else text


def section(comparison: Comparison) -> markup.Markup:
  """Returns the comparison as a section of the report."""
  e = markup.element
  first, *others = comparison.names
  count = len(comparison.objects)
  overall = []
  for index, name in enumerate(comparison.names):
    j, f = comparison.mean(index, 'J'), comparison.mean(index, 'F')
    total = len(comparison.results[index].objects)
    figures = ((j + f) / 2, j, f)
    overall.append([name, *map(charts.percent, figures), f'{count} of {total}'])
  values = [comparison.quality(i) for i in range(len(comparison.names))]
  rows = [
    [
      label,
      *(charts.percent(one[number]) for one in values),
      *(_signed(one[number] - values[0][number]) for one in values[1:]),
    ]
    for number, label in enumerate(comparison.objects)
  ]
  return e(
    'section',
    e('h2', 'Comparison'),
    e(
      'p',
      f'Means over the {count} common to all results; a sequence with several '
      f'objects counts once for each. Differences are relative to {first}.',
    ),
    *(e('p', note) for note in comparison.notes),
    markup.table(
      'Results side by side, percent',
      ('result', 'J&F', 'J mean', 'F mean', 'compared'),
      overall,
    ),
    e(
      'div',
      markup.table(
        'J&F by sequence, percent, and differences in points',
        ('sequence', *comparison.names, *(f'{n} − {first}' for n in others)),
        rows,
      ),
      e('figure', charts.to_svg(chart(comparison)), class_='plain'),
      class_='columns',
    ),
    id='comparison',
  )
