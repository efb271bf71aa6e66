"""Pictures of the studio's page in each state, to be looked at.

  python -m tests.studio_screenshots OUT [--frames=FOLDER --masks=FOLDER]

makes them with the network that is shipped, on an embedded clip, or on frames
and masks of DAVIS. Each state is seen dark and light, on a screen of 1280x720
and on a tablet, upright and not. Four of them are strip.jpg: docs/studio.jpg.
"""

import argparse
import contextlib
import functools
import pathlib
import tempfile

import cv2
import numpy as np
from PIL import Image

from savos_jax import checkpoints
from savos_jax.datasets import masks as masks_lib
from savos_jax.synthetic import embedded_scenes
from savos_jax.tools import studio
from tests import made_videos
from tests import studio_browser as browsing
from tests import studio_projects

_RATE = 24
_VIEWS = (
  ('dark', 1280, 720),
  ('light', 1280, 720),
  ('dark', 1024, 768),
  ('light', 768, 1024),
)


def _embedded(folder: pathlib.Path):
  """Writes an embedded clip; returns its path and its labels."""
  rng = np.random.default_rng(5)
  clip = embedded_scenes.render_clip(
    'val', ['motorcycle', 'cat'], (480, 854), 40, rng
  )
  return _write(folder / 'embedded.mp4', clip)


def _davis(folder: pathlib.Path, frames: pathlib.Path, labels: pathlib.Path):
  """The same of a folder of frames, and one of masks."""
  paths = zip(
    sorted(frames.glob('*.jpg')), sorted(labels.glob('*.png')), strict=True
  )
  clip = (
    (np.asarray(Image.open(frame)), masks_lib.read_mask(label))
    for frame, label in paths
  )
  return _write(folder / f'{frames.name}.mp4', clip)


def _write(path: pathlib.Path, clip):
  pictures, labels = zip(*clip, strict=True)
  height, width = (2 * (n // 2) for n in labels[0].shape)
  made_videos.write(
    path,
    [picture[:height, :width] for picture in pictures],
    [number / _RATE for number in range(len(pictures))],
  )
  return path, [each[:height, :width] for each in labels]


class _Camera:
  """Takes pictures of a page, in all views."""

  def __init__(self, page, out: pathlib.Path):
    self._page, self._out = page, out

  def take(self, state: str) -> None:
    page = self._page
    for scheme, width, height in _VIEWS:
      page.emulate_media(color_scheme=scheme)
      page.set_viewport_size({'width': width, 'height': height})
      page.wait_for_timeout(250)
      path = self._out / f'{state}_{scheme}_{width}.png'
      page.screenshot(path=path)
    scheme, width, height = _VIEWS[0]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({'width': width, 'height': height})
    page.wait_for_timeout(250)


def _draw_around(page, labels, object_id, camera=None) -> None:
  corners = browsing.outline(labels == object_id)
  page.keyboard.press('l')
  for number, corner in enumerate([*corners, corners[0]]):
    page.mouse.click(*browsing.place(page, *corner))
    if camera and number == 2 * len(corners) // 3:
      page.mouse.move(*browsing.place(page, *corners[number + 1]))
      camera.take('drawing')
  browsing.saved(page)


def _missing(page, labels, ids) -> tuple[int, int]:
  """Chooses the first object; returns where most of it was not found."""
  page.keyboard.press('1')
  true = labels[page.evaluate('studio.frame')]
  found = np.array(page.evaluate('Array.from(studio.marker.labels)'))
  missing = (true == ids[0]) & (found.reshape(true.shape) != 1)
  inside = np.pad(missing, 1).astype(np.uint8)
  deepest = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
  row, column = np.unravel_index(deepest.argmax(), deepest.shape)
  return int(column), int(row)


def _ended(page) -> None:
  browsing.wait(page, '!studio.propagation.isRunning', seconds=600)


def _take_all(page, serves, clip, labels, out: pathlib.Path) -> None:
  camera = _Camera(page, out)
  page.locator('#choose').wait_for()
  camera.take('empty')
  with tempfile.TemporaryDirectory() as folder:
    text = pathlib.Path(folder) / 'holiday.mp4'
    text.write_text('no video')
    page.locator('#file').set_input_files(text)
    page.locator('.toast.error').wait_for()
    camera.take('error')
    page.locator('.toast.error button').click()
  page.locator('#file').set_input_files(clip)
  browsing.opened(page, 0)
  page.wait_for_timeout(3000)  # Thumbnails.
  camera.take('loaded')
  ids = [int(i) for i in np.unique(labels[0]) if i]
  _draw_around(page, labels[0], ids[0], camera)
  for object_id in ids[1:]:
    page.keyboard.press('a')
    browsing.wait(page, f'studio.model.objects.length === {object_id}')
    _draw_around(page, labels[0], object_id)
  camera.take('drawn')
  page.keyboard.press('p')
  browsing.wait(page, 'studio.model.computed[9] === 1', seconds=600)
  camera.take('propagating')
  _ended(page)
  page.keyboard.press('n')
  page.wait_for_timeout(500)
  camera.take('doubtful')
  page.keyboard.press('b')
  x, y = browsing.place(page, *_missing(page, labels, ids))
  page.mouse.move(x - 8, y - 8)
  page.mouse.down()
  page.mouse.move(x + 8, y + 8, steps=8)
  camera.take('correcting')
  page.mouse.up()
  browsing.saved(page)
  browsing.wait(page, 'studio.model.stale.some((is) => is)')
  camera.take('stale')
  page.keyboard.press('Control+e')
  page.locator('#exporting [name=overlay]').check()
  page.locator('#export-run').click()
  page.locator('#downloads a').nth(1).wait_for(timeout=120_000)
  camera.take('export')
  page.keyboard.press('Escape')
  page.keyboard.press('?')
  camera.take('help')
  page.keyboard.press('Escape')
  serves.end()
  browsing.drag(page, [(60, 60), (90, 60)])
  page.locator('#banner').wait_for()
  camera.take('away')
  serves.begin()
  browsing.saved(page)


def _strip(out: pathlib.Path) -> None:
  """Puts what a piece of work looks like into one picture."""
  states = ('drawing', 'propagating', 'stale', 'export')
  names = [f'{state}_dark_1280.png' for state in states]
  size = (800, 450)
  four = [
    np.asarray(
      Image.open(out / name).convert('RGB').resize(size, Image.LANCZOS)
    )
    for name in names
  ]
  rows = [np.concatenate(four[i : i + 2], 1) for i in (0, 2)]
  strip = Image.fromarray(np.concatenate(rows))
  strip.save(out / 'strip.jpg', quality=80, optimize=True)


def main() -> None:
  """Makes the pictures."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('out', type=pathlib.Path)
  parser.add_argument('--frames', type=pathlib.Path)
  parser.add_argument('--masks', type=pathlib.Path)
  told = parser.parse_args()
  told.out.mkdir(parents=True, exist_ok=True)
  flags = studio._parse([f'--checkpoint={checkpoints.DEFAULT}'])
  studio_projects.network = functools.partial(studio._network, flags)
  with contextlib.ExitStack() as stack:
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    make = functools.partial(_davis, frames=told.frames, labels=told.masks)
    clip, labels = (make if told.frames else _embedded)(folder)
    session = stack.enter_context(
      studio_projects.opened(folder / 'project', None)
    )
    serves = stack.enter_context(browsing.served(session))
    browser = stack.enter_context(browsing.launched())
    page = stack.enter_context(browsing.window(browser, serves.url))
    _take_all(page, serves, clip, labels, told.out)
  _strip(told.out)


if __name__ == '__main__':
  main()
