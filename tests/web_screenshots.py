"""Pictures of the page of an exported network, to be looked at.

  python -m tests.web_screenshots OUT

makes them on an embedded clip, dark and light, on a desktop and on a phone;
desktop.jpg and phone.jpg are docs/browser.jpg and docs/browser_phone.jpg. The
network that is shipped runs in the page, on the CPU: it takes some minutes.
"""

import argparse
import pathlib
import tempfile

import numpy as np
from PIL import Image

from savos_jax.synthetic import embedded_scenes
from tests import made_videos
from tests import studio_browser as browsing
from tests import web_site

_RATE = 24
_FRAMES = 16
_SIZE = (480, 854)
_VIEWS = (
  ('desktop', 'light', 1280, 720),
  ('desktop', 'dark', 1280, 720),
  ('phone', 'light', 390, 844),
  ('phone', 'dark', 390, 844),
)
_QUALITY = 82


def _clip(folder: pathlib.Path):
  """Writes an embedded clip; returns its path and its labels."""
  rng = np.random.default_rng(5)
  clip = embedded_scenes.render_clip(
    'val', ['motorcycle', 'cat'], _SIZE, _FRAMES, rng
  )
  pictures, labels = zip(*clip, strict=True)
  path = folder / 'clip.mp4'
  times = [i / _RATE for i in range(_FRAMES)]
  made_videos.write(path, list(pictures), times)
  return path, labels


def _draw(page, labels: np.ndarray) -> None:
  """Draws around both objects with the mouse."""
  for object_id in (1, 2):
    if object_id > 1:
      page.locator('#add').click()
      browsing.wait(page, f'studio.active === {object_id}')
    page.locator('[data-name=lasso]').click()
    browsing.drag(page, browsing.outline(labels == object_id))
  browsing.saved(page)


def _pictures(browser, address, view, clip, out: pathlib.Path) -> None:
  name, scheme, width, height = view
  path, labels = clip
  stem = f'{name}_{scheme}'

  def shoot(state):
    page.wait_for_timeout(300)
    page.screenshot(path=out / f'{stem}_{state}.png')

  more = {'has_touch': True, 'is_mobile': True} if name == 'phone' else {}
  with browsing.window(
    browser, f'{address}/?', width, height, color_scheme=scheme, **more
  ) as page:
    page.wait_for_timeout(300)
    shoot('1_empty')
    page.locator('#file').set_input_files(str(path))
    browsing.opened(page, 0)
    shoot('2_open')
    _draw(page, labels[0])
    shoot('3_drawn')
    page.locator('#run').click()
    browsing.wait(page, 'studio.latest >= 6', seconds=300)
    shoot('4_running')
    browsing.wait(page, '!studio.propagation.isRunning', seconds=600)
    shoot('5_done')
    page.locator('#export').click()
    shoot('6_export')


def _jpeg(picture: pathlib.Path, out: pathlib.Path) -> None:
  with Image.open(picture) as image:
    image.convert('RGB').save(out, quality=_QUALITY, optimize=True)


def main() -> None:
  """Makes them."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('out', type=pathlib.Path)
  out = parser.parse_args().out
  out.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    clip = _clip(folder)
    site = web_site.write(folder)
    with web_site.served(site) as address, browsing.launched() as browser:
      for view in _VIEWS:
        _pictures(browser, address, view, clip, out)
  _jpeg(out / 'desktop_light_4_running.png', out / 'desktop.jpg')
  _jpeg(out / 'phone_dark_5_done.png', out / 'phone.jpg')


if __name__ == '__main__':
  main()
