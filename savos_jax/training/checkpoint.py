"""Checkpoints: saved atomically, verified when read, with older ones to fall
back on.

An Orbax step folder holds the items `params`, `ema_params` (if averaging is
on), `optimizer` (not in the best one) and `meta`. `meta` has a fingerprint of
every item: without it a flipped bit would be restored unnoticed.
"""

from collections.abc import Iterator
import contextlib
import logging
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.models import fields
from savos_jax.models import savos_config
from savos_jax.training import state as state_lib
from savos_jax.weights import fingerprints
from savos_jax.weights import finite
from savos_jax.weights import pretrained

logger = logging.getLogger(__name__)


def _items(
  state: state_lib.TrainState, with_optimizer: bool = True
) -> dict[str, Any]:
  items = {'params': state.params}
  if with_optimizer:
    items['optimizer'] = state.opt_state
  if state.ema_params:
    items['ema_params'] = state.ema_params
  return items


def _check_step(folder, steps: list[int], step: int | None) -> None:
  if not steps or (step is not None and step not in steps):
    raise errors.SavosError(
      f'{folder}: no checkpoint{"" if step is None else f" {step}"}.\n'
      f'  Found steps: {", ".join(map(str, steps)) or "none"}. Train first '
      '(--mode=train), or name the --workdir of a finished training.'
    )


def _resolved(folder: pathlib.Path) -> pathlib.Path:
  """Returns a folder's absolute path, if Orbax can work in it.

  Raises:
    SavosError: its name has characters that TensorStore misinterprets.
  """
  folder = folder.resolve()
  if '\\' in str(folder) or not str(folder).isprintable():
    raise errors.SavosError(
      f'{folder}: not usable for checkpoints.\n  Expected a name in UTF-8 '
      'without backslashes or control characters: rename it.'
    )
  return folder


def _check_readable(folder: pathlib.Path) -> None:
  """Refuses a checkpoint without read permission, which is not damage.

  Raises:
    SavosError: a file or folder in it can't be read.
  """
  paths = [folder]
  for where, folders, names in os.walk(folder):
    paths += (pathlib.Path(where, name) for name in (*folders, *names))
  for path in paths:
    mode = os.R_OK | (os.X_OK if path.is_dir() else 0)
    if path.exists() and not os.access(path, mode):
      raise errors.SavosError(
        f'{path}: Permission denied.\n'
        '  Expected permission to read all files of the checkpoint.'
      )


def stored_architecture(
  folder: pathlib.Path, step: int | None = None
) -> savos_config.SavosConfig:
  """Reads the architecture that a training's checkpoints are for.

  Args:
    folder: `<workdir>/checkpoints`.
    step: which checkpoint; None: the newest that can be read.

  Returns:
    The architecture.

  Raises:
    SavosError: there is no such checkpoint, or none can be read.
  """
  folder = _resolved(folder)
  files.check_plain(folder)
  with ocp.CheckpointManager(folder) as manager:
    steps = sorted(manager.all_steps(), reverse=True)
    _check_step(folder, steps, step)
    for number in steps if step is None else [step]:
      _check_readable(folder / str(number))
      try:
        meta = manager.restore(
          number, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
        )['meta']
        found = meta['model']
      except Exception as error:  # Orbax has no common base of its errors.
        if errors.is_of_system(error):
          raise
        continue  # `restore_params` says which one is damaged.
      return pretrained.described(folder / str(number), found)
  raise errors.SavosError(
    f'{folder}: none of the checkpoints can be read '
    f'(steps {", ".join(map(str, steps))}).\n'
    '  Train again, or restore the folder from a copy.'
  )


def _first_line(error: Exception) -> str:
  text = str(error).strip().split('\n')[0][:200]
  return f'{type(error).__name__}: {text}'


class Checkpoints:
  """The checkpoints of one working directory."""

  def __init__(
    self,
    folder: pathlib.Path,
    model_config: savos_config.SavosConfig,
    keep: int | None = None,
  ):
    """Opens the folder, creating it if necessary.

    Args:
      folder: `<workdir>/checkpoints`.
      model_config: the architecture, stored with each checkpoint and compared
        when one is read.
      keep: how many to keep; None keeps all.

    Raises:
      SavosError: the folder contains something other than files and folders,
        such as a pipe.
    """
    self._folder = _resolved(folder)
    self._model_config = model_config
    self._written: int | None = None
    self._folder.mkdir(parents=True, exist_ok=True)
    files.check_plain(self._folder)
    # Of several processes, each opens the folder on its own, if at all: they
    # hold the same state.
    process = jax.process_index()
    self._manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        create=False,
        multiprocessing_options=ocp.options.MultiprocessingOptions(
          primary_host=process,
          active_processes={process},
          barrier_sync_key_prefix=f'process_{process}',
        ),
      ),
    )

  def __enter__(self):
    """Returns itself."""
    return self

  def __exit__(self, kind, *_):
    """Waits for the save in progress."""
    # The exception that ended the block matters more than a failed save.
    with contextlib.suppress(*([errors.SavosError] if kind else [])):
      self.close()

  def close(self) -> None:
    """Waits for the save in progress.

    Raises:
      SavosError: it failed.
    """
    with self._explained():
      try:
        self._manager.wait_until_finished()
      finally:
        self._manager.close()

  @contextlib.contextmanager
  def _explained(self) -> Iterator[None]:
    """Turns an error in this save, or the one before, into a SavosError."""
    try:
      yield
    except Exception as error:  # Orbax has no common base of its errors.
      whole = [step for step in self.steps() if step != self._written]
      kept = (
        f'Those of steps {whole} are whole' if whole else 'There is no other'
      )
      raise errors.SavosError(
        f'{self._folder}: the checkpoint of step {self._written} could not be '
        f'saved: {_first_line(error)}.\n'
        f'  {kept}. Free some space, or make the folder writable; the same '
        'command then resumes.'
      ) from None

  def steps(self) -> list[int]:
    """Returns the saved steps, newest first."""
    return sorted(self._manager.all_steps(), reverse=True)

  def save(
    self,
    state: state_lib.TrainState,
    note: dict[str, Any] | None = None,
    with_optimizer: bool = True,
  ) -> None:
    """Saves in the background, unless this step was the last one saved.

    Existing checkpoints of this step or later ones are removed: a training that
    repeats these steps resumed from an earlier one, because they are damaged or
    belong to another run.

    Args:
      state: the state.
      note: JSON stored beside it; `note` reads it.
      with_optimizer: False leaves out the optimiser's state; `restore_state`
        can't read such a checkpoint.
    """
    step = int(state.step)
    if step == self._written:
      return
    # Copied to the host: a checkpoint does not depend on devices.
    state = jax.device_get(state)
    for other in self.steps():
      if other >= step:
        self._manager.delete(other)
    items = _items(state, with_optimizer)
    meta = {
      'note': note or {},
      'step': step,
      'model': fields.as_fields(self._model_config),
      'fingerprints': {
        name: fingerprints.fingerprint(item) for name, item in items.items()
      },
    }
    arguments = {
      name: ocp.args.StandardSave(item) for name, item in items.items()
    }
    with self._explained():
      # A background failure surfaces when the next save starts.
      self._manager.wait_until_finished()
      self._written = step
      self._manager.save(
        step,
        args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **arguments),
        force=True,
      )

  def note(self, step: int) -> dict[str, Any]:
    """Returns the note passed to `save`; {} if there was none.

    Args:
      step: of a checkpoint that was just restored.
    """
    return self._meta(step).get('note', {})

  def restore_state(
    self, like: state_lib.TrainState
  ) -> state_lib.TrainState | None:
    """Restores the newest intact checkpoint.

    Args:
      like: a state with the same structure.

    Returns:
      The state, or None if nothing was saved.

    Raises:
      SavosError: the checkpoint is for another architecture or optimiser, or
        none is intact.
    """
    for step, restored in self._newest_whole(_items(like), None):
      state = state_lib.TrainState(
        step=np.asarray(step, like.step.dtype),
        params=restored['params'],
        opt_state=restored['optimizer'],
        ema_params=restored.get('ema_params', {}),
      )
      return jax.device_get(state)
    return None

  def restore_params(
    self, like: Any, use_ema: bool, step: int | None = None
  ) -> tuple[int, bool, Any]:
    """Restores only the parameters.

    Args:
      like: parameters with the same structure.
      use_ema: take the averaged ones, if the checkpoint has them.
      step: which checkpoint; None: the newest intact one.

    Returns:
      (step, whether they are the averaged ones, parameters).

    Raises:
      SavosError: no such checkpoint, another architecture, damage, or
        parameters that are not finite.
    """
    _check_step(self._folder, self.steps(), step)
    wanted = {'ema_params' if use_ema else 'params': like}
    for found, restored in self._newest_whole(wanted, step, params_like=like):
      ((name, params),) = restored.items()
      finite.check(f'{self._folder}, step {found}', params)
      return found, name == 'ema_params', params
    raise AssertionError('unreachable: steps exist')

  def _newest_whole(
    self, wanted: dict[str, Any], only: int | None, params_like: Any = None
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the newest checkpoint that is intact."""
    steps = self.steps() if only is None else [only]
    for step in steps:
      try:
        yield step, self._restore(step, wanted, params_like)
        return
      except errors.SavosError:
        raise
      except Exception as error:  # Orbax has no common base of its errors.
        if errors.is_of_system(error):
          raise
        logger.warning(
          'checkpoint %d in %s is damaged (%s); trying the one before',
          step, self._folder, _first_line(error),
        )  # fmt: skip
    if steps:
      raise errors.SavosError(
        f'{self._folder}: none of the checkpoints is intact '
        f'(steps {", ".join(map(str, steps))}).\n'
        '  Move the folder away to train from scratch.'
      )

  def _meta(self, step: int) -> dict[str, Any]:
    return self._manager.restore(
      step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
    )['meta']

  def _restore(self, step, wanted, params_like) -> dict[str, Any]:
    _check_readable(self._folder / str(step))
    meta = self._meta(step)
    self._check_model(step, meta['model'])
    saved = meta['fingerprints']
    if params_like is not None and not set(wanted) <= set(saved):
      wanted = {'params': params_like}  # Averaging was off.
    if params_like is None and set(wanted) != set(saved):
      raise errors.SavosError(
        f'{self._folder}, step {step}: contains {sorted(saved)}.\n'
        f'  Expected {sorted(wanted)}: config.train.ema_decay was switched '
        'on or off. Set it as it was, or use another --workdir.'
      )
    abstract = {
      name: jax.tree.map(ocp.utils.to_shape_dtype_struct, item)
      for name, item in wanted.items()
    }
    for name, item in abstract.items():
      self._check_shapes(step, name, item)
    try:
      restored = self._manager.restore(
        step,
        args=ocp.args.Composite(
          **{n: ocp.args.StandardRestore(a) for n, a in abstract.items()}
        ),
      )
    except ValueError as error:
      self._explain_structure(step, error)
      raise
    for name in wanted:
      if fingerprints.fingerprint(restored[name]) != saved[name]:
        raise OSError(f'fingerprint of {name!r} differs from the saved one')
    return {name: restored[name] for name in wanted}

  def _check_shapes(self, step: int, name: str, wanted: Any) -> None:
    """Raises OSError if arrays have other shapes, which Orbax does not check.

    It does check the number of arrays.
    """
    with ocp.StandardCheckpointer() as reader:
      stored = reader.metadata(self._folder / str(step) / name).item_metadata
    shapes = [
      sorted(leaf.shape for leaf in jax.tree.leaves(tree))
      for tree in (stored, wanted)
    ]
    if len(shapes[0]) == len(shapes[1]) and shapes[0] != shapes[1]:
      raise OSError(f'arrays of other shapes in {name!r}')

  def _check_model(self, step: int, found: dict) -> None:
    different = fields.differences(
      pretrained.described(self._folder / str(step), found),
      self._model_config,
    )
    if different:
      raise errors.SavosError(
        f'{self._folder}, step {step}: a checkpoint for another network:\n    '
        + '\n    '.join(different)
        + '\n  Set config.model as it was, or use another --workdir.'
      )

  def _explain_structure(self, step: int, error: ValueError) -> None:
    """Turns Orbax's error about a changed tree into a SavosError."""
    text = str(error)
    if 'tree structure' in text.lower() or 'do not match' in text.lower():
      raise errors.SavosError(
        f'{self._folder}, step {step}: the optimiser state has another '
        'structure.\n  Set config.train.optimizer, clip_norm and schedule as '
        'they were, or use another --workdir.'
      ) from None
