"""Opens the videos and photos that a configuration names.

The configuration has passed `settings.check`.
"""

import logging
import pathlib

from ml_collections import config_dict

from savos_jax import settings
from savos_jax.data import backgrounds as backgrounds_lib
from savos_jax.data import bank
from savos_jax.data import sampling
from savos_jax.data.scenes import source as scenes_source
from savos_jax.datasets import davis
from savos_jax.datasets import held_out_photos
from savos_jax.datasets import pack
from savos_jax.datasets import segtrack
from savos_jax.datasets import sequences
from savos_jax.datasets import stills
from savos_jax.datasets import tfds_davis
from savos_jax.datasets import youtube_vos
from savos_jax.evaluation import attributes
from savos_jax.evaluation import categories
from savos_jax.foundation import errors
from savos_jax.synthetic import embedded_clips

logger = logging.getLogger(__name__)


def load_split(
  config: config_dict.ConfigDict, workdir: pathlib.Path, split: str
) -> list[sequences.Sequence]:
  """Opens the videos of a split from `config.data.source`.

  Args:
    config: the configuration.
    workdir: where embedded clips are written if no root is given.
    split: name of the image list; or 'held_out' for the sequences of the
      training split named in `config.data.held_out`, which that split omits.

  Returns:
    The records.

  Raises:
    SavosError: there are no data, or they are malformed; a held-out sequence is
      not in the training split.
  """
  train_split, held_out = config.data.train_split, config.data.held_out
  if split not in (settings.HELD_OUT, train_split) or not held_out:
    return _load(config, workdir, split)
  videos = _load(config, workdir, train_split)
  _check_held_out(held_out, videos, repr(train_split))
  return [
    video
    for video in videos
    if (video.name in held_out) == (split == settings.HELD_OUT)
  ]


def _load(config, workdir, split) -> list[sequences.Sequence]:
  data = config.data
  if data.source == 'embedded':
    root = pathlib.Path(data.root) if data.root else workdir / 'embedded'
    embedded_clips.generate(
      root,
      seed=config.seed,
      size=data.embedded_size,
      train_clips=data.embedded_train_clips,
      val_clips=data.embedded_val_clips,
      frames=data.embedded_frames,
    )
    return davis.load(root, split, data.year, '480p')
  if data.source == 'tfds':
    names = {folder: name for name, folder in tfds_davis.RESOLUTIONS.items()}
    return tfds_davis.load(
      data.root, split, workdir / 'tfds_davis', names[data.resolution]
    )
  if data.source == 'segtrack':
    return segtrack.load(data.root, split)
  kind = sequences.Sequence
  if data.source == 'youtube_vos':
    kind = youtube_vos.Video
  return davis.load(data.root, split, data.year, data.resolution, kind)


def sequence_attributes(
  config: config_dict.ConfigDict,
) -> dict[str, tuple[str, ...]]:
  """Returns DAVIS's attributes of its sequences: name -> attributes.

  Empty if the data set has no such file.

  Raises:
    SavosError: the file is malformed.
  """
  if config.data.source != 'davis' or not config.data.root:
    return {}
  return attributes.read(config.data.root)


def object_categories(config: config_dict.ConfigDict) -> dict[str, str]:
  """Returns whether the categories of val_split's objects occur in training.

  Empty if the data set does not say; see `categories.read`.

  Raises:
    SavosError: a file is malformed.
  """
  if config.data.source != 'youtube_vos' or not config.data.root:
    return {}
  return categories.read(pathlib.Path(config.data.root) / config.data.val_split)


def scene_records(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> list[sequences.Sequence]:
  """Opens the videos and photos for scenes.

  Args:
    config: the configuration.
    workdir: see `make_sampler`.

  Returns:
    Those in `data.packs`, or else in `data.train_split` and `data.stills`,
    without `data.held_out` and the photos reserved for validation clips.

  Raises:
    SavosError: there are no data, or they are malformed; `data.held_out` names
      an unknown sequence.
  """
  videos, photos = _training_data(config, workdir)
  photos = [p for p in photos if not held_out_photos.is_held_out(p.name)]
  records = [*videos, *photos]
  if not records:
    raise errors.SavosError(
      'nothing to train on: no videos and no photos.\n'
      '  Expected config.data.packs, config.data.root or config.data.stills.'
    )
  return records


def _training_data(
  config, workdir
) -> tuple[list[sequences.Sequence], list[sequences.Sequence]]:
  """Opens the videos that are not held out, and the photos."""
  data = config.data
  if data.packs:
    records: list[sequences.Sequence] = list(pack.read(*data.packs))
    _check_held_out(data.held_out, records, 'config.data.packs')
    videos = [r for r in records if len(r) > 1 and r.name not in data.held_out]
    return videos, [record for record in records if len(record) == 1]
  videos = []
  if data.train_split:
    videos = [
      video.annotated_part()
      for video in load_split(config, workdir, data.train_split)
    ]
  return videos, [p for folder in data.stills for p in stills.load(folder)]


def _check_held_out(held_out, records, where: str) -> None:
  """Refuses a misspelt name, whose sequence would be trained on."""
  names = [record.name for record in records if len(record) > 1]
  unknown = set(held_out) - set(names)
  if unknown:
    raise errors.SavosError(
      f'config.data.held_out names {", ".join(sorted(unknown))}.\n'
      f'  Expected names of sequences of {where}: {", ".join(names[:4])}, ...'
    )


def make_sampler(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> sampling.Sampler | scenes_source.Scenes:
  """Opens the training data and makes a sampler of examples.

  Args:
    config: the configuration.
    workdir: where embedded clips and inpainted backgrounds are written if the
      configuration names no folder.

  Returns:
    The sampler.

  Raises:
    SavosError: there are no data, or they are malformed.
  """
  data = config.data
  if config.scenes.enabled:
    return _make_scenes(config, workdir)
  ranges = settings.sampling_config(config)
  videos, photos = _training_data(config, workdir)
  if photos and not ranges.dreams:
    logger.warning(
      'the photos of config.data.%s are not used: they are for lucid dreams, '
      'and config.sampling.dream_fraction is 0',
      'packs' if data.packs else 'stills',
    )
  backgrounds = None
  if ranges.dreams:
    folder = data.background_cache or workdir / 'backgrounds'
    backgrounds = backgrounds_lib.BackgroundCache(folder, ranges.lucid)
  sampler = sampling.Sampler(
    videos,
    ranges,
    config.seed,
    config.train.batch_size,
    photos,
    backgrounds,
  )
  logger.info(
    'training on %d sequences, %d frames, and on %d photos',
    len(videos),
    sum(map(len, videos)),
    len(photos),
  )
  return sampler


def _make_scenes(config, workdir) -> scenes_source.Scenes:
  """Reads all training images."""
  ranges = settings.scene_config(config)
  records = scene_records(config, workdir)
  videos = [record for record in records if len(record) > 1]
  logger.info(
    'scenes of %d sequences, %d frames, and of %d photos',
    len(videos),
    sum(map(len, videos)),
    len(records) - len(videos),
  )
  return scenes_source.Scenes(
    bank.build(records, config.data.workers), ranges, config.seed
  )
