"""Small projects of the studio, on drawn videos, with a tiny network."""

import contextlib
import functools
import pathlib
import time

import cv2
import numpy as np
from starlette import testclient

from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.studio import access
from savos_jax.studio import project as project_lib
from savos_jax.studio import server
from savos_jax.studio import session as session_lib
from tests import made_videos
from tests import tiny_resnets

SIZE = (48, 64)
FRAMES = 10
PORT = 8123
TOKEN = 'a token that nobody guesses'.replace(' ', '-')
HOME = f'http://127.0.0.1:{PORT}'
MODEL = tiny_resnets.MODEL


def clip(path: pathlib.Path, frames: int = FRAMES, **more) -> pathlib.Path:
  """Writes a video: noise that stands still, and a square that moves.

  Args:
    path: the file.
    frames: how many.
    **more: of `made_videos.write`.
  """
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (*SIZE, 3), np.uint8)
  background = cv2.GaussianBlur(noise, (9, 9), 3)
  pictures = []
  for number in range(frames):
    frame = background.copy()
    frame[10:30, 5 + 2 * number : 25 + 2 * number] = (220, 40, 40)
    pictures.append(frame)
  times = [number / 25 for number in range(frames)]
  return made_videos.write(path, pictures, times, **more)


def drawn(number: int, *ids: int) -> np.ndarray:
  """Returns what a person draws in a frame, uint8 [H, W].

  Args:
    number: of the frame.
    ids: 1: the square; 2: another place.
  """
  labels = np.zeros(SIZE, np.uint8)
  if 1 in ids:
    labels[10:30, 5 + 2 * number : 25 + 2 * number] = 1
  if 2 in ids:
    labels[32:44, 30:50] = 2
  return labels


@functools.cache
def params():
  """Of `MODEL`: its masks depend on what guides them."""
  return tiny_resnets.decided_params()


def network() -> session_lib.Network:
  """Returns the tiny one."""
  config = options.InferenceConfig()
  make = functools.partial(tracker_lib.Tracker, MODEL, params(), config)
  return session_lib.Network(make, 'tiny', {'checkpoint': 'tiny'})


@contextlib.contextmanager
def opened(folder: pathlib.Path, video: pathlib.Path | None, **more):
  """Lends the session of a project."""
  with files.claimed(folder) as manifest:
    project = project_lib.Project(folder, manifest)
    project.open(video)
    session = session_lib.Session(project, network, **more)
    try:
      yield session
    finally:
      session.close()


@contextlib.contextmanager
def client(session, *, enters: bool = True, page: pathlib.Path | None = None):
  """Lends a browser at the studio; the session is closed with it.

  Args:
    session: from `opened`.
    enters: whether it has been at the address with the token.
    page: folder of the page.
  """
  app = server.app(session, page or server.PAGE)
  guard = access.Guard(app, TOKEN, '127.0.0.1', PORT)
  with testclient.TestClient(guard, HOME, follow_redirects=False) as browser:
    if enters:
      assert browser.get(f'/?token={TOKEN}').status_code == 303
    browser.headers['origin'] = HOME
    yield browser


def png(labels: np.ndarray) -> bytes:
  """Returns labels as a page sends them."""
  return cv2.imencode('.png', labels)[1].tobytes()


def labels_of(answer) -> np.ndarray | None:
  """Returns the mask of an answer; None: there is none."""
  if answer.status_code == 204:
    return None
  assert answer.status_code == 200, answer.text
  data = np.frombuffer(answer.content, np.uint8)
  return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def picture_of(answer) -> np.ndarray:
  """Returns the image of an answer, RGB uint8 [H, W, 3]."""
  assert answer.status_code == 200, answer.text
  data = np.frombuffer(answer.content, np.uint8)
  return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def wait(session, seconds: float = 120) -> dict:
  """Waits for the job; returns what is told of it."""
  end = time.monotonic() + seconds
  while session.worker.is_busy:
    assert time.monotonic() < end
    time.sleep(0.01)
  return session.worker.job.view()
