"""Optimisers and learning-rate schedules built from the configuration."""

import math
from typing import Any

import jax
from ml_collections import config_dict
import optax


def make_schedule(train: config_dict.ConfigDict) -> optax.Schedule:
  """Returns step -> learning rate.

  Args:
    train: `config.train`.
  """
  decay_steps = max(1, train.steps - train.warmup_steps)
  rate = train.learning_rate
  if train.schedule == 'poly':
    decay = optax.polynomial_schedule(rate, 0.0, train.poly_power, decay_steps)
  elif train.schedule == 'cosine':
    decay = optax.cosine_decay_schedule(rate, decay_steps)
  else:  # 'constant', or 'cosine_seconds': see `factor_of_time`.
    decay = optax.constant_schedule(rate)
  if not train.warmup_steps:
    return decay
  warmup = optax.linear_schedule(0.0, rate, train.warmup_steps)
  return optax.join_schedules([warmup, decay], [train.warmup_steps])


def factor_of_time(
  train: config_dict.ConfigDict, seconds: float
) -> float | None:
  """Returns the factor of the learning rate after some time.

  For trainings with a time limit rather than a number of steps:
  'cosine_seconds' reaches 0 after `train.seconds`.

  Args:
    train: `config.train`.
    seconds: since the first step was compiled.

  Returns:
    The factor, from 1 down to 0; None for schedules that only count steps.
  """
  if train.schedule != 'cosine_seconds':
    return None
  progress = min(1.0, seconds / train.seconds)
  return 0.5 * (1.0 + math.cos(math.pi * progress))


def _path_names(path) -> list[str]:
  return [str(key.key) for key in path]


def _is_batch_norm(path) -> bool:
  return any(name.startswith('bn') or name.endswith('_bn') for name in path)


def parameter_groups(
  params: Any, freeze_batch_norm: bool, freeze_encoder: bool = False
) -> Any:
  """Labels each parameter 'encoder', 'other' or 'frozen'.

  Args:
    params: the network's parameters.
    freeze_batch_norm: whether the scales and biases of the encoder's BatchNorms
      are 'frozen', as after an import.
    freeze_encoder: whether the whole encoder is 'frozen'.

  Returns:
    A tree of labels.
  """

  def label(path, _):
    names = _path_names(path)
    if freeze_batch_norm and _is_batch_norm(names):
      return 'frozen'
    if 'encoder' not in names:
      return 'other'
    return 'frozen' if freeze_encoder else 'encoder'

  return jax.tree_util.tree_map_with_path(label, params)


def make_optimizer(
  train: config_dict.ConfigDict, params: Any, pretrained: bool
) -> optax.GradientTransformation:
  """Builds the optimiser.

  Args:
    train: `config.train`.
    params: the parameters, or their shapes.
    pretrained: whether training starts from a file; only then are there
      BatchNorms to freeze.

  Returns:
    clipping -> SGD with momentum or AdamW -> a lower rate for the encoder.
  """
  schedule = make_schedule(train)
  groups = parameter_groups(
    params,
    pretrained and train.freeze_batch_norm,
    freeze_encoder=train.encoder_learning_rate_factor == 0,
  )
  frozen = jax.tree.map(lambda group: group == 'frozen', groups)
  kernels = jax.tree.map(lambda leaf: leaf.ndim > 1, params)
  if train.optimizer == 'sgd':
    # Weight decay enters the momentum, as in PyTorch.
    core = [
      optax.add_decayed_weights(train.weight_decay, kernels),
      optax.sgd(schedule, train.momentum),
    ]
  else:
    core = [
      optax.adamw(schedule, weight_decay=train.weight_decay, mask=kernels)
    ]
  clip = [optax.clip_by_global_norm(train.clip_norm)] if train.clip_norm else []
  per_group = {
    'encoder': optax.scale(train.encoder_learning_rate_factor),
    'other': optax.identity(),
    'frozen': optax.set_to_zero(),
  }
  return optax.chain(
    # Before clipping: frozen parameters must not count towards the norm.
    optax.masked(optax.set_to_zero(), frozen),
    *clip,
    *core,
    optax.partition(per_group, groups),
  )
