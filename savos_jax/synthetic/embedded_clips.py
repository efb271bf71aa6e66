"""Video clips made from the photographs that scikit-image ships.

Objects cut out of photographs move, rotate, scale, bend and occlude one another
over another, panning photograph. Masks and frames use the same warps, so the
masks are exact. The clips are written in the layout of DAVIS 2017, for
`davis.load`.
"""

import json
import os
import pathlib
import shutil
import uuid

import numpy as np
from PIL import Image
import tqdm

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.synthetic import embedded_photos
from savos_jax.synthetic import embedded_scenes

# Objects a clip: the pattern repeats over the clips of a split.
_COUNTS = {'train': (1, 2, 3), 'val': (1, 2, 1, 3)}
# To be raised with every change of what is generated: clips made before it are
# then no longer taken for these.
_FORMAT = 1
_SETTINGS_FILE = 'embedded.json'
_RESOLUTION = '480p'  # The folder's name in DAVIS; `size` is what counts.
_JPEG_QUALITY = 90


def casts(split: str, clips: int, rng: np.random.Generator) -> list[list[str]]:
  """Assigns the cut-outs of a split to its clips, each about equally often.

  Args:
    split: 'train' or 'val'.
    clips: how many.
    rng: determines the order.

  Returns:
    For each clip a list of cut-outs, all from different photographs.
  """
  photos = embedded_photos.OBJECTS[split]
  deck: list[str] = []
  dealt = []
  for clip in range(clips):
    cast: list[str] = []
    while len(cast) < _COUNTS[split][clip % len(_COUNTS[split])]:
      used = {photos[name] for name in cast}
      fitting = [name for name in deck if photos[name] not in used]
      if fitting:
        cast.append(fitting[0])
        deck.remove(fitting[0])
      else:
        deck += rng.permutation(sorted(photos)).tolist()
    dealt.append(cast)
  return dealt


def _write_clip(root: pathlib.Path, name: str, clip) -> None:
  images = root / 'JPEGImages' / _RESOLUTION / name
  annotations = root / 'Annotations' / _RESOLUTION / name
  images.mkdir(parents=True)
  annotations.mkdir(parents=True)
  for t, (image, labels) in enumerate(clip):
    Image.fromarray(image).save(
      images / f'{t:05d}.jpg', quality=_JPEG_QUALITY, subsampling=0
    )
    masks.write_mask(annotations / f'{t:05d}.png', labels)


def _write_all(root: pathlib.Path, settings: dict) -> None:
  """Writes the whole data set into the empty folder `root`."""
  size, frames = tuple(settings['size']), settings['frames']
  total = settings['train_clips'] + settings['val_clips']
  # `disable=None`: no bar where nobody watches.
  with tqdm.tqdm(total=total, desc='embedded clips', disable=None) as bar:
    for number, split in enumerate(('train', 'val')):
      # A generator a clip: a clip does not depend on how many there are.
      seed = [settings['seed'], number]
      count = settings[f'{split}_clips']
      names = []
      for clip, cast in enumerate(
        casts(split, count, np.random.default_rng(seed))
      ):
        rng = np.random.default_rng([*seed, clip])
        names.append(f'{split}-{clip:02d}-{"-".join(cast)}')
        _write_clip(
          root,
          names[-1],
          embedded_scenes.render_clip(split, cast, size, frames, rng),
        )
        bar.update()
      for year in ('2016', '2017'):
        path = root / 'ImageSets' / year / f'{split}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(names) + '\n', 'utf-8')
  (root / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2), 'utf-8')


def _is_there(root: pathlib.Path, settings: dict) -> bool:
  """Whether `root` holds this very data set; an empty folder counts as none.

  Raises:
    SavosError: `root` is something else, which must not be overwritten.
  """
  if not root.exists() or (root.is_dir() and not any(root.iterdir())):
    return False
  try:
    found = json.loads((root / _SETTINGS_FILE).read_text('utf-8'))
  except PermissionError:
    raise  # Its name is all that is to be told.
  except (OSError, ValueError, RecursionError):
    raise errors.SavosError(
      f'{root}: is in the way: it is not a folder of embedded clips (no '
      f'readable {_SETTINGS_FILE}).\n'
      '  Set config.data.root to a new folder, or move this one away. To read '
      'a data set of your own from it, set config.data.source to "davis".'
    ) from None
  if found != settings:
    raise errors.SavosError(
      f'{root}: holds embedded clips with other settings:\n'
      f'    found     {json.dumps(found)}\n'
      f'    expected  {json.dumps(settings)}\n'
      '  Delete the folder to make them again, or set config.data.root to '
      'another one.'
    )
  return True


def _settings(seed, size, train_clips, val_clips, frames) -> dict:
  return {
    'format': _FORMAT,
    'seed': int(seed),
    'size': [int(n) for n in size],
    'train_clips': int(train_clips),
    'val_clips': int(val_clips),
    'frames': int(frames),
  }


def generate(
  root: str | os.PathLike,
  seed: int = 0,
  size: tuple[int, int] = (128, 224),
  train_clips: int = 12,
  val_clips: int = 4,
  frames: int = 20,
) -> pathlib.Path:
  """Makes the embedded clips, unless they exist.

  They appear under `root` atomically, even if several processes make them at
  once.

  Args:
    root: the folder to create; then readable by `davis.load(root, ...)` with
      year '2016' or '2017' and resolution '480p'.
    seed: the same seed and settings give the same frames; at least 0.
    size: (height, width) of the frames, pixels, at least 32.
    train_clips: number of clips, at least 1; a third each have 1, 2 and 3
      objects.
    val_clips: number of clips, at least 1; at least half have 1 object.
    frames: length of each clip, at least 1.

  Returns:
    `root`.

  Raises:
    SavosError: `root` holds something else; the disk is full or not writable;
      scikit-image is incomplete.
  """
  root = pathlib.Path(root).expanduser()
  settings = _settings(seed, size, train_clips, val_clips, frames)
  if _is_there(root, settings):
    return root
  partial = root.with_name(f'.{root.name}.{uuid.uuid4().hex[:12]}.part')
  try:
    partial.mkdir(parents=True)
    _write_all(partial, settings)
    manifests.begin_with_all(partial)
    try:
      os.rename(partial, root)
    except OSError:
      # Another process was faster; its clips are the same.
      if not _is_there(root, settings):
        raise
  except OSError as error:
    raise errors.SavosError(
      f'{root}: the embedded clips could not be written: {error}.\n'
      '  Check free space and permissions there, or set config.data.root to '
      'another folder.'
    ) from None
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return root
