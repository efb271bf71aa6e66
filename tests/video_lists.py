"""Lists of tiny videos, each a folder of images, with a network for them."""

import os
import pathlib
import signal
import time

import numpy as np

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.pictures import overlay
from savos_jax.tools import segment
from tests import tiny_resnets

SIZE = (32, 48)


def write(folder: pathlib.Path, lengths: dict[str, int]) -> pathlib.Path:
  """Writes videos, their masks, a network, and a list of all.

  Args:
    folder: gets them.
    lengths: name -> how many frames.

  Returns:
    The list.
  """
  rng = np.random.default_rng(0)
  labels = np.zeros(SIZE, np.uint8)
  labels[8:24, 8:24] = 1
  for name, length in lengths.items():
    for number in range(length):
      frame = rng.integers(0, 99, (*SIZE, 3), np.uint8)
      frame[labels > 0] += 99
      overlay.write_png(folder / name / f'{number:05d}.png', frame)
    masks.write_mask(folder / f'{name}.png', labels)
  model = tiny_resnets.MODEL
  params = tiny_resnets.network_params(model)
  trained = network.Trained(model, params, 7, False, {})
  network.write(folder / 'savos.safetensors', trained)
  path = folder / 'videos.csv'
  lines = [f'{name},{name}.png' for name in lengths]
  path.write_text('\n'.join(['video,mask', *lines]))
  return path


def run(path: pathlib.Path, out: str | pathlib.Path, *flags: str) -> None:
  """Segments a list, by default in this process.

  Raises:
    SystemExit: not all is done.
  """
  here = () if '--ray' in flags else ('--jobs=1',)
  segment.main([
    f'--list={path}', f'--out={out}', '--no-overlay',
    f'--checkpoint={path.with_name("savos.safetensors")}', *here, *flags,
  ])  # fmt: skip


def results(out: pathlib.Path) -> dict[str, bytes]:
  """Returns what was made, by path in the folder."""
  found = out.glob('*/masks/*.png')
  return {str(path.relative_to(out)): path.read_bytes() for path in found}


def statuses(out: pathlib.Path) -> list[str]:
  """Returns what summary.csv tells of each video: its status, and frames."""
  lines = (out / 'summary.csv').read_text().splitlines()[1:]
  return [' '.join(line.split(',')[:3]) for line in lines]


def made(out: pathlib.Path, name: str) -> tuple[int, int]:
  """Returns what is another when a file is written again."""
  stat = (out / name).stat()
  return stat.st_ino, stat.st_mtime_ns


def wait_for(folder: pathlib.Path, least: int) -> None:
  """Waits until a video has so many masks."""
  end = time.monotonic() + 600  # Some workers yield to all others.
  while len(list((folder / 'masks').glob('0*.png'))) < least:
    assert time.monotonic() < end
    time.sleep(0.005)


def kill_the_process_of(folder: pathlib.Path, least: int) -> None:
  """Kills what segments a video as soon as it has so many masks."""
  lock = folder / '.savos_jax.lock'
  wait_for(folder, least)
  for line in pathlib.Path('/proc/locks').read_text().splitlines():
    fields = line.split()
    if fields[-3].endswith(f':{lock.stat().st_ino}'):
      os.kill(int(fields[-4]), signal.SIGKILL)
      return
  raise AssertionError(f'nobody holds {lock}')
