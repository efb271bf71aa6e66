"""From the configuration's fields to the objects that the code works with."""

import dataclasses
import logging
import pathlib

from ml_collections import config_dict

from savos_jax.data import backgrounds as backgrounds_lib
from savos_jax.data import bank
from savos_jax.data import lucid
from savos_jax.data import perturb
from savos_jax.data import sampling
from savos_jax.data.scenes import config as scenes_config
from savos_jax.data.scenes import source as scenes_source
from savos_jax.datasets import davis
from savos_jax.datasets import held_out_photos
from savos_jax.datasets import pack
from savos_jax.datasets import segtrack
from savos_jax.datasets import sequences
from savos_jax.datasets import stills
from savos_jax.datasets import youtube_vos
from savos_jax.evaluation import attributes
from savos_jax.evaluation import categories
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.models import fields as model_fields
from savos_jax.models import savos
from savos_jax.synthetic import embedded_clips
from savos_jax.weights import pretrained

logger = logging.getLogger(__name__)

HELD_OUT = 'held_out'  # The split of the sequences of config.data.held_out.
SOURCES = ('davis', 'youtube_vos', 'tfds', 'embedded', 'segtrack')


def model_config(config: config_dict.ConfigDict) -> savos.SavosConfig:
  """Returns the architecture of a training.

  Raises:
    SavosError: a field of `config.model` is out of its range, or the file
      `config.model.pretrained` can't be read or is of another network.
  """
  model = _model_fields(config)
  path = config.model.pretrained
  return pretrained.architecture(path, model) if path else model


def _model_fields(config) -> savos.SavosConfig:
  fields = config.model.to_dict()
  del fields['pretrained']
  try:
    return savos.SavosConfig(**fields)
  except ValueError as error:
    raise errors.SavosError(f'config.model.{error}.') from None


def evaluated_model(
  config: config_dict.ConfigDict, stored: savos.SavosConfig
) -> savos.SavosConfig:
  """Returns the architecture of a training's checkpoint, to be evaluated.

  The file that the training started from is not needed any more. A checkpoint
  that `config.eval.checkpoint` names may be of any network.

  Args:
    config: the configuration.
    stored: what the checkpoint tells.

  Returns:
    `stored`, with the dtype of the computation that is configured.

  Raises:
    SavosError: `config.model` describes another network.
  """
  wanted = _model_fields(config)
  if config.model.pretrained:
    decided = {f: getattr(stored, f) for f in pretrained.DECIDED_BY_FILE}
    wanted = dataclasses.replace(wanted, **decided)
  different = model_fields.differences(stored, wanted)
  if different and not config.eval.checkpoint:
    raise errors.SavosError(
      'the checkpoint is of another network than config.model:\n    '
      + '\n    '.join(different)
      + '\n  Set config.model as it was in the training, or use another '
      '--workdir.'
    )
  return dataclasses.replace(stored, compute_dtype=wanted.compute_dtype)


def inference_config(
  config: config_dict.ConfigDict,
) -> options.InferenceConfig:
  """Returns how videos are segmented in an evaluation.

  Raises:
    SavosError: a field of `config.eval` is out of its range.
  """
  names = [field.name for field in dataclasses.fields(options.InferenceConfig)]
  fields = {name: config.eval[name] for name in names}
  try:
    return options.InferenceConfig(**fields)
  except ValueError as error:
    raise errors.SavosError(f'config.eval.{error}') from None


def videos_at_once(config: config_dict.ConfigDict) -> int:
  """Returns how many videos an evaluation segments side by side.

  Raises:
    SavosError: it is below 1.
  """
  videos = config.eval.videos
  if videos < 1:
    raise errors.SavosError(
      f'config.eval.videos is {videos}.\n  Expected at least 1.'
    )
  return videos


def _numbers(value, count: int) -> bool:
  return len(value) == count and all(
    isinstance(number, (int, float)) for number in value
  )


def _is_range(value, lowest: float) -> bool:
  return _numbers(value, 2) and lowest <= value[0] <= value[1]


def _check_sampling(fields: config_dict.ConfigDict) -> None:
  """Raises SavosError for the first field that is out of its range."""
  sizes = fields.crop_size
  checks = {
    'crop_size': (
      _numbers(sizes, 2) and min(sizes) >= 1,
      'height and width in pixels',
    ),
    'zoom_range': (
      _is_range(fields.zoom_range, 1.0),
      'two ascending numbers from 1',
    ),
    'mask_scale': (
      _is_range(fields.mask_scale, 0.0) and fields.mask_scale[0] > 0,
      'two ascending numbers above 0',
    ),
  }
  for name in ('clip_frames', 'max_skip', 'max_gap', 'dream_subsets'):
    checks[name] = (fields[name] >= 1, 'at least 1')
  for name in ('curriculum_steps', 'dream_only_steps'):
    checks[name] = (fields[name] >= 0, 'at least 0 steps')
  for name in ('mask_shift', 'mask_spline', 'mask_dilation', 'mask_blur'):
    checks[name] = (fields[name] >= 0, 'at least 0')
  for name in (
    'flip_probability',
    'min_object_fraction',
    'mask_drop_probability',
    'dream_fraction',
    'stills_fraction',
  ):
    checks[name] = (0 <= fields[name] <= 1, 'a number from 0 to 1')
  for name, (valid, expected) in checks.items():
    if not valid:
      raise errors.SavosError(
        f'config.sampling.{name} is {fields[name]!r}.\n  Expected {expected}.'
      )


def lucid_config(config: config_dict.ConfigDict) -> lucid.LucidConfig:
  """Returns the ranges of lucid dreaming.

  Raises:
    SavosError: a field of `config.lucid` is out of its range.
  """
  fields = config.lucid.to_dict()
  for name, value in fields.items():
    if isinstance(value, tuple) and not _numbers(value, 2):
      raise errors.SavosError(
        f'config.lucid.{name} is {value!r}.\n  Expected two numbers.'
      )
  try:
    return lucid.LucidConfig(**fields)
  except ValueError as error:
    raise errors.SavosError(f'config.lucid.{error}.') from None


def sampling_config(config: config_dict.ConfigDict) -> sampling.SamplingConfig:
  """Returns what a training example is.

  Raises:
    SavosError: a field of `config.sampling` or `config.lucid` is out of its
      range.
  """
  _check_sampling(config.sampling)
  fields = config.sampling.to_dict()
  noise = perturb.MaskNoise(
    **{
      field.name: fields.pop(f'mask_{field.name}')
      for field in dataclasses.fields(perturb.MaskNoise)
    }
  )
  return sampling.SamplingConfig(
    **fields, noise=noise, lucid=lucid_config(config)
  )


_SCENE_CHECKS = {
  'objects': (lambda x: 1 <= x <= 16, '1 to 16'),
  'max_skip': (lambda x: x >= 1, 'at least 1 frame'),
  'max_gap': (lambda x: x >= 1, 'at least 1 frame'),
  'rivals': (lambda x: 1 <= x <= 16, '1 to 16'),
  'close_range': (
    lambda x: _is_range(x, 0.0) and 0 < x[0] <= x[1] <= 1,
    'two ascending numbers above 0, at most 1',
  ),
  'rival_size': (
    lambda x: _is_range(x, 0.0) and x[0] > 0,
    'two ascending numbers above 0',
  ),
  'min_area': (lambda x: 0 < x < 1, 'a number between 0 and 1'),
  'rotation': (lambda x: 0 <= x <= 180, '0 to 180 degrees'),
  'bend': (lambda x: 0 <= x <= 1, 'a number from 0 to 1'),
  'guidance_shift': (lambda x: 0 <= x <= 10, 'a number from 0 to 10'),
  'guidance_scale': (lambda x: 0 <= x <= 10, 'a number from 0 to 10'),
}


def scene_config(config: config_dict.ConfigDict) -> scenes_config.SceneConfig:
  """Returns what a scene is.

  Raises:
    SavosError: a field of `config.scenes` or `config.sampling` is out of its
      range.
  """
  _check_sampling(config.sampling)
  fields = config.scenes.to_dict()
  del fields['enabled']
  share = (lambda x: 0 <= x <= 1, 'a number from 0 to 1')
  for name, value in fields.items():
    valid, expected = _SCENE_CHECKS.get(name, share)
    if not valid(value):
      raise errors.SavosError(
        f'config.scenes.{name} is {value!r}.\n  Expected {expected}.'
      )
  return scenes_config.SceneConfig(
    size=tuple(config.sampling.crop_size),
    frames=config.sampling.clip_frames,
    **fields,
  )


def scene_records(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> list[sequences.Sequence]:
  """Opens the videos and photos that scenes are made of.

  Args:
    config: the configuration.
    workdir: see `make_sampler`.

  Returns:
    Those of `data.packs`, or else of `data.train_split` and `data.stills`;
    without `data.held_out` and the photos that validation clips are made of.

  Raises:
    SavosError: no data, or data that are malformed; `data.held_out` names what
      is not there.
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


def _training_data(config, workdir) -> tuple[list[sequences.Sequence], ...]:
  """Opens the videos, without those that are held out, and the photos."""
  data = config.data
  if data.packs:
    records = pack.read(*data.packs)
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
  """Refuses a misspelt name: its sequence would be trained on."""
  names = [record.name for record in records if len(record) > 1]
  unknown = set(held_out) - set(names)
  if unknown:
    raise errors.SavosError(
      f'config.data.held_out names {", ".join(sorted(unknown))}.\n'
      f'  Expected names of sequences of {where}: {", ".join(names[:4])}, ...'
    )


def _make_scenes(config, workdir) -> scenes_source.Scenes:
  """Reads all training images."""
  ranges = scene_config(config)
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


def make_sampler(
  config: config_dict.ConfigDict, workdir: pathlib.Path
) -> sampling.Sampler | scenes_source.Scenes:
  """Opens the training data and returns what makes examples of them.

  Args:
    config: the configuration.
    workdir: where embedded clips and inpainted backgrounds are put when the
      configuration names no folder.

  Returns:
    The sampler.

  Raises:
    SavosError: a field out of its range, no data, or data that are malformed.
  """
  data = config.data
  for name, value, least in (
    ('seed', config.seed, 0),
    ('data.workers', data.workers, 1),
  ):
    if value < least:
      raise errors.SavosError(
        f'config.{name} is {value}.\n  Expected at least {least}.'
      )
  if config.scenes.enabled:
    return _make_scenes(config, workdir)
  ranges = sampling_config(config)
  if data.source == 'segtrack' and not (
    data.train_split or data.stills or data.packs
  ):
    raise errors.SavosError(
      'SegTrack v2 has no training part.\n'
      '  Evaluate a network that was trained elsewhere: --mode=evaluate '
      '--config.eval.checkpoint=runs/davis17.'
    )
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


def load_split(
  config: config_dict.ConfigDict, workdir: pathlib.Path, split: str
) -> list[sequences.Sequence]:
  """Opens the videos of a split, from wherever `config.data.source` says.

  Args:
    config: the configuration.
    workdir: where embedded clips are put when no root is given.
    split: name of the image list; or 'held_out', the sequences of the training
      split that `config.data.held_out` names. That split is without them.

  Returns:
    The records.

  Raises:
    SavosError: no data, or data that are malformed; a sequence that is held
      out is none of the training split's.
  """
  train_split, held_out = config.data.train_split, config.data.held_out
  if split == HELD_OUT and not held_out:
    raise errors.SavosError(
      "a split is 'held_out', but config.data.held_out names no sequence.\n"
      f'  Expected names of sequences of {train_split!r}.'
    )
  if split not in (HELD_OUT, train_split) or not held_out:
    return _load(config, workdir, split)
  videos = _load(config, workdir, train_split)
  _check_held_out(held_out, videos, repr(train_split))
  return [
    video for video in videos if (video.name in held_out) == (split == HELD_OUT)
  ]


def _load(config, workdir, split) -> list[sequences.Sequence]:
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
    layout = segtrack.LAYOUT if data.source == 'segtrack' else davis.LAYOUT
    raise errors.SavosError(
      f'config.data.root is not set: where is the data?\n{layout}'
    )
  if data.source == 'tfds':
    return _load_tfds(data, workdir, split)
  if data.source == 'segtrack':
    return segtrack.load(data.root, split)
  kind = sequences.Sequence
  if data.source == 'youtube_vos':
    kind = youtube_vos.Video
  return davis.load(data.root, split, data.year, data.resolution, kind)


def sequence_attributes(
  config: config_dict.ConfigDict,
) -> dict[str, tuple[str, ...]]:
  """Returns what DAVIS says of its sequences: name -> attributes.

  Empty where the data set has no such file.

  Raises:
    SavosError: the file is malformed.
  """
  if config.data.source != 'davis' or not config.data.root:
    return {}
  return attributes.read(config.data.root)


def object_categories(config: config_dict.ConfigDict) -> dict[str, str]:
  """Returns which objects of val_split are of categories seen in training.

  Empty where the data set does not tell; see `categories.read`.

  Raises:
    SavosError: a file is malformed.
  """
  if config.data.source != 'youtube_vos' or not config.data.root:
    return {}
  return categories.read(pathlib.Path(config.data.root) / config.data.val_split)


def _load_tfds(data, workdir, split) -> list[sequences.Sequence]:
  # TensorFlow is slow to import, and only this source needs it to read.
  from savos_jax.datasets import tfds_davis

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
