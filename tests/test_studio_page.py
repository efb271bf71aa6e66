"""The studio's page in a real browser: what a person does, and what is kept."""

import numpy as np
import pytest

from savos_jax.datasets import masks
from tests import studio_browser as browsing
from tests import studio_projects as projects

HEIGHT, WIDTH = projects.SIZE
SQUARE = [(5, 10), (25, 10), (25, 30), (5, 30)]


@pytest.fixture(scope='module')
def browser():
  with browsing.launched() as browser:
    yield browser


@pytest.fixture
def page(browser, session):
  """The page, with the first frame open."""
  with (
    browsing.served(session) as serves,
    browsing.window(browser, serves.url) as page,
  ):
    browsing.opened(page, 0)
    yield page


def marks(session):
  """Returns what is drawn, by frame, uint8 [H, W]."""
  told = session.project.told
  return {index: each.labels() for index, each in told.items()}


def seen(page):
  """Returns the labels that the page shows, uint8 [H, W]."""
  found = page.evaluate('Array.from(studio.marker.labels)')
  return np.array(found, np.uint8).reshape(HEIGHT, WIDTH)


def go(page, frame):
  page.evaluate('(frame) => { studio.seek(frame); }', frame)
  browsing.opened(page, frame)


def lasso(page, corners):
  """Outlines corner by corner, and closes at the first."""
  page.keyboard.press('l')
  for corner in [*corners, corners[0]]:
    page.mouse.click(*browsing.place(page, *corner))


def clicked(page, point, **more):
  page.mouse.click(*browsing.place(page, *point), **more)


def finished(page):
  """Waits until nothing is propagated or exported."""
  browsing.wait(
    page,
    '!studio.propagation.isRunning && !studio.exporting.isRunning',
    seconds=120,
  )


def press(page, *keys):
  for key in keys:
    page.keyboard.press(key)


def test_a_stroke_is_kept_as_it_is_seen(page, session):
  browsing.drag(page, [(20, 20), (40, 20), (40, 30)])
  drawn = seen(page)
  assert drawn[20, 20] == drawn[28, 40] == 1
  assert 200 < drawn.sum() < drawn.size / 2
  browsing.saved(page)
  np.testing.assert_array_equal(marks(session)[0], drawn)
  assert page.locator('#saved').inner_text() == 'Saved'
  assert page.locator('#here').inner_text() == 'marked'
  times = page.evaluate(
    "performance.getEntriesByName('stroke').map((each) => each.duration)"
  )
  assert times
  print(f'\nfrom event to paint: median {np.median(times):.1f} ms')


def test_undo_and_redo_go_through_all_frames(page, session):
  browsing.drag(page, [(10, 10), (20, 10)])
  first = seen(page)
  browsing.drag(page, [(10, 30), (20, 30)])
  second = seen(page)
  go(page, 4)
  assert not seen(page).any()
  browsing.drag(page, [(40, 40), (50, 40)])
  third = seen(page)
  # The first takes back frame 4's, the next goes to frame 0.
  press(page, 'Control+z')
  assert not seen(page).any()
  press(page, 'Control+z')
  browsing.opened(page, 0)
  browsing.wait(page, '!studio.marker.busy')
  np.testing.assert_array_equal(seen(page), first)
  browsing.saved(page)
  assert marks(session).keys() == {0}
  press(page, 'Control+Shift+z')
  browsing.wait(page, '!studio.marker.busy')
  np.testing.assert_array_equal(seen(page), second)
  press(page, 'Control+y')
  browsing.opened(page, 4)
  np.testing.assert_array_equal(seen(page), third)
  assert page.locator('#redo').is_disabled()
  browsing.saved(page)
  np.testing.assert_array_equal(marks(session)[0], second)
  np.testing.assert_array_equal(marks(session)[4], third)


def test_each_tool(page, session):
  lasso(page, SQUARE)
  square = projects.drawn(0, 1)
  np.testing.assert_array_equal(seen(page), square)
  # A free line around it, too; with Shift it takes away.
  page.keyboard.down('Shift')
  browsing.drag(page, [(10, 15), (20, 15), (20, 25), (10, 25), (10, 15)])
  page.keyboard.up('Shift')
  hole = seen(page)
  assert not hole[16:24, 11:19].any()
  assert 0 < hole.sum() < square.sum()
  press(page, 'g')
  np.testing.assert_array_equal(seen(page), square)
  press(page, 'e')
  browsing.drag(page, [(15, 20), (16, 20)])
  assert 0 < seen(page).sum() < square.sum()
  # The object snaps to the red square.
  press(page, 'Delete', 'r')
  assert not seen(page).any()
  browsing.drag(page, [(2, 6), (30, 34)])
  browsing.wait(page, 'studio.marker.labels.some((id) => id)')
  overlap = (seen(page) & square).sum() / (seen(page) | square).sum()
  assert overlap > 0.9
  # A region of its colour, of a second object; the first is protected.
  press(page, 'a')
  browsing.wait(page, 'studio.active === 2')
  press(page, 'k', 'f')
  clicked(page, (15, 20))
  page.wait_for_timeout(200)
  assert not (seen(page) == 2).any()
  press(page, 'k')
  clicked(page, (15, 20))
  browsing.wait(page, 'studio.marker.labels.includes(2)')
  overlap = ((seen(page) == 2) & (square == 1)).sum() / square.sum()
  assert overlap > 0.7
  # The right button takes away.
  clicked(page, (15, 20), button='right')
  browsing.wait(page, '!studio.marker.labels.includes(2)')
  browsing.saved(page)
  np.testing.assert_array_equal(marks(session)[0], seen(page))
  assert session.project.told[0].all_ids == (1, 2)


def test_a_prediction_is_corrected(page, session):
  lasso(page, SQUARE)
  press(page, 'p')
  browsing.wait(page, 'studio.model.computed.every((is) => is)')
  finished(page)
  browsing.wait(page, '!studio.loads')
  # It was followed while masks were made.
  assert page.evaluate('studio.frame') > 0
  go(page, 5)
  predicted = seen(page)
  np.testing.assert_array_equal(predicted, session.results.labels(5))
  assert page.locator('#here').inner_text() == 'computed'
  press(page, 'b')
  browsing.drag(page, [(50, 40), (52, 40)])
  corrected = seen(page)
  assert (corrected != predicted).any()
  browsing.saved(page)
  np.testing.assert_array_equal(marks(session)[5], corrected)
  browsing.wait(page, 'studio.model.stale[6] === 1')
  assert page.locator('#hint').inner_text().startswith('4 frames are stale')
  # Unmarked, it is as it was; and that can be undone.
  press(page, 'Shift+Delete')
  browsing.wait(page, 'studio.marker.ids.size === 0')
  browsing.saved(page)
  browsing.wait(page, '!studio.marker.removed && !studio.loads')
  np.testing.assert_array_equal(seen(page), predicted)
  assert marks(session).keys() == {0}
  press(page, 'Control+z')
  browsing.saved(page)
  np.testing.assert_array_equal(seen(page), corrected)
  np.testing.assert_array_equal(marks(session)[5], corrected)
  # What is seen is taken as drawn.
  go(page, 7)
  predicted = seen(page)
  press(page, 'm')
  browsing.saved(page)
  np.testing.assert_array_equal(marks(session)[7], predicted)
  # The least sure frame is a key away.
  press(page, 'n')
  doubtful = page.evaluate('studio.model.doubtful()[0]')
  browsing.opened(page, doubtful)


def test_it_is_told_how_far_it_is(page):
  def show(**job):
    job = {'kind': 'propagate', 'error': None, 'files': [], **job}
    page.evaluate('(job) => studio.showJob(job)', job)

  lasso(page, SQUARE)
  show(state='running', done=0, total=0, fps=0, seconds_left=None)
  assert page.locator('#job-text').inner_text() == 'Starting the network'
  assert not page.locator('#run').is_visible()
  show(state='running', done=3, total=12, fps=2.04, seconds_left=4.4)
  text = '3 of 12 · 2.0/s · 5 s left'
  assert page.locator('#job-text').inner_text() == text
  bar = page.get_by_role('progressbar', name='Propagated')
  assert bar.get_attribute('aria-valuenow') == '25'
  assert page.locator('#stop').is_visible()
  show(state='stopped', done=3, total=12, fps=2, seconds_left=None)
  assert page.locator('#run').inner_text() == 'Go on'
  press(page, 'Shift+P')
  assert page.locator('#run').inner_text() == 'Propagate'


def test_objects_are_named_coloured_ended_hidden_and_deleted(page, session):
  lasso(page, SQUARE)
  press(page, 'a')
  browsing.wait(page, 'studio.active === 2')
  press(page, 'b')
  browsing.drag(page, [(35, 40), (45, 40)])
  rows = page.locator('#objects li')
  rows.nth(1).locator('.name').dblclick()
  page.keyboard.type('<b>horse</b>')
  page.keyboard.press('Enter')
  rows.nth(1).locator('.name').wait_for()
  # Texts are texts.
  assert rows.nth(1).locator('.name').inner_text() == '<b>horse</b>'
  rows.nth(1).locator('[type=color]').fill('#00ff00')
  go(page, 6)
  press(page, 't')
  browsing.wait(page, 'studio.model.object(2).until === 6')
  browsing.wait(page, "studio.model.object(2).color === '#00ff00'")
  made = session.project.object(2)
  assert (made.name, made.color, made.until) == ('<b>horse</b>', '#00ff00', 6)
  go(page, 0)
  shown = (
    """() => Array.from(studio.stage.pen.getImageData(40, 40, 1, 1).data)"""
  )
  assert page.evaluate(shown)[:3] == [0, 255, 0]
  press(page, 'Shift+H')
  browsing.wait(page, f'({shown})()[3] === 0')
  press(page, '1')
  assert page.evaluate('studio.active') == 1
  browsing.saved(page)
  rows.nth(1).get_by_label('Delete').click()
  page.locator('#deleting button', has_text='Delete').click()
  browsing.wait(page, 'studio.model.objects.length === 1')
  browsing.wait(page, '!studio.marker.labels?.includes(2)')
  assert session.project.told[0].all_ids == (1,)


def test_what_is_drawn_while_the_server_is_away_is_not_lost(browser, session):
  serves = browsing.Served(session)
  serves.begin()
  try:
    with browsing.window(browser, serves.url) as page:
      browsing.opened(page, 0)
      browsing.drag(page, [(20, 20), (30, 20)])
      browsing.saved(page)
      serves.end()
      browsing.drag(page, [(20, 40), (30, 40)])
      drawn = seen(page)
      page.locator('#banner').wait_for()
      assert 'does not answer' in page.locator('#banner').inner_text()
      assert 'kept in this page' in page.locator('#banner').inner_text()
      assert 'Not saved yet' in page.locator('#saved').inner_text()
      assert (marks(session)[0] != drawn).any()
      serves.begin()
      browsing.saved(page)
      page.locator('#banner').wait_for(state='hidden')
      np.testing.assert_array_equal(marks(session)[0], drawn)
  finally:
    serves.end()


def _drop(page, path):
  page.evaluate(
    """async ({ name, bytes }) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
      for (const type of ['dragover', 'drop']) {
        const how = { dataTransfer, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent(type, how));
      }
    }""",
    {'name': path.name, 'bytes': list(path.read_bytes())},
  )


def test_a_video_is_sent(browser, clip, tmp_path):
  with (
    projects.opened(tmp_path / 'project', None) as session,
    browsing.served(session) as serves,
    browsing.window(browser, serves.url) as page,
  ):
    page.locator('#choose').wait_for()
    text = tmp_path / '<i>no video.mp4'
    text.write_text('no video')
    page.locator('#file').set_input_files(text)
    error = page.locator('.toast.error')
    error.wait_for()
    assert '<i>no video.mp4' in error.inner_text()
    assert 'Expected' in error.inner_text()
    error.get_by_label('Close').click()
    _drop(page, clip)
    browsing.opened(page, 0)
    assert page.locator('#name').inner_text() == 'clip.mp4'
    assert (session.project.folder / 'video' / 'clip.mp4').is_file()
    browsing.drag(page, [(20, 20), (30, 20)])
    browsing.saved(page)
    assert marks(session)[0].any()


def test_sending_a_video_is_given_up(browser, tmp_path, caplog):
  large = tmp_path / 'large.mp4'
  large.write_bytes(bytes(3_000_000))
  with (
    projects.opened(tmp_path / 'project', None) as session,
    browsing.served(session) as serves,
    browsing.window(browser, serves.url) as page,
  ):
    page.locator('#choose').wait_for()
    client = page.context.new_cdp_session(page)
    client.send('Network.enable')
    slow = {'offline': False, 'latency': 0, 'downloadThroughput': -1}
    client.send(
      'Network.emulateNetworkConditions', {**slow, 'uploadThroughput': 500_000}
    )
    page.locator('#file').set_input_files(large)
    bar = page.get_by_role('progressbar', name='Sent')
    browsing.wait(
      page,
      "Number(document.getElementById('sending-bar').ariaValueNow) > 0",
    )
    assert 0 < int(bar.get_attribute('aria-valuenow')) < 100
    assert 'of 3.0 MB copied' in page.locator('#sending-text').inner_text()
    page.locator('#sending-stop').click()
    page.locator('#choose').wait_for()
    while session._upload.is_running:
      page.wait_for_timeout(20)
    assert page.locator('.toast.error').count() == 0
  assert not list((tmp_path / 'project').rglob('large.mp4'))
  assert not [record for record in caplog.records if record.exc_info]


def test_masks_are_exported(page, session):
  press(page, 'Control+e')
  page.locator('#export-run').click()
  note = page.locator('#export-note.error')
  note.wait_for()
  assert 'no mask to export' in note.inner_text()
  press(page, 'Escape')
  lasso(page, SQUARE)
  press(page, 'm', 'Control+e')
  names = page.locator('#exporting [type=checkbox]').evaluate_all(
    '(boxes) => boxes.map((box) => box.name)'
  )
  assert {'davis', 'overlay', 'cutout', 'green', 'coco'} <= set(names)
  page.locator('#exporting [name=overlay]').check()
  page.locator('#export-run').click()
  links = page.locator('#downloads a')
  links.nth(1).wait_for(timeout=60_000)
  assert links.all_inner_texts() == ['davis', 'overlay.mp4']
  with page.expect_download() as caught:
    links.nth(1).click()
  exported = session.project.folder / 'exports' / 'overlay.mp4'
  assert caught.value.path().read_bytes() == exported.read_bytes()
  found = masks.read_mask(
    session.project.folder / 'exports' / 'davis' / '00000.png'
  )
  np.testing.assert_array_equal(found, projects.drawn(0, 1))


def test_keys_and_place(page, session):
  press(page, '?')
  listed = page.locator('#keys-list').inner_text()
  for word in ('Brush', 'Next doubtful frame', 'Propagate', 'Undo', 'Play'):
    assert word in listed
  press(page, 'Escape')
  press(page, 'End')
  browsing.opened(page, 9)
  press(page, 'ArrowLeft', 'ArrowLeft')
  browsing.opened(page, 7)
  press(page, 'Home', 'ArrowRight')
  browsing.opened(page, 1)
  press(page, ' ')
  browsing.wait(page, '!studio.player.isPlaying && studio.frame === 9')
  page.locator('#frame').fill('3')
  page.locator('#frame').press('Enter')
  browsing.opened(page, 3)
  press(page, 'a')
  browsing.wait(page, 'studio.active === 2')
  press(page, 'e', ']', ']')
  size = page.evaluate('studio.bench.settings.size')
  browsing.wait(page, "location.hash === '#frame=3&object=2'")
  page.reload()
  browsing.opened(page, 3)
  assert page.evaluate('studio.active') == 2
  assert page.evaluate('studio.bench.name') == 'eraser'
  assert page.evaluate('studio.bench.settings.size') == size > 24


def test_everything_has_a_name(page):
  nameless = page.evaluate(
    """[...document.querySelectorAll('button, input, select, [role=slider]')]
      .filter((each) => !(each.getAttribute('aria-label') || each.title
        || each.innerText.trim() || each.labels?.[0]?.innerText.trim()))
      .map((each) => each.outerHTML)"""
  )
  assert nameless == []
  slider = page.get_by_role('slider', name='Frame')
  assert slider.get_attribute('aria-valuemax') == '9'
  go(page, 2)
  assert slider.get_attribute('aria-valuenow') == '2'


def test_two_fingers_zoom_and_draw_nothing(page, session):
  client = page.context.new_cdp_session(page)

  def touch(kind, *points):
    told = [{'x': x, 'y': y, 'id': i} for i, (x, y) in enumerate(points)]
    client.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': told})

  before = page.evaluate('studio.stage.view.scale')
  middle = browsing.place(page, 32, 24)
  x, y = middle
  touch('touchStart', (x - 40, y))
  touch('touchStart', (x - 40, y), (x + 40, y))
  for step in range(1, 9):
    far = 40 + 10 * step
    touch('touchMove', (x - far, y), (x + far, y))
  touch('touchEnd')
  after = page.evaluate('studio.stage.view.scale')
  assert after == pytest.approx(3 * before, rel=0.05)
  assert browsing.place(page, 32, 24) == pytest.approx(middle, abs=2)
  assert not seen(page).any()
  # One finger draws.
  touch('touchStart', middle)
  touch('touchMove', (x + 30, y))
  touch('touchEnd')
  browsing.saved(page)
  assert seen(page)[24, 32] == 1
  np.testing.assert_array_equal(marks(session)[0], seen(page))


def test_the_wheel_zooms_at_the_pointer_and_sizes_the_brush(page):
  page.mouse.move(*browsing.place(page, 10, 10))
  before = browsing.place(page, 10, 10)
  scale = page.evaluate('studio.stage.view.scale')
  page.mouse.wheel(0, -300)
  browsing.wait(page, '(s) => studio.stage.view.scale > 1.5 * s', scale)
  assert browsing.place(page, 10, 10) == pytest.approx(before, abs=2)
  size = page.evaluate('studio.bench.settings.size')
  page.keyboard.down('Alt')
  page.mouse.wheel(0, -100)
  page.keyboard.up('Alt')
  browsing.wait(page, '(s) => studio.bench.settings.size > s', size)
  press(page, '0')
  assert page.evaluate('studio.stage.view.scale') == pytest.approx(scale)
