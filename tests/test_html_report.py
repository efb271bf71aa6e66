"""The report as a page: its structure, its figures, what it says is missing."""

import base64
import dataclasses
import html.parser
import io
import itertools
import re

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.evaluation import results_folder
from savos_jax.foundation import errors
from savos_jax.report import charts
from savos_jax.report import comparison
from savos_jax.report import error_frames
from savos_jax.report import html_report
from savos_jax.report import html_sequences
from savos_jax.report import paper_figures
from tests import results_folders

_VOID = {'br', 'img', 'meta'}


class _Page(html.parser.HTMLParser):
  """Collects elements with their attributes and their text, checks nesting."""

  def __init__(self, text):
    super().__init__()
    self.elements = []  # (tag, attributes, [text])
    self._open = []
    self.feed(text)
    assert not self._open, f'not closed: {self._open}'

  def handle_starttag(self, tag, attrs):
    element = (tag, dict(attrs), [])
    self.elements.append(element)
    if tag not in _VOID:
      self._open.append(element)

  def handle_endtag(self, tag):
    assert self._open.pop()[0] == tag

  def handle_data(self, data):
    for element in self._open:
      element[2].append(data)

  def all(self, *tags):
    return [element for element in self.elements if element[0] in tags]

  def text(self, tag='body'):
    return ' '.join(''.join(e[2]) for e in self.all(tag))

  def rows(self, caption):
    """The cells of the table whose caption begins so, a list a row."""
    rows, inside = [], False
    for tag, _, text in self.elements:
      if tag == 'table':
        inside = False
      elif tag == 'caption':
        inside = ''.join(text).startswith(caption)
      elif inside and tag == 'tr':
        rows.append([])
      elif inside and tag in ('th', 'td'):
        rows[-1].append(''.join(text))
    assert rows, f'no table {caption!r}'
    return rows


@pytest.fixture
def evaluated(davis_folder, tmp_path):
  """Results of two sequences of six frames, and the videos."""
  root = davis_folder(splits={'val': 2}, frames=6, year='2016', objects=2)
  return results_folders.write(tmp_path / 'run', root)


def test_page_can_be_read_aloud_and_needs_no_network(evaluated):
  text = html_report.build(*evaluated)
  page = _Page(text)
  assert text.startswith('<!DOCTYPE html>')
  assert page.all('html')[0][1]['lang'] == 'en'
  assert len(page.all('title')) == len(page.all('h1')) == 1
  levels = [int(tag[1]) for tag, *_ in page.all('h1', 'h2', 'h3', 'h4')]
  assert levels[0] == 1
  assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
  # Two sequences, three frames each, three pictures a frame.
  assert len(page.all('img')) == 18
  assert all(e[1]['alt'].strip() for e in page.all('img'))
  svgs = page.all('svg')
  assert len(svgs) == 3
  assert all(e[1]['role'] == 'img' for e in svgs)
  assert all(re.search(r'\d', e[1]['aria-label']) for e in svgs)
  tables = page.all('table')
  assert len(tables) == len(page.all('caption')) == 6
  assert all(e[1].get('scope') in ('row', 'col') for e in page.all('th'))
  for tag, attributes, _ in page.elements:
    for name in ('src', 'href'):
      assert attributes.get(name, '#').startswith(('#', 'data:')), tag
  assert not page.all('script', 'link', 'iframe')
  assert 'url(' not in text
  assert '@import' not in text
  targets = {e[1]['id'] for e in page.elements if 'id' in e[1]}
  assert {e[1]['href'][1:] for e in page.all('a')} <= targets


def test_figures_are_those_of_the_scores(evaluated):
  results, videos = evaluated
  rows = _Page(html_report.build(results, videos)).rows('Scores by sequence')
  assert [row[0] for row in rows] == ['sequence', 'val0', 'val1', 'mean of 2']
  entry = results.scores['sequences']['val0']
  assert rows[1][2] == f'{100 * entry["J"]["mean"]:.1f}'
  assert rows[1][6] == f'{100 * entry["F"]["recall"]:.1f}'
  assert rows[3][1] == f'{100 * results.scores["global"]["J&F"]:.1f}'


def test_pictures_are_jpegs_of_the_frame(evaluated):
  page = _Page(html_report.build(*evaluated))
  source = page.all('img')[0][1]['src'].removeprefix('data:image/jpeg;base64,')
  with Image.open(io.BytesIO(base64.b64decode(source))) as image:
    assert (image.format, image.size) == ('JPEG', (48, 36))


@pytest.mark.parametrize('name', ['<b>&"\'x', '</title><script>alert(1)'])
def test_names_are_escaped(evaluated, name):
  results, _ = evaluated

  def rename(content):
    content['sequences'][name] = content['sequences'].pop('val0')
    content.pop('videos', None)

  text = html_report.build(results_folders.edit(results, rename))
  assert name not in text
  page = _Page(text)
  assert not page.all('b', 'script')
  assert [row[0] for row in page.rows('Scores by sequence')][2] == name
  assert name in page.all('svg')[0][1]['aria-label']


def test_config_and_facts_are_escaped(evaluated):
  results, _ = evaluated
  results.config['note'] = '</pre><script>'
  page = _Page(html_report.build(results))
  assert '</pre><script>' in page.text('pre')
  assert not page.all('script')


def test_without_frames_the_text_says_so(evaluated):
  results, _ = evaluated
  page = _Page(html_report.build(results, missing='gone <fishing>.'))
  assert not page.all('img')
  assert page.text().count('No pictures: gone <fishing>.') == 2
  assert len(page.all('svg')) == 3


def test_a_damaged_mask_costs_only_its_pictures(evaluated):
  results, videos = evaluated
  for path in (results.folder / 'masks' / 'val0').iterdir():
    path.write_bytes(b'nothing')
  page = _Page(html_report.build(results, videos))
  assert len(page.all('img')) == 9
  assert 'not an image' in page.text()


def test_what_was_not_recorded_is_named(evaluated):
  results, _ = evaluated
  page = _Page(html_report.build(results))
  assert 'Attributes' not in page.text()
  assert 'no speed.json' in page.text()
  # Revision, device and weights.
  assert [''.join(e[2]) for e in page.all('dd')].count('unknown') == 3


def test_speed_baselines_and_facts_come_from_their_files(evaluated):
  results, _ = evaluated
  speed = {
    'sequences': 2,
    'frames': 12,
    'total_seconds': 34.5,
    'network_share': 0.75,
    'seconds_a_frame': 0.125,
    'first_seconds': 9.0,
    'peak_gib': 1.5,
  }
  results_folder.write_speed(results.folder, speed)
  facts = {'revision': 'abc-dirty', 'device': '2 x TPU', 'step': 7}
  results_folder.write_run(results.folder, {'seed': 3}, facts, {})
  again = results_folder.load(results.folder)
  assert again.config == {'seed': 3}
  text = _Page(html_report.build(again)).text()
  for expected in (
    '0.125 s a frame',
    '75 %',
    '1.50 GiB',
    'abc-dirty',
    '2 x TPU',
  ):
    assert expected in text


def test_attributes_are_shown_where_there_are_any(evaluated):
  results, _ = evaluated
  entry = dict(results.scores['global'])

  def add(content):
    content['attributes'] = {
      'OCC': {**entry, 'sequences': ['val0'], 'without': entry}
    }

  page = _Page(html_report.build(results_folders.edit(results, add)))
  row = page.rows('Scores by attribute')[1]
  assert row[:2] == ['OCC, occlusion', '1']
  assert row[2] == row[5] == charts.percent(entry['J&F'])


def test_the_paper_is_never_taken_for_a_measurement(evaluated):
  page = _Page(html_report.build(*evaluated))
  rows = page.rows('DAVIS-2016 val')
  # val0 is no sequence of DAVIS: nothing of this run stands in the table.
  assert {row[1] for row in rows[1:]} == {'paper'}
  assert rows[1] == ['SAVOS', 'paper', '80.3', '79.5', '0.51']
  assert 'none of these figures is comparable' in page.text()


def test_a_part_of_a_benchmark_is_named_as_such(evaluated):
  results, _ = evaluated

  def rename(content):
    content['sequences'] = dict(
      zip(('libby', 'cows'), content['sequences'].values(), strict=True)
    )
    content.pop('videos', None)

  page = _Page(html_report.build(results_folders.edit(results, rename)))
  assert page.text('h1') == 'SAVOS on DAVIS-2016 val, 2 of 20 sequences'
  row = page.rows('DAVIS-2016 val')[1]
  assert row[:2] == ['this run, 2 of 20 sequences', 'measured']
  assert 'are not directly comparable. Not here: blackswan, bmx' in page.text()


@pytest.mark.parametrize(
  ('source', 'rules', 'objects', 'title', 'benchmark'),
  [
    ('davis', '', ['cows'], 'DAVIS-2016 val, 1 of 20 sequences', 'davis2016'),
    (
      'segtrack',
      'segtrack',
      ['bird_of_paradise', 'bmx_1', 'bmx_2'],
      'SegTrack v2, 2 of 14 sequences, 3 of 24 objects',
      'segtrack',
    ),
    ('embedded', 'davis2017', ['a_1'], 'embedded demo clips, 1 sequence', ''),
    ('davis', '', ['bear'], 'DAVIS-2016 val, 480p, 1 sequence', ''),
    ('', '', ['x'], 'unknown data, 1 sequence', ''),
    (
      'youtube_vos',
      'youtube_vos',
      ['x_1', 'x_2'],
      "data by YouTube-VOS' rules, 1 sequence",
      '',
    ),
  ],
)
def test_identify(source, rules, objects, title, benchmark):
  data = {'source': source, 'val_split': 'val'} if source else None
  if source == 'davis':
    data['year'] = '2016'
  found = paper_figures.identify(data, rules, objects)
  assert (found.title, found.benchmark) == (title, benchmark)
  assert not found.complete


def test_identify_all_of_a_benchmark():
  names = sorted(paper_figures.BENCHMARKS['davis2016'].names)
  data = {'source': 'davis', 'year': '2016', 'resolution': '480p'}
  found = paper_figures.identify(data, 'davis2016', names)
  assert found.complete
  assert found.title == 'DAVIS-2016 val, all 20 sequences'
  data['resolution'] = '240p'
  assert not paper_figures.identify(data, 'davis2016', names).benchmark


def test_objects_of_a_video_stand_together(davis_folder, tmp_path):
  root = davis_folder(splits={'val': 1}, frames=5, objects=2)
  results, videos = results_folders.write(tmp_path, root, '2017')
  (group,) = html_sequences.group(results, videos)
  assert group.objects == ('val0_1', 'val0_2')
  # An older scores.json names no videos, and the frames are elsewhere.
  results = results_folders.edit(results, lambda c: c.pop('videos', None))
  assert len(html_sequences.group(results, [])) == 2


def test_worst_frames_are_apart():
  quality = np.array([0.9, 0.8, 0.1, 0.2, 0.3, np.nan, 0.5, *[0.95] * 13])
  assert error_frames.worst(quality) == [2, 4, 6]  # 3 is next to 2.
  assert error_frames.worst(np.full(3, np.nan)) == []
  assert error_frames.worst(np.zeros(0)) == []


def test_worst_frames_have_the_numbers_of_the_video(evaluated):
  results, videos = evaluated

  def spoil(content):
    # The first value is that of frame 1: frame 0 is given, not scored.
    content['sequences']['val0']['frames'] = {
      'J': [0.9, 0.9, 0.0, 0.9],
      'F': [0.9, 0.9, 0.1, 0.9],
    }

  results = results_folders.edit(results, spoil)
  group = html_sequences.group(results, videos)[0]
  (worst, values), *_ = html_sequences.worst_frames(results, group)
  assert worst == 3
  assert values == {'J': 0.0, 'F': 0.1}


def test_objects_with_fewer_scored_frames_have_the_last_ones(
  davis_folder, tmp_path
):
  """Of every fifth frame, by the rules of YouTube-VOS."""
  root = davis_folder(splits={'val': 1}, frames=5, objects=2)
  results, (video,) = results_folders.write(tmp_path, root, '2017')
  video = dataclasses.replace(
    video,
    frames=tuple(p.with_stem(f'{5 * int(p.stem):05d}') for p in video.frames),
  )

  def spoil(content):
    for name, values in (
      ('val0_1', [0.9, 0.2, 0.9, 0.9]),
      ('val0_2', [0.9, 0.0]),
    ):
      content['sequences'][name]['frames'] = {'J': values, 'F': values}
    content['videos']['val0']['frames'] = ['00005', '00010', '00015', '00020']

  results = results_folders.edit(results, spoil)
  (group,) = html_sequences.group(results, [video])
  assert html_sequences.scored_frames(results, group) == [1, 2, 3, 4]
  worst = html_sequences.worst_frames(results, group)
  assert [(index, values['J']) for index, values in worst][:2] == [
    (2, 0.2), (4, 0.45),
  ]  # fmt: skip
  chart = html_sequences.course(results, group, 'val0_2')
  assert 'lowest 0.0 at frame 4, highest 90.0 at frame 3' in chart.label
  # Another video than that of the scores.
  (group,) = html_sequences.group(results, [video.first_frames(3)])
  assert html_sequences.scored_frames(results, group) is None
  assert html_sequences.worst_frames(results, group) == []
  page = _Page(html_report.build(results, [video.first_frames(3)]))
  assert 'does not have the frames of the scores' in page.text()


def test_every_kind_of_error_is_found(davis_folder):
  root = davis_folder(splits={'val': 1}, objects=2)
  (video,) = davis.load(root, 'val', '2017')
  truth = video.labels(1)
  labels = np.where(truth == 1, 2, 0).astype(np.uint8)
  labels[0, :5] = 1
  drawn, kinds = error_frames.classify(labels, video, 1)
  np.testing.assert_array_equal(drawn, truth)
  np.testing.assert_array_equal(kinds['wrong object'], truth == 1)
  np.testing.assert_array_equal(kinds['false negative'], truth == 2)
  assert kinds['false positive'].sum() == 5
  picture = error_frames.draw_errors(video.frame(1), kinds)
  assert tuple(picture[0, 0]) == error_frames.FALSE_POSITIVE
  assert picture[-1, -1].std() == 0  # Grey where nothing is wrong.


def test_comparison_takes_what_all_have(evaluated, davis_folder, tmp_path):
  results, _ = evaluated
  root = davis_folder(folder='other', splits={'val': 3}, frames=6, year='2016')
  other, _ = results_folders.write(tmp_path / 'second' / 'run', root, shift=9)
  found = comparison.compare([results, other])
  assert found.objects == ('val0', 'val1')
  assert found.names[1] == 'second/run'
  assert any('val2 of second/run' in note for note in found.notes)
  # val2 is in the other's own mean, but not in the one that is compared.
  values = [other.mean(name, 'J') for name in ('val0', 'val1')]
  assert found.mean(1, 'J') == pytest.approx(np.mean(values))
  page = _Page(html_report.build(results, comparison=found))
  rows = page.rows('J&F by sequence')
  assert [row[0] for row in rows[1:]] == ['val0', 'val1']
  first, second, difference = (float(cell) for cell in rows[1][1:])
  assert difference == pytest.approx(second - first, abs=0.11)
  assert page.rows('Results side by side')[2][-1] == '2 of 3'
  assert 'Left out' in page.text()


def test_nothing_in_common_is_an_error(evaluated, davis_folder, tmp_path):
  results, _ = evaluated
  root = davis_folder(folder='other', splits={'val': 1})
  other, _ = results_folders.write(tmp_path / 'b', root, '2017')
  with pytest.raises(errors.SavosError, match='no sequence in common'):
    comparison.compare([results, other])


def test_names_of_folders_are_unique(tmp_path):
  folders = [tmp_path / 'a' / 'run', tmp_path / 'b' / 'run', tmp_path / 'c']
  assert comparison.unique_names(folders) == ['a/run', 'b/run', 'c']
  assert comparison.unique_names([folders[2]] * 2) == ['c', 'c (2)']


def test_plots_are_written_beside_the_page(evaluated, tmp_path):
  results, _ = evaluated

  def rename(content):
    content['sequences']['../up'] = content['sequences'].pop('val0')
    content.pop('videos', None)

  results = results_folders.edit(results, rename)
  html_report.write(tmp_path / 'out' / 'report.html', results)
  assert sorted(p.name for p in (tmp_path / 'out' / 'plots').iterdir()) == [
    'sequences.png',
    'time_.._up.png',
    'time_val1.png',
  ]
