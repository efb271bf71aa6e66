"""The figures that the paper reports, for comparison with measured ones.

Symmetry 2019, 11(8), 1006. Nothing here was measured by this program. Titles
are numbered only where we know the number.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import NamedTuple

_NAN = float('nan')


class Row(NamedTuple):
  """The scores of one method.

  Attributes:
    method: its name.
    j: mean of J, a fraction; nan if the paper has none.
    f: mean of F, as j.
    seconds: per frame, as reported; nan if there are none.
  """

  method: str
  j: float
  f: float = _NAN
  seconds: float = _NAN


class Table(NamedTuple):
  """A table of the paper.

  Attributes:
    key: by which it is requested.
    title: what it shows.
    benchmark: key of `BENCHMARKS`.
    rows: the paper's own method first.
    note: for the reader; may be empty.
  """

  key: str
  title: str
  benchmark: str
  rows: tuple[Row, ...]
  note: str = ''


class Benchmark(NamedTuple):
  """The sequences of a benchmark.

  Attributes:
    title: its name.
    names: of all its sequences.
    objects: number of scored objects.
  """

  title: str
  names: frozenset[str]
  objects: int


def _names(text: str) -> frozenset[str]:
  return frozenset(text.split())


_DAVIS_2016 = _names("""
  blackswan bmx-trees breakdance camel car-roundabout car-shadow cows
  dance-twirl dog drift-chicane drift-straight goat horsejump-high kite-surf
  libby motocross-jump paragliding-launch parkour scooter-black soapbox
""")
_MORE_2017 = _names("""
  bike-packing dogs-jump gold-fish india judo lab-coat loading mbike-trick
  pigs shooting
""")
_SEGTRACK = _names("""
  bird_of_paradise birdfall bmx cheetah drift frog girl hummingbird monkey
  monkeydog parachute penguin soldier worm
""")
BENCHMARKS = {
  'davis2016': Benchmark('DAVIS-2016 val', _DAVIS_2016, 20),
  'davis2017': Benchmark('DAVIS-2017 val', _DAVIS_2016 | _MORE_2017, 61),
  'segtrack': Benchmark('SegTrack v2', _SEGTRACK, 24),
}

TABLES = (
  Table(
    '1',
    'DAVIS-2016 val',
    'davis2016',
    (
      Row('SAVOS', 0.803, 0.795, 0.51),
      Row('MSK', 0.797, 0.754, 12),
      Row('OSVOS', 0.798, 0.806, 9),
      Row('OSVOS-S', 0.856, 0.864, 4.5),
      Row('OnAVOS', 0.861, 0.849, 13),
      Row('OnAVOS, no online learning', 0.727),
      Row('VPN', 0.702, 0.655, 0.63),
      Row('BVS', 0.600, 0.588, 0.37),
      Row('OFL', 0.680, 0.634, 120),
      Row("RGMP (its authors')", 0.815, 0.820),
    ),
    "RGMP is not in the paper's table; its row is what its authors report.",
  ),
  Table(
    '2',
    'DAVIS-2017 val',
    'davis2017',
    (
      Row('SAVOS', 0.621, 0.635),
      Row('OSVOS', 0.521),
      Row('OnAVOS', 0.610, 0.661),
      Row('FAVOS', 0.451, 0.554),
      Row('RGMP', 0.648, 0.686),
      Row('OSMN', 0.525, 0.571),
    ),
  ),
  Table(
    'segtrack',
    'SegTrack v2',
    'segtrack',
    (
      Row('SAVOS', 0.705),
      Row('BVS', 0.584),
      Row('OFL', 0.675),
      Row('MSK', 0.703),
      Row('OSVOS', 0.654),
      Row('MaskRNN', 0.721),
      Row('Lucid', 0.776),
      Row('RGMP', 0.711),
    ),
  ),
  Table(
    '3',
    'Table 3, ablation, DAVIS-2016 val',
    'davis2016',
    (
      Row('basic version', 0.783, 0.775),
      Row('+ lucid dream', 0.792, 0.778),
      Row('+ attention', 0.803, 0.795),
    ),
  ),
  Table(
    '4',
    'Table 4, add-ons, DAVIS-2016 val',
    'davis2016',
    (
      Row('SAVOS', 0.803, 0.795),
      Row('SAVOS + online learning (+1.81 s)', 0.810, 0.798),
      Row('SAVOS + dense CRF (+2.71 s)', 0.808, 0.793),
    ),
  ),
)


class Measured(NamedTuple):
  """The data of a run.

  Attributes:
    name: such as 'DAVIS-2016 val'.
    extent: such as '10 of 20 sequences'.
    benchmark: key of `BENCHMARKS`; '' if no figure of the paper is comparable.
    complete: whether all objects of the benchmark were scored.
    missing: sorted names of missing sequences of the benchmark.
  """

  name: str
  extent: str
  benchmark: str = ''
  complete: bool = False
  missing: tuple[str, ...] = ()

  @property
  def title(self) -> str:
    """Name and extent."""
    return f'{self.name}, {self.extent}'


def _count(number: int, thing: str) -> str:
  return f'{number} {thing}' + ('' if number == 1 else 's')


def identify(
  data: Mapping[str, object] | None, protocol: str, objects: Sequence[str]
) -> Measured:
  """Identifies the benchmark of a run by its settings and sequences.

  Args:
    data: `config.data` of the run; None if unknown.
    protocol: name of the scoring protocol; '' if `data` determines it.
    objects: names of the scored objects, `<sequence>` or `<sequence>_<id>`.

  Returns:
    Its description. A subset of a benchmark is described as such; other
    sequences, or a resolution other than 480p, are not a benchmark.
  """
  data = data or {}
  source, split = data.get('source', ''), data.get('val_split', '')
  key = protocol or f'davis{data.get("year", "")}'
  # SegTrack's own names hold underscores, but never before a number.
  found = {
    name if key == 'davis2016' else re.sub(r'_\d+$', '', name)
    for name in objects
  }
  count = _count(len(found), 'sequence')
  if source == 'embedded':
    return Measured('embedded demo clips', count)
  if key == 'youtube_vos':
    return Measured("data by YouTube-VOS' rules", count)
  benchmark = BENCHMARKS.get(key)
  if benchmark is None:
    return Measured('unknown data', count)
  at = data.get('resolution', '480p') if source == 'davis' else '480p'
  if not found <= benchmark.names or at != '480p':
    name = benchmark.title.split()[0] + (f' {split}' if split else '')
    return Measured(f'{name}, {at}' if source == 'davis' else name, count)
  whole = len(benchmark.names)
  complete = len(found) == whole and len(objects) == benchmark.objects
  part = f'{len(found)} of {whole} sequences'
  if len(found) == whole:
    part = f'all {whole} sequences'
  if benchmark.objects != whole:
    part += f', {len(objects)} of {benchmark.objects} objects'
  missing = tuple(sorted(benchmark.names - found))
  return Measured(benchmark.title, part, key, complete, missing)
