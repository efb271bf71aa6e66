"""A real browser at the studio's page, for tests and pictures of it."""

import contextlib
import pathlib
import threading
import time

import cv2
import numpy as np
import pytest

from savos_jax.studio import access
from savos_jax.studio import server
from savos_jax.studio import serving
from tests import studio_projects

CHROMIUM = pathlib.Path('/usr/bin/chromium')
PAGE = server.PAGE
# What is served of itself, without a server.
NOWHERE = 'http://studio.test'


def require():
  """Returns playwright's API; skips the test where it or a browser is not."""
  api = pytest.importorskip(
    'playwright.sync_api', reason='playwright is not installed'
  )
  if not CHROMIUM.exists():
    pytest.skip(f'{CHROMIUM} is not here: apt-get install chromium')
  return api


@contextlib.contextmanager
def launched(*arguments):
  """Lends Chromium, headless, with arguments of its command line."""
  with require().sync_playwright() as playwright:
    # Of Debian's own: as root in a container it has no sandbox.
    browser = playwright.chromium.launch(
      executable_path=str(CHROMIUM), args=['--no-sandbox', *arguments]
    )
    yield browser
    browser.close()


def _refused(text: str) -> list[str]:
  """Returns what the page's policy forbade."""
  return [text] if 'Content Security Policy' in text else []


def _foreign(asked, origin: str) -> list[str]:
  """Returns what was asked for elsewhere."""
  own = asked.url.startswith((f'{origin}/', 'blob:', 'data:'))
  return [] if own else [asked.url]


@contextlib.contextmanager
def window(browser, url: str, width=1280, height=720, **more):
  """Lends a page at an address; what it complains of fails the test."""
  context = browser.new_context(
    viewport={'width': width, 'height': height}, **more
  )
  page = context.new_page()
  complaints: list[str] = []
  page.on('pageerror', lambda error: complaints.append(str(error)))
  page.on('console', lambda said: complaints.extend(_refused(said.text)))
  origin = url.partition('/?')[0]
  page.on('request', lambda asked: complaints.extend(_foreign(asked, origin)))
  page.goto(url)
  try:
    yield page
  finally:
    context.close()
  assert not complaints


@contextlib.contextmanager
def modules(browser):
  """Lends an empty page from which the studio's modules can be imported."""
  context = browser.new_context()

  def answer(route):
    path = route.request.url.removeprefix(f'{NOWHERE}/page/')
    if path == route.request.url:
      route.fulfill(body='<!doctype html>', content_type='text/html')
    else:
      route.fulfill(path=PAGE / path)

  context.route(f'{NOWHERE}/**', answer)
  page = context.new_page()
  page.goto(f'{NOWHERE}/')
  yield page
  context.close()


class Served:
  """A session's server, in a thread; it can be ended and begun again."""

  def __init__(self, session):
    self._session = session
    self.port = 0

  @property
  def url(self) -> str:
    return serving.address('127.0.0.1', self.port, studio_projects.TOKEN)

  def begin(self) -> None:
    """Listens, where it did before."""
    import uvicorn

    listener = serving.listen('127.0.0.1', self.port)
    self.port = listener.getsockname()[1]
    guard = access.Guard(
      server.app(_Kept(self._session)),
      studio_projects.TOKEN,
      '127.0.0.1',
      self.port,
    )
    config = uvicorn.Config(
      guard, ws='wsproto', log_config=None, timeout_graceful_shutdown=1
    )
    self._server = uvicorn.Server(config)
    self._thread = threading.Thread(
      target=self._server.run, kwargs={'sockets': [listener]}, daemon=True
    )
    self._thread.start()
    self._listener = listener
    while not self._server.started:
      time.sleep(0.01)

  def end(self) -> None:
    """Answers no longer."""
    self._session.hub.end()
    self._server.should_exit = True
    self._thread.join()
    self._listener.close()


class _Kept:
  """A session that outlives its server."""

  def __init__(self, session):
    self._session = session

  def __getattr__(self, name):
    return getattr(self._session, name)

  def close(self):
    """Not yet."""


@contextlib.contextmanager
def served(session):
  """Lends the server of a session, from `studio_projects.opened`."""
  serves = Served(session)
  serves.begin()
  try:
    yield serves
  finally:
    serves.end()


def place(page, x: float, y: float) -> tuple[float, float]:
  """Returns where a place of the frame is in the window."""
  found = page.evaluate(
    """([x, y]) => {
      const { view, bounds } = studio.stage;
      return [
        bounds.left + view.left + x * view.scale * view.aspect,
        bounds.top + view.top + y * view.scale,
      ];
    }""",
    [x, y],
  )
  return found[0], found[1]


def drag(page, points, button='left', steps=4) -> None:
  """Draws a line through places of the frame."""
  first, *rest = [place(page, *point) for point in points]
  page.mouse.move(*first)
  page.mouse.down(button=button)
  for point in rest:
    page.mouse.move(*point, steps=steps)
  page.mouse.up(button=button)


def wait(page, condition: str, argument=None, seconds: float = 30) -> None:
  """Waits for a condition in the page, JavaScript.

  `Page.wait_for_function` would have the page evaluate a text, which its
  policy forbids.
  """
  end = time.monotonic() + seconds
  while not page.evaluate(condition, argument):
    assert time.monotonic() < end, f'{condition} does not come true'
    page.wait_for_timeout(20)


def opened(page, frame: int) -> None:
  """Waits until a frame can be drawn on."""
  wait(
    page,
    """(frame) => Boolean(window.studio) && studio.marker.frame === frame
      && studio.marker.isOpen && !studio.marker.busy""",
    frame,
  )


def saved(page) -> None:
  """Waits until all that was drawn is saved."""
  wait(page, 'studio.saving.isEmpty && !studio.saving.sending')


def outline(mask: np.ndarray) -> list[tuple[float, float]]:
  """Returns a person's idea of the outline of a mask's largest part: corners.

  Args:
    mask: bool [H, W].
  """
  found, _ = cv2.findContours(
    mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
  )
  largest = max(found, key=cv2.contourArea)
  corners = cv2.approxPolyDP(largest, 2, True)[:, 0]
  return [(float(x) + 0.5, float(y) + 0.5) for x, y in corners]
