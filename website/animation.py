"""Films a piece of work in the studio: docs/assets/studio.gif.

  python -m website.animation

Marks an object of an embedded clip, propagates it, corrects the frame that is
least sure, and propagates the correction, with the network that is shipped.
Needs Chromium, at /usr/bin/chromium.
"""

import contextlib
import functools
import io
import pathlib
import tempfile

from PIL import Image

from savos_jax import checkpoints
from savos_jax.tools import studio
from tests import studio_browser as browsing
from tests import studio_projects
from tests import studio_screenshots as staging

_OUT = pathlib.Path(__file__).parents[1] / 'docs/assets/studio.gif'
_SIZE = 720, 450
_COLOURS = 96


class _Film:
  """Pictures of a page, with how long each is shown."""

  def __init__(self, page):
    self._page = page
    self.pictures: list[Image.Image] = []
    self.milliseconds: list[int] = []

  def take(self, milliseconds: int) -> None:
    """Adds what the page shows now."""
    picture = Image.open(io.BytesIO(self._page.screenshot())).convert('RGB')
    self.pictures.append(picture.resize(_SIZE, Image.LANCZOS))
    self.milliseconds.append(milliseconds)

  def write(self, path: pathlib.Path) -> None:
    """Writes all of them, in one palette: what stands still stays the same."""
    sheet = Image.new('RGB', (_SIZE[0], _SIZE[1] * len(self.pictures)))
    for number, picture in enumerate(self.pictures):
      sheet.paste(picture, (0, number * _SIZE[1]))
    palette = sheet.quantize(_COLOURS)
    first, *others = [
      picture.quantize(palette=palette, dither=Image.Dither.NONE)
      for picture in self.pictures
    ]
    path.parent.mkdir(exist_ok=True)
    first.save(
      path, save_all=True, append_images=others, duration=self.milliseconds,
      loop=0, optimize=True,
    )  # fmt: skip


def _outline(page, labels, object_id: int, film: _Film) -> None:
  """Clicks around an object, as a person does."""
  corners = browsing.outline(labels == object_id)
  page.keyboard.press('l')
  closed = [*corners, corners[0]]
  for number, corner in enumerate(closed):
    page.mouse.click(*browsing.place(page, *corner))
    if object_id == 1 and number in (len(closed) // 3, 2 * len(closed) // 3):
      page.mouse.move(*browsing.place(page, *closed[number + 1]))
      film.take(500)
  browsing.saved(page)
  film.take(900)


def _propagate(page, film: _Film, every: int, last: int) -> None:
  page.keyboard.press('p')
  for frame in range(every, last, every):
    ready = f'studio.model.computed[{frame}] === 1 || '
    browsing.wait(page, ready + '!studio.propagation.isRunning', seconds=600)
    film.take(250)
  browsing.wait(page, '!studio.propagation.isRunning', seconds=600)
  page.wait_for_timeout(300)
  film.take(700)


def _work(page, clip, labels) -> _Film:
  film = _Film(page)
  page.locator('#file').set_input_files(clip)
  browsing.opened(page, 0)
  page.wait_for_timeout(3000)  # Thumbnails.
  film.take(900)
  _outline(page, labels[0], 1, film)
  page.keyboard.press('a')
  browsing.wait(page, 'studio.model.objects.length === 2')
  _outline(page, labels[0], 2, film)
  _propagate(page, film, 5, len(labels))
  page.keyboard.press('n')
  page.wait_for_timeout(500)
  film.take(1200)
  page.keyboard.press('b')
  x, y = browsing.place(page, *staging._missing(page, labels, [1, 2]))
  page.mouse.move(x - 10, y - 6)
  page.mouse.down()
  page.mouse.move(x + 10, y + 6, steps=8)
  film.take(700)
  page.mouse.up()
  browsing.saved(page)
  browsing.wait(page, 'studio.model.stale.some((is) => is)')
  film.take(1000)
  _propagate(page, film, 10, len(labels))
  return film


def main() -> None:
  """Makes the film."""
  flags = studio._parse([f'--checkpoint={checkpoints.DEFAULT}'])
  studio_projects.network = functools.partial(studio._network, flags)
  with contextlib.ExitStack() as stack:
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    clip, labels = staging._embedded(folder)
    session = stack.enter_context(
      studio_projects.opened(folder / 'project', None)
    )
    serves = stack.enter_context(browsing.served(session))
    browser = stack.enter_context(browsing.launched())
    page = stack.enter_context(browsing.window(browser, serves.url))
    page.emulate_media(color_scheme='dark')
    page.set_viewport_size({'width': 1120, 'height': 700})
    film = _work(page, clip, labels)
  film.write(_OUT)
  print(f'{_OUT}: {len(film.pictures)} pictures, {_OUT.stat().st_size} bytes')


if __name__ == '__main__':
  main()
