"""Checks the configuration, and turns its fields into dataclasses."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from ml_collections import config_dict

from savos_jax import online
from savos_jax import rules
from savos_jax.data import lucid
from savos_jax.data import mask_noise
from savos_jax.data import sampling
from savos_jax.data.scenes import config as scenes_config
from savos_jax.datasets import davis
from savos_jax.datasets import segtrack
from savos_jax.datasets import tfds_davis
from savos_jax.foundation import errors
from savos_jax.foundation import ranges
from savos_jax.inference import dense_crf
from savos_jax.inference import options
from savos_jax.models import fields as model_fields
from savos_jax.models import savos_config
from savos_jax.weights import pretrained

HELD_OUT = 'held_out'  # The split made of config.data.held_out.


def check(
  config: config_dict.ConfigDict, mode: str = 'train_and_evaluate'
) -> None:
  """Checks every field of a configuration before anything is opened or created.

  Args:
    config: the configuration.
    mode: 'train_and_evaluate', 'train' or 'evaluate'. All fields are checked in
      every mode; which ones are required differs.

  Raises:
    SavosError: a field is missing, unknown, of another type, out of range, or
      inconsistent with another.
  """
  values = _flat('config', config.to_dict())
  for name in values:
    if name not in rules.RULES:
      raise errors.SavosError(
        f'{name}: there is no such field.\n'
        '  Expected a field of configs/default.py.'
      )
  for name in rules.RULES:
    if name not in values:
      raise errors.SavosError(
        f'{name} is missing.\n  Expected all fields of configs/default.py.'
      )
  try:
    ranges.check(rules.RULES, values)
  except ValueError as error:
    raise errors.SavosError(str(error)) from None
  for holds, problem in _relations(config, mode):
    if not holds:
      raise errors.SavosError(problem)


def _flat(prefix: str, tree: dict[str, Any]) -> dict[str, Any]:
  """Returns the leaves of nested dictionaries, named like 'a.b.c'."""
  leaves: dict[str, Any] = {}
  for name, value in tree.items():
    name = f'{prefix}.{name}'
    leaves |= _flat(name, value) if isinstance(value, dict) else {name: value}
  return leaves


def _relations(config, mode) -> Iterator[tuple[bool, str]]:
  """Yields whether each rule between fields holds, and the message if not.

  Every field is in range already.
  """
  train, data = config.train, config.data
  yield (
    train.warmup_steps < train.steps,
    f'config.train.warmup_steps is {train.warmup_steps}.\n'
    f'  Expected less than config.train.steps, {train.steps}.',
  )
  yield (
    train.seconds > 0 or train.schedule != 'cosine_seconds',
    f'config.train.seconds is 0, with config.train.schedule='
    f'{train.schedule!r}.\n  Expected seconds above 0, or a schedule over '
    'steps.',
  )
  yield (
    train.batch_size % train.accumulation == 0,
    f'config.train.batch_size is {train.batch_size}, with '
    f'config.train.accumulation={train.accumulation}.\n'
    f'  Expected a multiple of {train.accumulation}: all parts are equal.',
  )
  examples = train.steps * train.batch_size
  yield (
    not config.scenes.enabled or examples < 2**31,
    f'config.train.steps times batch_size is {examples}.\n'
    '  Expected less than 2**31 examples with config.scenes.enabled, which '
    'counts them in 32 bits.',
  )
  yield (
    data.train_split != HELD_OUT,
    f'config.data.train_split is {HELD_OUT!r}.\n  Expected the split from '
    'which config.data.held_out is left out.',
  )
  splits = {
    'data.val_split': data.val_split,
    'eval.every_split': config.eval.every_split,
  }
  # Packs contain all sequences; an evaluation must say which are held out.
  unused = mode == 'train' and data.packs and not config.eval.every_steps
  for name, split in splits.items():
    yield (
      bool(data.held_out or unused) or split != HELD_OUT,
      f'config.{name} is {HELD_OUT!r}, but config.data.held_out names no '
      f'sequence.\n  Expected names of sequences of {data.train_split!r}.',
    )
  resolutions = tuple(tfds_davis.RESOLUTIONS.values())
  yield (
    data.source != 'tfds'
    or (data.year == '2017' and data.resolution in resolutions),
    f'config.data.year is {data.year!r}, config.data.resolution '
    f"{data.resolution!r}.\n  Expected '2017' and one of {resolutions}: "
    'tensorflow_datasets has no other DAVIS.',
  )
  videos, jobs = config.eval.videos, config.eval.jobs
  yield (
    videos == 1 or jobs == 1,
    f'config.eval.videos is {videos}, with config.eval.jobs={jobs}.\n'
    '  Expected 1 of either: several videos at once in a process suit an '
    'accelerator, several processes a CPU.',
  )
  trains, evaluates = mode != 'evaluate', mode != 'train'
  if trains:
    yield _something_to_train_on(data)
  reads_root = (
    evaluates
    or config.eval.every_steps > 0
    or bool(data.train_split and not data.packs)
  )
  layout = segtrack.LAYOUT if data.source == 'segtrack' else davis.LAYOUT
  yield (
    bool(data.root) or data.source == 'embedded' or not reads_root,
    f'config.data.root is not set: where is the data?\n{layout}',
  )


def _something_to_train_on(data) -> tuple[bool, str]:
  problem = (
    'nothing to train on.\n  Expected config.data.packs, '
    'config.data.train_split or config.data.stills.'
  )
  if data.source == 'segtrack':
    problem = (
      'SegTrack v2 has no training part.\n'
      '  Evaluate a network that was trained elsewhere: --mode=evaluate '
      '--config.eval.checkpoint=runs/davis17.'
    )
  return bool(data.packs or data.train_split or data.stills), problem


def model_config(config: config_dict.ConfigDict) -> savos_config.SavosConfig:
  """Returns the architecture to train.

  Raises:
    SavosError: the file `config.model.pretrained` can't be read or is for
      another network.
  """
  model = _model_fields(config)
  path = config.model.pretrained
  return pretrained.architecture(path, model) if path else model


def _model_fields(config) -> savos_config.SavosConfig:
  fields = config.model.to_dict()
  del fields['pretrained']
  return savos_config.SavosConfig(**fields)


def evaluated_model(
  config: config_dict.ConfigDict, stored: savos_config.SavosConfig
) -> savos_config.SavosConfig:
  """Returns the architecture for evaluating a checkpoint.

  The file from which training started is no longer needed. A checkpoint named
  in `config.eval.checkpoint` may have any architecture.

  Args:
    config: the configuration.
    stored: the architecture stored in the checkpoint.

  Returns:
    `stored`, with the configured dtype of computation.

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
      'the checkpoint is for another network than config.model:\n    '
      + '\n    '.join(different)
      + '\n  Set config.model as it was in the training, or use another '
      '--workdir.'
    )
  return dataclasses.replace(stored, compute_dtype=wanted.compute_dtype)


def inference_config(
  config: config_dict.ConfigDict,
) -> options.InferenceConfig:
  """Returns the inference settings of an evaluation.

  Raises:
    SavosError: the dense CRF is enabled, but its library is not installed.
  """
  names = [field.name for field in dataclasses.fields(options.InferenceConfig)]
  found = options.InferenceConfig(**{name: config.eval[name] for name in names})
  if found.crf:
    dense_crf.require()  # Training would otherwise fail only at validation.
  return found


def online_config(config: config_dict.ConfigDict) -> online.OnlineConfig:
  """Returns the settings of online learning."""
  fields = config.online.to_dict()
  dreams = lucid.LucidConfig(**fields.pop('lucid'))
  noise = _taken_noise(fields)
  return online.OnlineConfig(**fields, lucid=dreams, noise=noise)


def _taken_noise(fields: dict[str, Any]) -> mask_noise.MaskNoise:
  """Pops the fields of the mask noise from a section."""
  names = [field.name for field in dataclasses.fields(mask_noise.MaskNoise)]
  return mask_noise.MaskNoise(**{x: fields.pop(f'mask_{x}') for x in names})


def lucid_config(config: config_dict.ConfigDict) -> lucid.LucidConfig:
  """Returns the ranges of lucid dreaming."""
  return lucid.LucidConfig(**config.lucid)


def sampling_config(config: config_dict.ConfigDict) -> sampling.SamplingConfig:
  """Returns the settings of training examples."""
  fields = config.sampling.to_dict()
  noise = _taken_noise(fields)
  return sampling.SamplingConfig(
    **fields, noise=noise, lucid=lucid_config(config)
  )


def scene_config(config: config_dict.ConfigDict) -> scenes_config.SceneConfig:
  """Returns the settings of scenes."""
  fields = config.scenes.to_dict()
  del fields['enabled']
  return scenes_config.SceneConfig(
    size=config.sampling.crop_size,
    frames=config.sampling.clip_frames,
    **fields,
  )
