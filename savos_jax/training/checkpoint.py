"""Checkpoints: saved whole, verified when read, older ones as a fallback.

An Orbax step folder holds the items `params`, `ema_params` (where averaging is
on), `optimizer` (not in the best one) and `meta`. `meta` carries a fingerprint
of every item: a flipped bit would otherwise restore silently.
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
    SavosError: its name has what TensorStore takes for something else.
  """
  folder = folder.resolve()
  if '\\' in str(folder) or not str(folder).isprintable():
    raise errors.SavosError(
      f'{folder}: no folder for checkpoints.\n  Expected a name in UTF-8, '
      'without a backslash and control characters: rename it.'
    )
  return folder


def _check_readable(folder: pathlib.Path) -> None:
  """Refuses a checkpoint that may not be read: that is no damage.

  Raises:
    SavosError: a file or folder in it may not be.
  """
  paths = [folder]
  for where, folders, names in os.walk(folder):
    paths += (pathlib.Path(where, name) for name in (*folders, *names))
  for path in paths:
    mode = os.R_OK | (os.X_OK if path.is_dir() else 0)
    if path.exists() and not os.access(path, mode):
      raise errors.SavosError(
        f'{path}: Permission denied.\n'
        '  Expected a checkpoint that may be read, all its files.'
      )


def stored_architecture(
  folder: pathlib.Path, step: int | None = None
) -> savos_config.SavosConfig:
  """Reads what network a training's checkpoints are of.

  Args:
    folder: `<workdir>/checkpoints`.
    step: which checkpoint; None is the newest that can be read.

  Returns:
    The architecture.

  Raises:
    SavosError: no such checkpoint, or none that can be read.
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
    """Opens the folder; makes it if it is not there.

    Args:
      folder: `<workdir>/checkpoints`.
      model_config: the architecture, stored with each checkpoint and compared
        when one is read.
      keep: how many are kept; None keeps all.

    Raises:
      SavosError: in the folder is what is no file, as a pipe.
    """
    self._folder = _resolved(folder)
    self._model_config = model_config
    self._written: int | None = None
    self._folder.mkdir(parents=True, exist_ok=True)
    files.check_plain(self._folder)
    # Of several processes each opens a folder for itself, if at all: what
    # they hold is the same.
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
    # What ended the block says more than what it left behind.
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
    """Turns what goes wrong in a save, or did in the one before, into ours."""
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
        f'  {kept}. Make space, or see that the folder can be written to; the '
        'same command then goes on.'
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
    """Saves in the background; does nothing if it has saved this step last.

    What lies there of this step or a later one is removed: a training that
    takes these steps again went on from an earlier one, since they are damaged
    or not its own.

    Args:
      state: the state.
      note: is kept beside it, JSON; `note` reads it.
      with_optimizer: False leaves the optimiser's state out, and
        `restore_state` can't read it.
    """
    step = int(state.step)
    if step == self._written:
      return
    # On whatever devices the state was: a checkpoint is of none.
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
      # What failed in the background shows when the next one begins.
      self._manager.wait_until_finished()
      self._written = step
      self._manager.save(
        step,
        args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **arguments),
        force=True,
      )

  def note(self, step: int) -> dict[str, Any]:
    """Returns what was noted in `save`, {} if nothing was.

    Args:
      step: of a checkpoint that was just restored.
    """
    return self._meta(step).get('note', {})

  def restore_state(
    self, like: state_lib.TrainState
  ) -> state_lib.TrainState | None:
    """Restores the newest whole checkpoint.

    Args:
      like: a state of the same structure.

    Returns:
      The state, or None if nothing was saved.

    Raises:
      SavosError: the checkpoint is of another architecture or optimiser, or
        none is whole.
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
    """Restores parameters alone.

    Args:
      like: parameters of the same structure.
      use_ema: the averaged ones, where the checkpoint has them.
      step: which checkpoint; None is the newest whole one.

    Returns:
      (step, whether they are the averaged ones, parameters).

    Raises:
      SavosError: no such checkpoint, another architecture, damage, or
        parameters that are no finite numbers.
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
    """Yields the first checkpoint that reads whole, walking back in time."""
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
        f'{self._folder}: none of the checkpoints reads whole '
        f'(steps {", ".join(map(str, steps))}).\n'
        '  Move the folder away to train from the start.'
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
      wanted = {'params': params_like}  # No averaged ones were kept.
    if params_like is None and set(wanted) != set(saved):
      raise errors.SavosError(
        f'{self._folder}, step {step}: holds {sorted(saved)}.\n'
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
    """Raises OSError if arrays are of other shapes: Orbax reads any.

    Of another number of arrays it says so itself.
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
        f'{self._folder}, step {step}: a checkpoint of another network:\n    '
        + '\n    '.join(different)
        + '\n  Set config.model as it was, or use another --workdir.'
      )

  def _explain_structure(self, step: int, error: ValueError) -> None:
    """Turns Orbax' complaint about a changed tree into ours."""
    text = str(error)
    if 'tree structure' in text.lower() or 'do not match' in text.lower():
      raise errors.SavosError(
        f'{self._folder}, step {step}: the optimiser state has another '
        'structure.\n  Set config.train.optimizer, clip_norm and schedule as '
        'they were, or use another --workdir.'
      ) from None
