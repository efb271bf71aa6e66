"""Asks the studio for frames, as a browser does."""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np

from savos_jax.foundation import errors
from savos_jax.tools.benchmark import output
from savos_jax.video import video_writer

_FPS = 25.0
_SMALL = 160  # Width of a small picture, pixels.
_FEW = 20  # Frames that are asked for while they are decoded.


def _texture(height: int, width: int) -> np.ndarray:
  """Returns a picture with structures of all sizes, uint8 [H, W, 3]."""
  rng = np.random.default_rng(0)
  mixed = np.zeros((height, width, 3), np.float32)
  for cell, share in ((180, 0.5), (36, 0.3), (5, 0.2)):
    shape = max(2, height // cell), max(2, width // cell), 3
    noise = rng.integers(0, 256, shape, np.uint8).astype(np.float32)
    mixed += share * cv2.resize(noise, (width, height))
  return np.clip(mixed, 0, 255).astype(np.uint8)


def make(path: pathlib.Path, size: tuple[int, int], frames: int) -> None:
  """Writes a video: a window that moves over a picture."""
  height, width = size
  texture = _texture(2 * height, 2 * width)
  with video_writer.VideoWriter(path, _FPS) as writer:
    for number in range(frames):
      top = round(height / 2 * (1 + np.cos(number / 170)))
      left = round(width / 2 * (1 + np.sin(number / 130)))
      writer.write(texture[top : top + height, left : left + width])


class _Studio:
  """The program, and a connection to it."""

  def __init__(self, program: subprocess.Popen, address: str):
    found = re.fullmatch(r'http://([^/]+)(/\?token=\S+)', address)
    assert found
    self._program = program
    self._connection = http.client.HTTPConnection(found[1])
    self._headers: dict[str, str] = {}
    cookie = self._ask(found[2]).getheader('set-cookie') or ''
    self._headers['cookie'] = cookie.partition(';')[0]

  def _ask(self, path: str) -> http.client.HTTPResponse:
    self._connection.request('GET', path, headers=self._headers)
    answer = self._connection.getresponse()
    self._read = answer.read()
    return answer

  def get(self, path: str) -> bytes:
    """Returns what an address answers.

    Raises:
      SavosError: an error.
    """
    answer = self._ask(path)
    if answer.status != http.client.OK:
      raise errors.SavosError(
        f'{path}: {answer.status}: {self._read.decode(errors="replace")}'
      )
    return self._read

  def video(self) -> dict:
    """Returns what it says of the video."""
    return json.loads(self.get('/api/project'))['video']

  def resident_gib(self) -> float | None:
    """Returns its resident size; None where the system does not tell."""
    path = pathlib.Path(f'/proc/{self._program.pid}/status')
    with contextlib.suppress(OSError):
      for line in path.read_text('utf-8').splitlines():
        if line.startswith('VmRSS:'):
          return int(line.split()[1]) / 2**20
    return None

  def close(self) -> None:
    """Leaves it."""
    self._connection.close()


@contextlib.contextmanager
def _opened(video: pathlib.Path, folder: pathlib.Path) -> Iterator[_Studio]:
  program = subprocess.Popen(
    [sys.executable, '-m', 'savos_jax.tools.studio', str(video),
     f'--out={folder}', '--no-browser'],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
  )  # fmt: skip
  assert program.stdout
  said = ''
  try:
    for line in program.stdout:
      said += line
      if line.strip().startswith('http://'):
        with contextlib.closing(_Studio(program, line.strip())) as studio:
          yield studio
        return
    raise errors.SavosError(said.strip().removeprefix('error: '))
  finally:
    program.send_signal(signal.SIGINT)
    program.communicate()


def _seek(studio: _Studio, indices: Sequence[int], query: str) -> list[float]:
  """Returns the milliseconds of each frame."""
  found = []
  for index in indices:
    started = time.perf_counter()
    studio.get(f'/api/frames/{index}.jpg{query}')
    found.append(1e3 * (time.perf_counter() - started))
  return found


def _row(what: str, times: Sequence[float], studio: _Studio) -> dict:
  middle, late = np.percentile(times, (50, 95)).tolist()
  return {
    'what': what,
    'frames': len(times),
    'median_ms': middle,
    'p95_ms': late,
    'slowest_ms': max(times),
    'resident_gib': studio.resident_gib(),
  }


def measure(
  video: pathlib.Path, folder: pathlib.Path, seeks: int
) -> Iterator[dict]:
  """Yields the rows.

  Args:
    video: a file.
    folder: for the project; made.
    seeks: frames that are asked for, each time.

  Raises:
    SavosError: it can't be opened.
  """
  rng = np.random.default_rng(0)
  started = time.perf_counter()
  with _opened(video, folder) as studio:
    count = studio.video()['frames']
    few = rng.integers(0, count, min(seeks, _FEW)).tolist()
    yield _row('while decoding', _seek(studio, few, ''), studio)
    while studio.video()['kept'] < count:
      time.sleep(1)
    kept = (folder / '.frames').rglob('*.jpg')
    yield {
      'what': 'all kept',
      'frames': count,
      'seconds': time.perf_counter() - started,
      'disk_gb': sum(path.stat().st_size for path in kept) / 1e9,
      'resident_gib': studio.resident_gib(),
    }
    for what, query in (('any', ''), ('small', f'?width={_SMALL}')):
      indices = rng.integers(0, count, seeks).tolist()
      yield _row(what, _seek(studio, indices, query), studio)
    yield _row('each in order', _seek(studio, range(count), ''), studio)


def run(arguments: argparse.Namespace) -> None:
  """Measures; prints each row when it is there.

  Raises:
    SavosError: the video can't be read or written, or the JSON not be written.
  """
  out = output.Output(arguments)
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    video = arguments.video
    if video is None:
      video = folder / 'made.mp4'
      size = arguments.size
      make(video, (size.height, size.width), arguments.frames)
    for row in measure(video, folder / 'project', arguments.seeks):
      out.add(row)
