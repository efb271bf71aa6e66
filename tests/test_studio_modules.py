"""What the studio's modules compute, in a browser, against other libraries."""

import re

import cv2
import numpy as np
import pytest

from tests import studio_browser

HEIGHT, WIDTH = 37, 53
JS = studio_browser.PAGE / 'js'


@pytest.fixture(scope='module')
def page():
  with (
    studio_browser.launched() as browser,
    studio_browser.modules(browser) as page,
  ):
    yield page


def run(page, module, body, *values):
  """Runs a function's body, with a module's exports as `m`, on `values`."""
  return page.evaluate(
    f"""async (values) => {{
      const m = await import('/page/js/{module}.js');
      const bytes = (list) => Uint8Array.from(list);
      {body}
    }}""",
    list(values),
  )


def labels_of(seed, most=3):
  rng = np.random.default_rng(seed)
  small = rng.integers(0, most + 1, (6, 8)).astype(np.uint8)
  size = (WIDTH, HEIGHT)
  return cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)


def array(found):
  return np.array(found, np.uint8).reshape(HEIGHT, WIDTH)


def test_marking_and_timeline_know_of_nothing_else():
  for folder in ('marking', 'timeline'):
    paths = sorted((JS / folder).glob('*.js'))
    assert paths
    for path in paths:
      text = path.read_text('utf-8')
      for found in re.findall(r"from '(.*)'", text):
        assert re.fullmatch(r'\./[a-z]+\.js', found), path
      assert not re.search(r'\bfetch\b|/api/|WebSocket|localStorage', text)


def test_nothing_comes_from_elsewhere():
  paths = [p for p in studio_browser.PAGE.rglob('*') if p.is_file()]
  assert len(paths) > 20
  for path in paths:
    text = path.read_text('utf-8')
    allowed = text.replace('http://www.w3.org/2000/svg', '')
    assert not re.search(r'https?://|@import|innerHTML|eval\(', allowed), path
  # Its policy lets no style or script be in the page itself.
  index = (studio_browser.PAGE / 'index.html').read_text('utf-8')
  assert not re.search(r'\sstyle=|<style|\son[a-z]+=|<script(?! type)', index)


def luminance(colour: str) -> float:
  """Of '#rrggbb', as WCAG has it."""
  parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
  low, high = parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
  linear = np.where(parts <= 0.04045, low, high)
  return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize('theme', [0, 1], ids=['light', 'dark'])
def test_texts_are_seen_on_what_they_are_on(theme):
  css = (studio_browser.PAGE / 'studio.css').read_text('utf-8')
  pairs = re.findall(r'--([a-z-]+): light-dark\((#\w+), (#\w+)\)', css)
  of = {name: colours[theme] for name, *colours in pairs}
  for text, ground in (
    ('text', 'page'), ('text', 'panel'), ('text', 'raised'),
    ('text', 'pressed'), ('muted', 'page'), ('muted', 'panel'),
    ('muted', 'raised'), ('muted', 'track'), ('accent', 'raised'),
    ('on-accent', 'accent'), ('stale', 'panel'), ('danger', 'panel'),
  ):  # fmt: skip
    one, other = sorted(luminance(of[name]) for name in (text, ground))
    assert (other + 0.05) / (one + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize('kind', ['L', 'P', 'filtered'])
def test_pngs_are_read(page, kind):
  import io

  from PIL import Image

  labels = labels_of(0)
  if kind == 'filtered':
    labels = cv2.GaussianBlur(labels * 60, (0, 0), 3)
    flags = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
    data = cv2.imencode('.png', labels, flags)[1].tobytes()
  else:
    image = Image.fromarray(labels)
    if kind == 'P':
      image = image.convert('P')
      image.putdata(labels.ravel())
    file = io.BytesIO()
    image.save(file, 'png')
    data = file.getvalue()
  body = 'return Array.from((await m.decode(bytes(values[0]).buffer)).labels)'
  found = run(page, 'png', body, list(data))
  np.testing.assert_array_equal(array(found), labels)


def test_every_filter_of_pngs(page):
  import struct
  import zlib

  rng = np.random.default_rng(1)
  labels = rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
  rows, padded = bytearray(), np.pad(labels.astype(int), ((1, 0), (1, 0)))
  for y in range(HEIGHT):
    here, above = padded[y + 1], padded[y]
    left, up, corner = here[:-1], above[1:], above[:-1]
    guess = left + up - corner
    far = np.abs([guess - left, guess - up, guess - corner])
    paeth = np.choose(far.argmin(0), [left, up, corner])
    filters = [0 * left, left, up, (left + up) // 2, paeth]
    rows.append(y % 5)
    rows += ((here[1:] - filters[y % 5]) % 256).astype(np.uint8).tobytes()

  def chunk(kind, data):
    tail = struct.pack('>I', zlib.crc32(kind + data))
    return struct.pack('>I', len(data)) + kind + data + tail

  header = struct.pack('>IIBBBBB', WIDTH, HEIGHT, 8, 0, 0, 0, 0)
  data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
  data += chunk(b'IDAT', zlib.compress(bytes(rows))) + chunk(b'IEND', b'')
  buffer = np.frombuffer(data, np.uint8)
  expected = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
  np.testing.assert_array_equal(expected, labels)
  body = 'return Array.from((await m.decode(bytes(values[0]).buffer)).labels)'
  found = run(page, 'png', body, list(data))
  np.testing.assert_array_equal(array(found), labels)


def test_pngs_are_written(page):
  labels = labels_of(2, most=254)
  body = """const blob = await m.encode(bytes(values[0]), values[1], values[2]);
    return Array.from(new Uint8Array(await blob.arrayBuffer()));"""
  data = run(page, 'png', body, labels.ravel().tolist(), WIDTH, HEIGHT)
  buffer = np.array(data, np.uint8)
  found = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
  np.testing.assert_array_equal(found, labels)


def test_changes_are_done_and_taken_back(page):
  before, after = labels_of(3), labels_of(4)
  after[:5] = before[:5]
  body = """const [before, after] = values.slice(0, 2).map(bytes);
    const width = values[2], height = before.length / width;
    const box = { x0: 0, y0: 0, x1: width, y1: height };
    const change = m.diff(before, after, width, box);
    const labels = Uint8Array.from(before);
    const where = m.apply(labels, width, change, 'after');
    const there = Array.from(labels);
    m.apply(labels, width, change, 'before');
    return [there, Array.from(labels), where, change.starts.length,
      m.diff(before, before, width, box)];"""
  there, back, where, runs, none = run(
    page, 'marking/diff', body, before.ravel().tolist(),
    after.ravel().tolist(), WIDTH,
  )  # fmt: skip
  np.testing.assert_array_equal(array(there), after)
  np.testing.assert_array_equal(array(back), before)
  assert none is None
  rows, columns = np.nonzero(before != after)
  assert where == {
    'x0': columns.min(), 'y0': rows.min(),
    'x1': columns.max() + 1, 'y1': rows.max() + 1,
  }  # fmt: skip
  assert runs < (before != after).sum() / 3


def centres():
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  return columns + 0.5, rows + 0.5


def paint(page, labels, call):
  body = f"""const labels = bytes(values[0]);
    const [w, h] = values.slice(1);
    const paint = m.paintOf(2, {{ protect: true }});
    {call};
    return Array.from(labels);"""
  found = run(
    page, 'marking/shapes', body, labels.ravel().tolist(), WIDTH, HEIGHT
  )
  return array(found)


def test_a_stroke_is_all_that_is_near_a_line(page):
  labels = labels_of(5)
  call = 'm.paintLine(labels, w, h, [3.2, 30], [44.5, 9.7], 6.3, paint)'
  found = paint(page, labels, call)
  x, y = centres()
  dx, dy = 44.5 - 3.2, 9.7 - 30
  t = ((x - 3.2) * dx + (y - 30) * dy) / (dx * dx + dy * dy)
  t = np.clip(t, 0, 1)
  near = np.hypot(x - 3.2 - t * dx, y - 30 - t * dy) <= 6.3
  # Other objects are protected.
  expected = np.where(near & np.isin(labels, (0, 2)), 2, labels)
  np.testing.assert_array_equal(found, expected)
  assert (found != labels).sum() > 50


def test_a_polygon_is_filled_even_odd(page):
  labels = np.zeros((HEIGHT, WIDTH), np.uint8)
  points = [(-5, 3.3), (50.2, 8), (12, 40.5), (30.7, -2), (41, 33), (2, 20.1)]
  call = f'm.paintPolygon(labels, w, h, {[list(p) for p in points]}, paint)'
  found = paint(page, labels, call)
  x, y = centres()
  inside = np.zeros((HEIGHT, WIDTH), bool)
  for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
    crosses = (ay <= y) != (by <= y)
    inside ^= crosses & (x >= ax + (y - ay) / (by - ay) * (bx - ax))
  np.testing.assert_array_equal(found, 2 * inside)
  assert 200 < inside.sum() < inside.size / 2


def test_a_region_of_one_colour_is_that_of_opencv(page):
  rng = np.random.default_rng(6)
  noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
  image = cv2.GaussianBlur(noise, (0, 0), 2.5)
  rgba = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
  body = """return Array.from(m.colourRegion(
    Uint8ClampedArray.from(values[0]), ...values.slice(1)));"""
  for tolerance, few, many in ((8, 2, 500), (30, 300, image.size // 3)):
    found = run(
      page, 'marking/regions', body, rgba.ravel().tolist(), WIDTH, HEIGHT, 20,
      11, tolerance,
    )  # fmt: skip
    expected = np.zeros((HEIGHT + 2, WIDTH + 2), np.uint8)
    cv2.floodFill(
      image.copy(), expected, (20, 11), 0, [tolerance] * 3, [tolerance] * 3,
      4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | 1 << 8,
    )  # fmt: skip
    np.testing.assert_array_equal(array(found), expected[1:-1, 1:-1])
    assert few < sum(found) <= many


def test_holes_are_what_does_not_reach_the_border(page):
  labels = np.where(labels_of(7) == 1, 0, 1).astype(np.uint8)
  labels[12:25, 15:40] = 1
  labels[16:20, 20:30] = 2
  body = 'return Array.from(m.holes(bytes(values[0]), ...values.slice(1)))'
  found = run(
    page, 'marking/regions', body, labels.ravel().tolist(), WIDTH, HEIGHT, 1
  )
  other = np.pad(labels != 1, 1, constant_values=True).astype(np.uint8)
  _, parts = cv2.connectedComponents(other, connectivity=4)
  expected = ((parts != parts[0, 0]) & (other == 1))[1:-1, 1:-1]
  np.testing.assert_array_equal(array(found), expected)
  assert expected[17, 25]


def test_zooming_keeps_what_is_under_the_pointer(page):
  found = run(
    page,
    'marking/view',
    """const stage = { width: 900, height: 500 };
      const picture = { width: 640, height: 480, aspect: 1.5 };
      const whole = m.fit(picture, stage);
      const fits = m.toStage(whole, 640, 480);
      let view = whole;
      const place = m.toPicture(view, 300, 222);
      for (const factor of [1.7, 3, 0.4, 1e9]) {
        view = m.zoomAt(view, factor, 300, 222, whole.scale);
      }
      const least = m.zoomAt(view, 1e-9, 0, 0, whole.scale);
      const lost = m.kept({ ...view, left: 1e6, top: -1e9 }, picture, stage);
      return [place, m.toPicture(view, 300, 222), view.scale, least.scale,
        whole.scale, [whole.left, whole.top, ...fits], lost];""",
  )
  before, after, most, least, fitting, (left, top, right, bottom), lost = found
  assert after == pytest.approx(before)
  assert most == 64
  assert 0 < least < fitting
  assert left == pytest.approx(900 - right)
  assert top == pytest.approx(500 - bottom)
  assert min(left, top) == pytest.approx(12)
  # Some of the picture stays on the stage.
  assert lost['left'] < 900
  assert lost['top'] + 480 * lost['scale'] > 0


def test_the_timeline_zooms_and_turns_over(page):
  found = run(
    page,
    'timeline/window',
    """const all = { from: 0, to: 1000 };
      const near = m.zoomed(all, 10, 0.25, 1000);
      return [near, m.zoomed(near, 1e9, 0.5, 1000), m.zoomed(near, 0, 0, 1000),
        m.toFrame(all, 500, 125), m.toFrame(near, 500, 125),
        m.showing(near, 500, 1000), m.showing(near, 240, 1000),
        m.moved(near, -1e6, 1000), m.tick(1000, 9), m.toX(near, 500, 325)];""",
  )
  near, nearest, whole, one, other, turned, same, moved, tick, x = found
  assert near == {'from': 225, 'to': 325}
  assert nearest['to'] - nearest['from'] == 8
  assert whole == {'from': 0, 'to': 1000}
  assert one == other == 250
  assert turned == {'from': 500, 'to': 600}
  assert same == near
  assert moved == {'from': 0, 'to': 100}
  assert tick == 200
  assert x == 500


def test_doubtful_frames_are_apart_and_come_in_order(page):
  sure = np.full(200, 0.9)
  sure[[20, 21, 22, 90, 150]] = 0.5, 0.4, 0.6, 0.3, 0.2
  sure[100:110] = np.nan
  values = [None if np.isnan(s) else float(s) for s in sure]
  found, low, first, second, last, unknown = run(
    page,
    'timeline/confidence',
    """const sure = Float32Array.from(values[0].map((v) => v ?? NaN));
      const found = m.doubtful(sure, (i) => i === 150);
      const other = Float32Array.from(sure, (v, i) => (i === 7 ? 0.1 : 0.95));
      return [found, m.lowest(200, [sure, other])[7],
        m.nextDoubtful(found, 3, 1), m.nextDoubtful(found, 90, 1),
        m.nextDoubtful(found, 90, -1), m.nextDoubtful([], 0, 1) ?? null];""",
    values,
  )
  assert found[:2] == [90, 21]
  assert 150 not in found
  assert not {20, 22} & set(found)
  assert not set(range(100, 110)) & set(found)
  assert np.abs(np.subtract.outer(found, found)[~np.eye(len(found), dtype=bool)]
  ).min() > 5  # fmt: skip
  assert low == pytest.approx(0.1)
  assert (first, second, last) == (90, 21, found[-1])
  assert unknown is None


def test_caches_are_bounded_and_drop_the_oldest(page):
  found = run(
    page,
    'lru',
    """const dropped = [];
      const cache = new m.Lru(10, (value) => dropped.push(value));
      for (const k of [1, 2, 3]) cache.set(k, k, 3);
      cache.get(1);
      cache.set(4, 4, 3);
      cache.set(5, 5, 99);
      return [dropped, cache.size, cache.has(5)];""",
  )
  assert found == [[2, 3, 1, 4], 99, True]


def test_marks_are_sent_until_they_are_saved(page):
  found = run(
    page,
    'server/saving',
    """const log = [];
      let fails = 3;
      const saving = new m.Saving({
        send: async (frame, { labels, ids }) => {
          if (frame === 9) throw new Error('refused');
          if (fails-- > 0) throw new Error('passing');
          log.push([frame, labels[0], ids]);
        },
        isPassing: (error) => error.message === 'passing',
        onSaved: (frame) => log.push(`saved ${frame}`),
        onRefused: (error) => log.push(error.message),
        onState: (state) => {
          if (state !== log.at(-1)) log.push(state);
          if (state === 'waiting') setTimeout(() => saving.now(), 0);
        },
      });
      const labels = bytes([1]);
      saving.add(5, labels, [1]);
      labels[0] = 2;
      saving.add(9, labels, [1]);
      saving.add(7, labels, []);
      labels[0] = 3;
      const before = saving.get(7).labels[0];
      await saving.flush();
      return [log, before, saving.isEmpty];""",
  )
  log, before, empty = found
  assert before == 2
  assert empty
  assert [each for each in log if each not in ('waiting', 'saving')] == [
    [5, 1, [1]], 'saved 5', 'refused', [7, 2, []], 'saved 7', 'saved',
  ]  # fmt: skip
  assert log.count('waiting') >= 1
