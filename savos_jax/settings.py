"""From the configuration's fields to the objects that the code works with."""

import dataclasses
import pathlib

from ml_collections import config_dict

from savos_jax import errors
from savos_jax.data import davis
from savos_jax.data import embedded_clips
from savos_jax.data import perturb
from savos_jax.data import sampling
from savos_jax.data import sequences
from savos_jax.models import savos

SOURCES = ('davis', 'tfds', 'embedded')


def model_config(config: config_dict.ConfigDict) -> savos.SavosConfig:
  """Returns the architecture.

  Raises:
    SavosError: a field of `config.model` is out of its range.
  """
  try:
    return savos.SavosConfig(**config.model.to_dict())
  except ValueError as error:
    raise errors.SavosError(f'config.model.{error}.') from None


def sampling_config(config: config_dict.ConfigDict) -> sampling.SamplingConfig:
  """Returns what a training example is.

  Raises:
    SavosError: a field of `config.sampling` is out of its range.
  """
  fields = config.sampling
  low, high = fields.zoom_range
  checks = (
    (
      'crop_size',
      len(fields.crop_size) == 2 and min(fields.crop_size) >= 1,
      'height and width in pixels',
    ),
    ('zoom_range', 1.0 <= low <= high, 'two ascending numbers from 1'),
    ('max_skip', fields.max_skip >= 1, 'at least 1 frame'),
    ('mask_dilation', fields.mask_dilation >= 0, 'at least 0 pixels'),
  )
  for name, valid, expected in checks:
    if not valid:
      raise errors.SavosError(
        f'config.sampling.{name} is {fields[name]!r}.\n  Expected {expected}.'
      )
  return sampling.SamplingConfig(
    crop_size=tuple(fields.crop_size),
    zoom_range=tuple(fields.zoom_range),
    flip_probability=fields.flip_probability,
    max_skip=fields.max_skip,
    min_object_fraction=fields.min_object_fraction,
    noise=perturb.MaskNoise(
      shift=fields.mask_shift,
      scale=tuple(fields.mask_scale),
      spline=fields.mask_spline,
      dilation=fields.mask_dilation,
      blur=fields.mask_blur,
      drop_probability=fields.mask_drop_probability,
    ),
  )


def load_split(
  config: config_dict.ConfigDict, workdir: pathlib.Path, split: str
) -> list[sequences.Sequence]:
  """Opens the videos of a split, from wherever `config.data.source` says.

  Args:
    config: the configuration.
    workdir: where embedded clips are put when no root is given.
    split: name of the image list.

  Returns:
    The records.

  Raises:
    SavosError: no data, or data that are malformed.
  """
  data = config.data
  if data.source == 'embedded':
    root = pathlib.Path(data.root) if data.root else workdir / 'embedded'
    embedded_clips.generate(
      root,
      seed=config.seed,
      size=tuple(data.embedded_size),
      train_clips=data.embedded_train_clips,
      val_clips=data.embedded_val_clips,
      frames=data.embedded_frames,
    )
    return davis.load(root, split, data.year, '480p')
  if data.source not in SOURCES:
    raise errors.SavosError(
      f'config.data.source is {data.source!r}.\n  Expected one of {SOURCES}.'
    )
  if not data.root:
    raise errors.SavosError(
      f'config.data.root is not set: where is the data?\n{davis.LAYOUT}'
    )
  if data.source == 'tfds':
    return _load_tfds(data, workdir, split)
  return davis.load(data.root, split, data.year, data.resolution)


def _load_tfds(data, workdir, split) -> list[sequences.Sequence]:
  # TensorFlow is slow to import, and only this source needs it to read.
  from savos_jax.data import tfds_davis

  names = {folder: name for name, folder in tfds_davis.RESOLUTIONS.items()}
  if data.year != '2017' or data.resolution not in names:
    raise errors.SavosError(
      f'config.data.year is {data.year!r}, config.data.resolution '
      f'{data.resolution!r}.\n  Expected "2017" and one of {tuple(names)}: '
      'tensorflow_datasets has no other DAVIS.'
    )
  return tfds_davis.load(
    data.root, split, workdir / 'tfds_davis', names[data.resolution]
  )


def differing_fields(found: dict, expected: dict) -> list[str]:
  """Lists 'field: found (expected)' for a message."""
  names = sorted(set(found) | set(expected))
  return [
    f'{name}: {found.get(name)!r} (expected {expected.get(name)!r})'
    for name in names
    if _plain(found.get(name)) != _plain(expected.get(name))
  ]


def _plain(value):
  """JSON knows no tuples."""
  return list(value) if isinstance(value, tuple) else value


def as_fields(config: savos.SavosConfig) -> dict:
  """Returns the architecture as a plain dictionary, as stored in files."""
  return dataclasses.asdict(config)
