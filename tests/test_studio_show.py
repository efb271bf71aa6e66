"""A piece of work in the studio: its masks are those of the command line.

By mouse and keyboard, in a real browser, with a server in its own process.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.synthetic import embedded_scenes
from savos_jax.tools import segment
from tests import made_videos
from tests import studio_browser as browsing
from tests import tiny_resnets

SIZE = (96, 128)
FRAMES = 10
# The network's size: that of the clip, not 480.
SMALL = f'--max_size={SIZE[0]}'
LATE = 2  # The frame in which the second object is drawn.
CAST = ['motorcycle', 'cat']


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """An embedded clip, its true masks, and a tiny network."""
  folder = tmp_path_factory.mktemp('show')
  rng = np.random.default_rng(0)
  clip = list(embedded_scenes.render_clip('val', CAST, SIZE, FRAMES, rng))
  pictures, true = zip(*clip, strict=True)
  made_videos.write(
    folder / 'clip.mp4', list(pictures), [i / 25 for i in range(FRAMES)]
  )
  params = tiny_resnets.decided_params()
  trained = network.Trained(tiny_resnets.MODEL, params, 7, False, {})
  network.write(folder / 'savos.safetensors', trained)
  return folder, true


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


@contextlib.contextmanager
def studio(folder, out, port):
  """Lends a server's process and its address."""
  command = [
    sys.executable, '-m', 'savos_jax.tools.studio', folder / 'clip.mp4',
    f'--out={out}', f'--checkpoint={folder / "savos.safetensors"}',
    f'--port={port}', '--no-browser', SMALL,
  ]  # fmt: skip
  environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
  process = subprocess.Popen(
    command, stdout=subprocess.PIPE, text=True, env=environment
  )
  try:
    assert process.stdout
    url = next(line for line in process.stdout if '?token=' in line)
    yield process, url.strip()
  finally:
    process.kill()
    process.wait()
    process.stdout.close()


def draw_around(page, true, object_id):
  corners = browsing.outline(true == object_id)
  page.keyboard.press('l')
  browsing.drag(page, [*corners, corners[0]], steps=1)
  browsing.saved(page)
  found = np.array(page.evaluate('Array.from(studio.marker.labels)'), np.uint8)
  drawn = found.reshape(SIZE) == object_id
  overlap = (drawn & (true == object_id)).sum() / drawn.sum()
  assert overlap > 0.8


def go(page, frame):
  page.locator('#frame').fill(str(frame))
  page.locator('#frame').press('Enter')
  browsing.opened(page, frame)


def propagate(page, direction='forward'):
  page.evaluate('(name) => studio.propagation.choose(name)', direction)
  ended = page.evaluate('studio.propagation.ended')
  page.keyboard.press('p')
  more = '(ended) => studio.propagation.ended > ended'
  browsing.wait(page, more, ended, seconds=180)
  assert page.locator('.toast.error').count() == 0


def shown(page):
  """Returns the masks as the page has them, [N, H, W]."""
  texts = page.evaluate(
    """async (count) => {
      studio.images.masks.clear();
      const all = [];
      for (let i = 0; i < count; i++) {
        const mask = await studio.images.masks.want(i);
        all.push(mask ? String.fromCharCode(...mask) : '');
      }
      return all;
    }""",
    FRAMES,
  )
  found = np.zeros((FRAMES, SIZE[0] * SIZE[1]), np.uint8)
  for labels, text in zip(found, texts, strict=True):
    if text:
      labels[:] = np.frombuffer(text.encode('latin-1'), np.uint8)
  return found.reshape(FRAMES, *SIZE)


def of_command_line(folder, out, marked, direction):
  """Returns the masks of tools.segment with the marks that were drawn."""
  segment.main([
    f'--video={folder / "clip.mp4"}', f'--mask={marked}', f'--out={out}',
    f'--checkpoint={folder / "savos.safetensors"}',
    f'--direction={direction}', SMALL,
  ])  # fmt: skip
  paths = sorted((out / 'masks').glob('*.png'))
  return np.stack([masks.read_mask(path) for path in paths])


@pytest.mark.slow
def test_a_whole_piece_of_work(files, tmp_path):
  folder, true = files
  project, port = tmp_path / 'project', free_port()
  marked = project / 'marks'
  with browsing.launched() as browser:
    with (
      studio(folder, project, port) as (process, url),
      browsing.window(browser, url) as page,
    ):
      browsing.opened(page, 0)
      # Draws with the mouse, and propagates.
      draw_around(page, true[0], 1)
      propagate(page)
      expected = of_command_line(folder, tmp_path / 'a', marked, 'forward')
      np.testing.assert_array_equal(shown(page), expected)
      # Corrects.
      go(page, 6)
      page.keyboard.press('b')
      browsing.drag(page, [(20, 70), (60, 80)])
      browsing.saved(page)
      browsing.wait(page, 'studio.model.stale[7] === 1')
      propagate(page)
      expected = of_command_line(folder, tmp_path / 'b', marked, 'forward')
      np.testing.assert_array_equal(shown(page), expected)
      # Adds an object that enters late.
      go(page, LATE)
      page.keyboard.press('a')
      browsing.wait(page, 'studio.active === 2')
      draw_around(page, true[LATE], 2)
      propagate(page)
      expected = of_command_line(folder, tmp_path / 'c', marked, 'forward')
      found = shown(page)
      np.testing.assert_array_equal(found, expected)
      assert (found == 2).any(axis=(1, 2)).sum() > 2
      # Goes backwards; the server is killed amidst it.
      page.locator('#follow').uncheck()
      page.evaluate('(frame) => { studio.seek(frame); }', LATE)
      browsing.opened(page, LATE)
      page.evaluate("studio.propagation.choose('both')")
      page.keyboard.press('p')
      browsing.wait(page, 'studio.propagation.isRunning')
      process.send_signal(signal.SIGKILL)
      page.locator('#banner').wait_for()
      page.keyboard.press('b')
      browsing.drag(page, [(100, 20), (110, 25)])  # Not lost either.
      assert not page.evaluate('studio.saving.isEmpty')
      with studio(folder, project, port) as (process, url):
        # The new address is opened beside: the first window goes on.
        page.context.new_page().goto(url)
        page.bring_to_front()
        browsing.saved(page)
        page.locator('#banner').wait_for(state='hidden')
        propagate(page, 'both')
        expected = of_command_line(folder, tmp_path / 'd', marked, 'both')
        np.testing.assert_array_equal(shown(page), expected)
        # Loaded again, it is where it was.
        frame = page.evaluate('studio.frame')
        page.wait_for_timeout(300)
        page.reload()
        browsing.opened(page, frame)
        np.testing.assert_array_equal(shown(page), expected)
        # Exports.
        page.keyboard.press('Control+e')
        page.locator('#export-run').click()
        page.locator('#downloads a').wait_for()
    paths = sorted((project / 'exports' / 'davis').glob('*.png'))
    exported = np.stack([masks.read_mask(path) for path in paths])
    np.testing.assert_array_equal(exported, expected)
    kept = sorted((project / 'masks').glob('*.png'))
    found = np.stack([masks.read_mask(path) for path in kept])
    np.testing.assert_array_equal(found, expected)
