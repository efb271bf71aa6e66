"""DAVIS 2017 from a prepared `tensorflow_datasets` builder.

TFDS stores a whole video in one record, so sampling a random pair of frames
would read whole videos. The builder is therefore unpacked once into the folder
layout of `savos_jax.datasets.davis` and read from there.
"""

import contextlib
import json
import os
import pathlib
import shutil
import uuid

from etils import epath
import numpy as np
import tqdm

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.foundation import manifests
from savos_jax.foundation import typed

# TFDS config -> the resolution folder that DAVIS' own zip files have for it.
RESOLUTIONS = {'480p': '480p', 'full_resolution': 'Full-Resolution'}

# TFDS split -> name of the image list.
_SPLITS = {'train': 'train', 'validation': 'val'}

# Says, in an exported folder, what it was made from.
MARKER = 'tfds_export.json'

_BUILDER_FILE = 'dataset_info.json'
_JPEG = b'\xff\xd8\xff'
_PNG = b'\x89PNG\r\n\x1a\n'


def _not_prepared(
  data_dir: epath.Path, looked_at: list, config: str
) -> errors.SavosError:
  # Not `tfds build`: that command wants the whole of apache_beam besides.
  return errors.SavosError(
    f'{data_dir}: no prepared tensorflow_datasets builder davis/{config}; '
    'looked for\n'
    + ''.join(f'    {path}\n' for path in looked_at)
    + '  Nothing is downloaded automatically. To prepare it '
    '(downloads DAVIS), run\n'
    '    python -c "import tensorflow_datasets as tfds; '
    f"tfds.builder('davis/{config}', data_dir='{data_dir}')"
    '.download_and_prepare()"\n'
    '  or point config.data.root at the data_dir that holds it.'
  )


def _version_key(folder: epath.Path) -> tuple:
  """Orders version folders by number, those that are no version first."""
  try:
    return (1, tuple(int(part) for part in folder.name.split('.')))
  except ValueError:
    return (0, ())


def _find_builder(data_dir: epath.Path, config: str) -> epath.Path | None:
  """Finds the folder of the prepared builder, the newest version; or None."""
  if (data_dir / _BUILDER_FILE).exists():
    return data_dir
  versions = data_dir / 'davis' / config
  if not versions.is_dir():
    return None
  # A half-prepared builder has no info file yet.
  ready = [f for f in versions.iterdir() if (f / _BUILDER_FILE).exists()]
  return max(ready, key=_version_key, default=None)


def _read_origin(builder_dir: epath.Path, config: str) -> dict[str, str]:
  """Reads what a builder folder holds, without TensorFlow.

  Args:
    builder_dir: folder with dataset_info.json.
    config: the TFDS config that is wanted.

  Returns:
    {'name': 'davis', 'config': config, 'version': ...}, as in the marker.

  Raises:
    SavosError: the info file is damaged, or is of another data set or config.
  """
  path = builder_dir / _BUILDER_FILE
  try:
    info = typed.parse(path.read_text())
    origin = {
      'name': info['name'],
      'config': info.get('configName', ''),
      'version': info['version'],
    }
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.SavosError(
      f'{path}: unreadable ({type(error).__name__}: {error}).\n'
      '  Expected the info file of a tensorflow_datasets builder. Delete '
      f'{builder_dir} and prepare davis/{config} again.'
    ) from None
  if (origin['name'], origin['config']) != ('davis', config):
    raise errors.SavosError(
      f'{path}: the builder is {origin["name"]}/{origin["config"]}.\n'
      f'  Expected davis/{config}. Point config.data.root at the data_dir or '
      'the builder folder of the right one.'
    )
  return origin


def _is_done(
  root: pathlib.Path, expected: dict[str, str], builder_dir: epath.Path
) -> bool:
  """Whether root already holds the export; False where nothing is.

  Args:
    root: the folder that is to hold the export.
    expected: what the marker must say.
    builder_dir: where the records come from, for the message.

  Returns:
    True: nothing is left to do. False: root is absent or empty.

  Raises:
    SavosError: something else stands there.
  """
  if not root.exists() or (root.is_dir() and not any(root.iterdir())):
    return False
  marker = root / MARKER
  try:
    found = typed.parse(marker.read_text('utf-8'))
  except (OSError, ValueError):
    raise errors.SavosError(
      f'{root}: exists and is not an export of {builder_dir}: it holds no '
      f'readable {MARKER}.\n'
      '  It was not changed. Name another folder for the export, or move '
      'this one away.'
    ) from None
  if found != expected:
    raise errors.SavosError(
      f'{marker}: the folder was made from {found}.\n'
      f'  Expected {expected}, from {builder_dir}. Name another folder for '
      f'the export, or delete {root}.'
    )
  return True


def _frame_suffix(data: bytes, where: str) -> str:
  """Returns the file suffix for an encoded frame, from its first bytes."""
  if data.startswith(_JPEG):
    return '.jpg'
  if data.startswith(_PNG):
    return '.png'
  raise errors.SavosError(
    f'{where}: a frame is neither JPEG nor PNG; it starts with {data[:8]!r}.\n'
    '  Delete the builder and prepare it again.'
  )


def _decode_labels(data: bytes, where: str) -> np.ndarray:
  """Decodes the ids of an encoded segmentation, uint8 [H, W].

  TFDS stores ids as grey values, so unlike in `masks.read_mask` a value of 255
  is not read as an object.
  """
  labels = np.asarray(masks.decode_image(data, f'{where}, a segmentation'))
  if labels.ndim != 2 or labels.dtype != np.uint8:
    raise errors.SavosError(
      f'{where}: a segmentation of shape {labels.shape}, {labels.dtype}.\n'
      '  Expected one 8-bit id a pixel. Delete the builder and prepare '
      'it again.'
    )
  return labels


def _write_video(
  root: pathlib.Path, resolution: str, name: str, video: dict, where: str
) -> None:
  """Writes the frames (verbatim) and the masks of one video.

  Args:
    root: folder in the DAVIS layout.
    resolution: folder below JPEGImages and Annotations.
    name: of the video.
    video: 'frames' and 'segmentations', each [T] encoded images (bytes).
    where: names the record, for error messages.
  """
  frame_folder = root / 'JPEGImages' / resolution / name
  mask_folder = root / 'Annotations' / resolution / name
  frame_folder.mkdir(parents=True)
  mask_folder.mkdir(parents=True)
  pairs = zip(video['frames'], video['segmentations'], strict=True)
  for index, (frame, segmentation) in enumerate(pairs):
    at = f'{where}, frame {index}'
    suffix = _frame_suffix(frame, at)
    (frame_folder / f'{index:05d}{suffix}').write_bytes(frame)
    labels = _decode_labels(segmentation, at)
    masks.write_mask(mask_folder / f'{index:05d}.png', labels)


def _open_builder(builder_dir: epath.Path):
  """Opens the builder for reading; returns it with `tf` and `tfds`.

  Raises:
    SavosError: TFDS does not accept the folder, or a split is absent.
  """
  # Slow to import, and needed for nothing once the export stands.
  tf = extras.require('tensorflow', 'tfds', 'config.data.source=tfds')
  tfds = extras.require(
    'tensorflow_datasets', 'tfds', 'config.data.source=tfds'
  )

  # TensorFlow would take the whole GPU memory from JAX. Where it has been in
  # use before, that is settled already, and it refuses.
  with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], 'GPU')
  try:
    builder = tfds.builder_from_directory(str(builder_dir))
  except (OSError, ValueError) as error:
    raise errors.SavosError(
      f'{builder_dir}: tensorflow_datasets cannot open it: {error}\n'
      '  Delete it and prepare it again.'
    ) from None
  absent = [split for split in _SPLITS if split not in builder.info.splits]
  if absent:
    raise errors.SavosError(
      f'{builder_dir}: no split {", ".join(absent)}; it has '
      f'{", ".join(builder.info.splits) or "none"}.\n'
      '  Delete it and prepare it again.'
    )
  return builder, tf, tfds


def _write_all(
  builder_dir: epath.Path, root: pathlib.Path, resolution: str
) -> None:
  """Writes every video and the image lists of a builder into root.

  Raises:
    SavosError: the records are unreadable, or of an unexpected form.
    OSError: root cannot be written.
  """
  builder, tf, tfds = _open_builder(builder_dir)
  skip = tfds.decode.SkipDecoding()
  decoders = {'video': {'frames': skip, 'segmentations': skip}}
  lists = root / 'ImageSets' / '2017'
  lists.mkdir(parents=True)
  for split, list_name in _SPLITS.items():
    names = []
    try:
      videos = builder.as_dataset(
        split=split,
        decoders=decoders,
        read_config=tfds.ReadConfig(try_autocache=False),
      )
      for example in tqdm.tqdm(
        videos.as_numpy_iterator(),
        desc=f'unpack DAVIS {list_name}',
        total=builder.info.splits[split].num_examples,
        unit='video',
      ):
        name = example['metadata']['video_name'].decode()
        where = f'{builder_dir}: split {split}, video {name}'
        _write_video(root, resolution, name, example['video'], where)
        names.append(name)
    except (tf.errors.OpError, NotImplementedError) as error:
      # The second: TFDS reads only some of its file formats in this way.
      raise errors.SavosError(
        f'{builder_dir}: split {split} is unreadable: {error}\n'
        '  Delete it and prepare it again, as tfrecord files.'
      ) from None
    # TFDS shuffles the videos; DAVIS' own lists are in alphabetical order.
    lines = ''.join(f'{name}\n' for name in sorted(names))
    (lists / f'{list_name}.txt').write_text(lines, 'utf-8')


def export(
  data_dir: str | os.PathLike,
  root: str | os.PathLike,
  config: str = '480p',
) -> pathlib.Path:
  """Unpacks DAVIS 2017 from TFDS to a folder in the DAVIS layout, once.

  Frames are copied without re-encoding; segmentations become indexed PNGs with
  the same ids. If root already holds this export, nothing is read or written. A
  killed export leaves `.<root's name>.*.part` beside root; it is never read and
  may be deleted.

  Args:
    data_dir: the `data_dir` of TFDS (with davis/<config>/<version>, of which
      the newest version is used), or the folder of the builder.
    root: the folder to create, with its parents.
    config: '480p' or 'full_resolution'.

  Returns:
    root.

  Raises:
    SavosError: the builder is not prepared, damaged or of another data set;
      root exists and is something else; root cannot be written.
  """
  if config not in RESOLUTIONS:
    raise errors.SavosError(
      f'TFDS config {config!r}.\n  Expected one of {list(RESOLUTIONS)}.'
    )
  data_dir = epath.Path(data_dir).expanduser()
  root = pathlib.Path(root).expanduser()
  builder_dir = _find_builder(data_dir, config)
  if builder_dir is None:
    looked_at = [
      data_dir / _BUILDER_FILE,
      data_dir / 'davis' / config / '<version>' / _BUILDER_FILE,
    ]
    raise _not_prepared(data_dir, looked_at, config)
  origin = _read_origin(builder_dir, config)
  if _is_done(root, origin, builder_dir):
    return root
  # Its name is its own: several hosts may share the disk.
  partial = root.with_name(f'.{root.name}.{uuid.uuid4().hex[:8]}.part')
  try:
    partial.mkdir(parents=True)
    _write_all(builder_dir, partial, RESOLUTIONS[config])
    (partial / MARKER).write_text(json.dumps(origin, indent=2), 'utf-8')
    manifests.begin_with_all(partial)
    partial.rename(root)
  except OSError as error:
    # Another process may have finished the same export in the meantime.
    if not _is_done(root, origin, builder_dir):
      raise errors.SavosError(
        f'{root}: could not be written: {error}\n'
        f'  Check the permissions of {root.parent} and the free space there.'
      ) from None
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return root


def load(
  data_dir: str | os.PathLike,
  split: str,
  root: str | os.PathLike,
  config: str = '480p',
) -> list[sequences.Sequence]:
  """Opens a split of DAVIS 2017 from TFDS, unpacking it first if need be.

  Args:
    data_dir: see `export`.
    split: 'train' or 'val'.
    root: see `export`.
    config: see `export`.

  Returns:
    One record for each video, by name; each id is an object.

  Raises:
    SavosError: see `export` and `davis.load`.
  """
  folder = export(data_dir, root, config)
  return davis.load(folder, split, '2017', RESOLUTIONS[config])
