"""Loads a trained network from a training's folder or an exported file."""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import numpy as np

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.foundation import json_files
from savos_jax.foundation import typed
from savos_jax.inference import options
from savos_jax.models import fields
from savos_jax.models import savos
from savos_jax.weights import pretrained
from savos_jax.weights import tensor_file

_MOST_STEPS = 1 << 31
_KEPT_SECTIONS = ('seed', 'sampling', 'lucid', 'train', 'eval')


@dataclasses.dataclass(frozen=True)
class Trained:
  """A trained network.

  Attributes:
    model: the network.
    params: its parameters, float32.
    step: of the training.
    averaged: whether the parameters are the averaged ones.
    config: the training's configuration without paths; {} if it was not kept.
  """

  model: savos.SAVOS
  params: Any
  step: int
  averaged: bool
  config: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Told:
  """The description of the training in a file, under its field names."""

  step: int = 0
  averaged: bool = False


def load(
  path: str | os.PathLike,
  step: int | None = None,
  use_ema: bool = True,
  use_best: bool = False,
) -> Trained:
  """Loads a trained network, whose architecture the checkpoint describes.

  Args:
    path: a file of `tools.export_checkpoint`, or the --workdir of a training;
      'default' is the shipped network.
    step: which checkpoint of a training; None: the newest intact one.
    use_ema: whether to take a training's averaged parameters, if there are any.
    use_best: whether to take the best checkpoint in validation instead of the
      newest.

  Returns:
    The network.

  Raises:
    SavosError: the path does not exist or is damaged, there is no such step,
      the file is only a backbone, or parameters are not finite.
  """
  path = checkpoints.find(path)
  if path.is_dir():
    return _load_workdir(path, step, use_ema, use_best)
  if use_best and path.exists():
    raise errors.SavosError(
      f'{path}: has a single checkpoint, so there is no best one.\n'
      '  Expected the --workdir of a training; or leave use_best out.'
    )
  return _read(path, step)


def _load_workdir(workdir, step, use_ema, use_best) -> Trained:
  # They take long to import.
  from savos_jax.training import best
  from savos_jax.training import checkpoint
  from savos_jax.training import state as state_lib

  folder = workdir / (best.FOLDER if use_best else 'checkpoints')
  if use_best and not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder, so there is no best checkpoint.\n'
      '  Expected a training with config.eval.every_steps above 0; or leave '
      'use_best out, for the newest.'
    )
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder, so there is no checkpoint.\n'
      '  Train first (--mode=train), or name the --workdir of a training or a '
      'file of savos_jax.tools.export_checkpoint.'
    )
  model = savos.SAVOS(checkpoint.stored_architecture(folder, step))
  with checkpoint.Checkpoints(folder, model.config) as saved:
    found, averaged, params = saved.restore_params(
      state_lib.param_shapes(model), use_ema, step
    )
  return Trained(model, params, found, averaged, _training_config(workdir))


def _training_config(workdir: pathlib.Path) -> dict[str, Any]:
  path = workdir / 'config.json'
  if not os.path.lexists(path):
    return {}
  config = json_files.read(
    path,
    'Expected what the training wrote: restore it, or remove it to do without.',
    {},
  )
  # Paths on the training machine are useless elsewhere.
  config = {name: config[name] for name in _KEPT_SECTIONS if name in config}
  _check_config(path, config)
  config.get('eval', {}).pop('checkpoint', None)
  return config


def _check_config(path: pathlib.Path, config: Any) -> None:
  """Refuses a configuration with invalid fields among those that are used."""
  told = config.get('eval', {}) if isinstance(config, dict) else config
  if isinstance(told, dict):
    known = {
      field.name for field in dataclasses.fields(options.InferenceConfig)
    }
    told = {name: value for name, value in told.items() if name in known}
  try:
    typed.build(options.InferenceConfig, told)
  except ValueError as error:
    found = str(error).partition('.\n')[0]
    raise errors.SavosError(
      f'{path}: its config.eval is not understood: {found}.\n  Expected the '
      'file as training wrote it; a later version of savos_jax may have '
      'written it.'
    ) from None


def _told(path: pathlib.Path, description: dict[str, Any]) -> _Told:
  """Returns a network file's description of its training."""
  missing = {'architecture', 'step', 'averaged', 'config'} - set(description)
  if missing:
    raise errors.SavosError(
      f'{path}: does not state its {", ".join(sorted(missing))}.\n'
      '  Expected a file of savos_jax.tools.export_checkpoint: export it again.'
    )
  known = {name: description[name] for name in ('step', 'averaged')}
  try:
    told = typed.build(_Told, known, {'step': _MOST_STEPS})
  except ValueError as error:
    raise errors.SavosError(
      f'{path}: its description is not understood: {error}.\n  Expected a '
      'file of savos_jax.tools.export_checkpoint: export it again.'
    ) from None
  _check_config(path, description['config'])
  return told


def _shapes(model: savos.SAVOS) -> Any:
  """Returns the shapes of a network's parameters."""
  from savos_jax.training import state as state_lib  # Takes long to import.

  return state_lib.param_shapes(model)


def _read(path: pathlib.Path, step: int | None) -> Trained:
  kind, description = tensor_file.read_description(path)
  if kind != 'model':
    raise errors.SavosError(
      f'{path}: a {kind} alone cannot segment.\n'
      '  Expected a trained network, from savos_jax.tools.export_checkpoint. '
      'To train from this file: --config.model.pretrained.'
    )
  told = _told(path, description)
  if step not in (None, told.step):
    raise errors.SavosError(
      f'{path}: contains only step {told.step}.\n'
      f'  Expected step {step}: name the --workdir of the training.'
    )
  model = savos.SAVOS(pretrained.described(path, description['architecture']))
  # Tracing takes longer than reading, and the shipped file is right.
  shapes = None if checkpoints.is_shipped(path) else _shapes(model)
  params = tensor_file.read_params(path, shapes)
  return Trained(model, params, told.step, told.averaged, description['config'])


def write(
  path: str | os.PathLike, trained: Trained, dtype: str = 'float32'
) -> str:
  """Writes a network to one file; `load` and `pretrained.load` read it.

  Args:
    path: the file.
    trained: the network.
    dtype: of the arrays in the file: 'float32', or 'float16' for half the
      size; reading converts them to float32.

  Returns:
    The checksum of the arrays.

  Raises:
    SavosError: the file can't be written, or a value overflows float16.
  """
  params = jax.tree.map(
    lambda array: np.asarray(array).astype(dtype),
    jax.device_get(trained.params),
  )
  if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
    raise errors.SavosError(
      f'{path}: some parameters are not finite in {dtype}.\n'
      '  Nothing was written. Export as float32; if that fails too, the '
      'training diverged.'
    )
  description = {
    'architecture': fields.as_fields(trained.model.config),
    'step': trained.step,
    'averaged': trained.averaged,
    'config': trained.config,
  }
  return tensor_file.write(path, 'model', params, description)
