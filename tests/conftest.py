"""Settings of the test run and the fixtures that several test files share."""

import atexit
import itertools
import os
import pathlib
import shutil
import sys
import tempfile

# JAX and TensorFlow read these once, when they are imported. Networks here are
# tiny: what is saved by compiling less well is more than what it costs.
os.environ['XLA_FLAGS'] = ' '.join(
  [
    '--xla_force_host_platform_device_count=2',
    '--xla_backend_optimization_level=0',
    os.environ.get('XLA_FLAGS', ''),
  ]
).strip()
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['ORT_DISABLE_TELEMETRY'] = '1'
# Most of the suite's time is compilation, and many tests (and the programs
# that they start) compile the same functions: once a run is enough.
_COMPILED = tempfile.mkdtemp(prefix='savos_jax_compiled_')
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
os.environ['JAX_COMPILATION_CACHE_DIR'] = _COMPILED
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.5'
# Drawing initial weights compiles in a third of the time with this generator.
os.environ['JAX_DEFAULT_PRNG_IMPL'] = 'rbg'

import jax
import numpy as np
from PIL import Image
import pytest

# A silent broadcast or a silent float64 is a bug here.
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_numpy_dtype_promotion', 'strict')

# Object colours of the drawn clips, far apart from each other.
_COLOURS = np.array(
  [[90, 90, 90], [220, 40, 40], [40, 200, 60], [50, 80, 230], [230, 210, 40]],
  np.uint8,
)


@pytest.fixture(autouse=True)
def no_kept_traces():
  """A program that a test has run keeps none for those that follow."""
  yield
  compilation_cache = sys.modules.get('savos_jax.foundation.compilation_cache')
  if compilation_cache:
    compilation_cache._folder = None


@pytest.fixture
def library_promotion():
  """JAX's usual promotion, for what runs through optax: it counts on it."""
  with jax.numpy_dtype_promotion('standard'):
    yield


@pytest.fixture(scope='session')
def savos_data() -> pathlib.Path:
  """The folder with real frames; skips the test where there is none."""
  folder = os.environ.get('SAVOS_DATA')
  if not folder:
    pytest.skip('SAVOS_DATA is unset: real frames are not here')
  return pathlib.Path(folder)


@pytest.fixture(scope='session')
def clip(tmp_path_factory) -> pathlib.Path:
  """A video for the studio: a square that moves; read alone."""
  from tests import studio_projects

  return studio_projects.clip(tmp_path_factory.mktemp('clip') / 'clip.mp4')


@pytest.fixture
def session(clip, tmp_path):
  """The studio's session of a project of this video, in which nothing is."""
  from tests import studio_projects

  with studio_projects.opened(tmp_path / 'project', clip) as session:
    yield session


def _draw_labels(
  index: int, size: tuple[int, int], objects: int, frames: int
) -> np.ndarray:
  """Labels of frame `index`, uint8 [H, W]: ellipses side by side, moving down.

  They never touch, and are never out of view.
  """
  height, width = size
  rows, columns = np.mgrid[:height, :width]
  centre_row = height * (0.35 + 0.3 * index / max(frames - 1, 1))
  radius = width / objects * 0.35
  labels = np.zeros(size, np.uint8)
  for k in range(objects):
    centre = (k + 0.5) * width / objects
    inside = ((rows - centre_row) / (height * 0.25)) ** 2 + (
      (columns - centre) / radius
    ) ** 2 <= 1
    labels[inside] = k + 1
  return labels


def _draw_frame(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """An RGB uint8 [H, W, 3] picture of labels, with some noise."""
  noise = rng.integers(0, 20, (*labels.shape, 3), np.uint8)
  return _COLOURS[labels] + noise


def _mask_image(labels: np.ndarray, mode: str) -> Image.Image:
  """A mask picture in one of the forms that are in use."""
  binary = (labels > 0).astype(np.uint8) * 255
  if mode == 'P':
    image = Image.fromarray(labels)
    image.putpalette(list(itertools.chain.from_iterable(_COLOURS.tolist())))
    return image
  if mode == 'L255':
    return Image.fromarray(binary)
  if mode == 'Lids':
    return Image.fromarray(labels)
  if mode == 'LA':
    return Image.fromarray(np.stack([binary, 255 - binary // 2], axis=-1))
  raise ValueError(mode)


@pytest.fixture
def davis_folder(tmp_path):
  """A factory of small data sets in the DAVIS layout, below tmp_path.

  Args of the factory (all by name; each has a default):
    folder: name of the data set's folder.
    splits: split -> number of sequences; they are named train0, train1, val0.
    frames: number of frames a sequence.
    size: (height, width), or a list of those, one a sequence, taken in turn.
    objects: number of objects (at most 4), or a list, as `size`.
    mode: 'P' (palette), 'L255' (grey, 0/255), 'Lids' (grey ids), 'LA'.
    year: '2016' or '2017': the folder of the image lists.
    resolution: folder name below JPEGImages and Annotations.
    image_list: 'names', or 'paths' (as in the 2016 zip, in the folder of the
      resolution).

  Returns of the factory: the data set's folder.
  """

  def make(
    *,
    folder='DAVIS',
    splits=None,
    frames=4,
    size=(36, 48),
    objects=1,
    mode='P',
    year='2017',
    resolution='480p',
    image_list='names',
  ) -> pathlib.Path:
    root = tmp_path / folder
    sizes = itertools.cycle(size if isinstance(size, list) else [size])
    counts = itertools.cycle(
      objects if isinstance(objects, list) else [objects]
    )
    rng = np.random.default_rng(0)
    for split, sequences in (splits or {'train': 2, 'val': 1}).items():
      lines = []
      for name in [f'{split}{i}' for i in range(sequences)]:
        clip_size, clip_objects = next(sizes), next(counts)
        images = root / 'JPEGImages' / resolution / name
        annotations = root / 'Annotations' / resolution / name
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for t in range(frames):
          labels = _draw_labels(t, clip_size, clip_objects, frames)
          picture = Image.fromarray(_draw_frame(labels, rng))
          picture.save(images / f'{t:05d}.jpg', quality=95)
          _mask_image(labels, mode).save(annotations / f'{t:05d}.png')
          lines.append(
            f'/JPEGImages/{resolution}/{name}/{t:05d}.jpg '
            f'/Annotations/{resolution}/{name}/{t:05d}.png'
          )
        if image_list == 'names':
          lines[-frames:] = [name]
      lists = root / 'ImageSets'
      lists /= year if image_list == 'names' else resolution
      lists.mkdir(parents=True, exist_ok=True)
      (lists / f'{split}.txt').write_text('\n'.join(lines) + '\n')
    return root

  return make
