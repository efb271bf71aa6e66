"""The training loop: restore, batch, step, log, save, validate, in this order.

A state is saved before it is validated, so that a failed or slow validation
loses no step.
"""

import collections
from collections.abc import Callable
import contextlib
import dataclasses
import functools
import logging
import pathlib
import time
from typing import Protocol

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np

from savos_jax import objective
from savos_jax import opening
from savos_jax import settings
from savos_jax.data import pipeline
from savos_jax.data import sampling
from savos_jax.data.loaders import tf as tf_loader
from savos_jax.data.scenes import source as scenes_source
from savos_jax.foundation import distributed
from savos_jax.foundation import errors
from savos_jax.models import savos
from savos_jax.training import checkpoint
from savos_jax.training import metric_writing
from savos_jax.training import optimizer as optimizer_lib
from savos_jax.training import record
from savos_jax.training import sharding
from savos_jax.training import state as state_lib
from savos_jax.training import steps
from savos_jax.training import stopping
from savos_jax.weights import pretrained

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class _Window:
  """Metrics and times since the last log line."""

  metrics: list[dict[str, jax.Array]] = dataclasses.field(default_factory=list)
  started: float = dataclasses.field(default_factory=time.monotonic)
  waited: float = 0.0

  def leave_out(self, seconds: float) -> None:
    """Excludes a time in which nothing was trained."""
    self.started += seconds

  def summary(self, batch_size: int) -> dict[str, float]:
    """Returns the means of the metrics and the speed; waits for the device."""
    fetched = jax.device_get(self.metrics)
    means = {
      name: float(np.mean([metrics[name] for metrics in fetched]))
      for name in fetched[0]
    }
    seconds = time.monotonic() - self.started
    return means | {
      'examples_per_second': len(fetched) * batch_size / seconds,
      'data_wait_fraction': self.waited / seconds,
    }


class _FiniteCheck:
  """Stops on a loss that is not finite, one step late.

  The delay keeps the host from waiting for the device at every step.
  """

  def __init__(self, sampler: sampling.Sampler | scenes_source.Scenes):
    self._sampler = sampler
    self._pending: collections.deque[tuple] = collections.deque()

  def add(self, step, indices, metrics) -> None:
    self._pending.append((step, indices, metrics))
    while len(self._pending) > 1:
      self._check(*self._pending.popleft())

  def flush(self) -> None:
    """Checks all pending steps, so that no bad state is saved."""
    while self._pending:
      self._check(*self._pending.popleft())

  def _check(self, step, indices, metrics) -> None:
    for name in ('loss', 'gradient_norm'):
      value = float(metrics[name])
      if not np.isfinite(value):
        examples = '\n    '.join(self._sampler.names(indices))
        raise errors.SavosError(
          f'training stopped at step {step}: {name} is {value}.\n'
          f'  The batch contained:\n    {examples}\n'
          '  This state was not saved. Lower config.train.learning_rate, or '
          'set config.train.clip_norm; when started again, training resumes '
          'from the last checkpoint.'
        )


def _objective(train: config_dict.ConfigDict) -> objective.Objective:
  names = [field.name for field in dataclasses.fields(objective.Objective)]
  names.remove('encoder')
  return objective.Objective(
    encoder=train.encoder_learning_rate_factor > 0,
    **{name: train[name] for name in names},
  )


def _describe_parameters(params, workdir: pathlib.Path) -> None:
  table = metric_writing.parameter_table(params)
  path = workdir / 'logs' / 'parameters.txt'
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(table + '\n')
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  logger.info('%.2f M parameters, listed in %s', count / 1e6, path)


def _log_line(step, total, summary, schedule) -> None:
  rate = summary['examples_per_second']
  eta = summary.pop('eta_seconds')
  hours, rest = divmod(round(eta), 3600)
  logger.info(
    'step %d/%d (%d %%)  loss %.4g  IoU %.3f  lr %.2g  %.2f examples/s  '
    'data wait %.1f %%  ETA %d:%02d:%02d',
    step, total, 100 * step // total, summary['loss'], summary['iou'],
    float(schedule(step)), rate, 100 * summary['data_wait_fraction'],
    hours, rest // 60, rest % 60,
  )  # fmt: skip


class Validator(Protocol):
  """Scores a network while it trains, as `savos_jax.validation` does."""

  def begin(self, state: state_lib.TrainState) -> None:
    """Receives the state from which training starts or resumes."""

  def due(self, step: int) -> bool:
    """Returns whether to score the state after this step."""

  def run(
    self, state: state_lib.TrainState, writer: metric_writing.Writer
  ) -> float:
    """Scores a state; returns the seconds it took."""

  def close(self) -> None:
    """Ends it."""


MakeValidator = Callable[
  [config_dict.ConfigDict, pathlib.Path, savos.SAVOS], Validator
]


def train(
  config: config_dict.ConfigDict,
  workdir: pathlib.Path,
  make_validator: MakeValidator | None = None,
) -> bool:
  """Trains until config.train.steps, or resumes training.

  Uses all devices of all processes; only the first process writes.

  Args:
    config: the configuration.
    workdir: receives `config.json`, `logs` (TensorBoard), `checkpoints` and, if
      it validates, `checkpoints_best`. Training resumes from its newest
      checkpoint, if there is one.
    make_validator: makes the validator that scores the network during training;
      None: no validation.

  Returns:
    True when all steps are done, False if a signal ended training early; either
    way the last state is saved.

  Raises:
    SavosError: bad configuration or data, or a loss that is not finite.
  """
  settings.check(config, 'train')
  train_config = config.train
  mesh = sharding.make_mesh()
  sharding.check_batch(
    train_config.batch_size, train_config.accumulation, mesh.size
  )
  if config.scenes.enabled and jax.process_count() > 1:
    raise errors.SavosError(
      f'config.scenes.enabled is set, with {jax.process_count()} processes.\n'
      '  Expected a single process: scenes are made on its devices.'
    )
  model_config = settings.model_config(config)
  tf_loader.hide_accelerators()
  sampler = opening.make_sampler(config, workdir)

  model = savos.SAVOS(model_config)
  first = distributed.is_first()
  validator = None
  if first and make_validator:
    validator = make_validator(config, workdir, model)
  shapes = state_lib.param_shapes(model)
  schedule = optimizer_lib.make_schedule(train_config)
  optimizer = optimizer_lib.make_optimizer(
    train_config, shapes, pretrained=bool(config.model.pretrained)
  )
  state = jax.jit(
    functools.partial(
      state_lib.create,
      model,
      optimizer=optimizer,
      use_ema=train_config.ema_decay > 0,
    )
  )(jax.random.key(config.seed))
  if mesh.size > 1:
    logger.info(
      '%d devices in %d processes, %d examples on each per step',
      mesh.size, jax.process_count(), train_config.batch_size // mesh.size,
    )  # fmt: skip

  step_function = jax.jit(
    functools.partial(
      steps.train_step,
      model=model,
      optimizer=optimizer,
      objective=_objective(train_config),
      ema_decay=train_config.ema_decay,
      mesh=mesh,
      parts=train_config.accumulation,
    ),
    donate_argnums=0,
  )
  with contextlib.ExitStack() as stack:
    checkpoints = None
    if first:
      _describe_parameters(state.params, workdir)
      checkpoints = stack.enter_context(
        checkpoint.Checkpoints(
          workdir / 'checkpoints', model_config, train_config.keep_checkpoints
        )
      )
      state = _start(config, state, checkpoints)
    state = sharding.put_state(sharding.from_first(jax.device_get(state)), mesh)
    state, done = _run(
      config,
      workdir,
      state,
      mesh,
      step_function,
      sampler,
      schedule,
      checkpoints=checkpoints,
      validator=validator,
    )
  # The others must not read before the first process has written.
  distributed.wait_for_all('trained')
  return done


def _start(config, state, checkpoints) -> state_lib.TrainState:
  """Returns the newest checkpoint's state, or imported weights, or `state`."""
  restored = checkpoints.restore_state(state)
  if restored is not None:
    logger.info('resuming from the checkpoint of step %d', int(restored.step))
    return restored
  if not config.model.pretrained:
    return state
  params = pretrained.load(config.model.pretrained, state.params)
  logger.info('starting from the weights of %s', config.model.pretrained)
  return state_lib.start_from(state, params)


def _batches(config, sampler, start, total):
  """Iterates over the batches of the steps start .. total - 1."""
  if isinstance(sampler, scenes_source.Scenes):
    return sampler.batches(start, total, config.train.batch_size)
  sampler.prepare_backgrounds(config.data.workers)
  return pipeline.batches(
    sampler.example,
    tuple(config.sampling.crop_size),
    config.sampling.clip_frames,
    config.train.batch_size,
    start,
    total,
    config.data.workers,
    config.data.prefetch,
    jax.process_index(),
    jax.process_count(),
    config.data.loader,
  )


def _run(
  config,
  workdir,
  state,
  mesh,
  step_function,
  sampler,
  schedule,
  *,
  checkpoints,
  validator,
) -> tuple[state_lib.TrainState, bool]:
  """Runs the loop; without `checkpoints` and `validator` it writes nothing.

  Returns:
    The state, and whether training is complete.
  """
  train_config = config.train
  start, total = int(state.step), train_config.steps
  if start >= total:
    logger.info('all %d steps are done already', total)
    return state, True
  if checkpoints:
    record.keep(config, workdir, start)  # Every check has passed by now.
  batches = _batches(config, sampler, start, total)
  check = _FiniteCheck(sampler)
  writer = metric_writing.NoWriter()
  if checkpoints:
    again = start + 1 if start else 0
    writer = metric_writing.open_writer(workdir / 'logs', again)
  if validator:
    validator.begin(state)
  window = _Window()
  begun, late = time.monotonic(), False
  with (
    stopping.requested() as stop_after,
    contextlib.closing(batches),
    contextlib.closing(validator) if validator else contextlib.nullcontext(),
  ):
    for step in range(start + 1, total + 1):
      waiting_since = time.monotonic()
      batch = next(batches)
      window.waited += time.monotonic() - waiting_since
      indices = batch.pop('index')

      factor = optimizer_lib.factor_of_time(
        train_config, time.monotonic() - begun
      )
      batch = sharding.put_batch(batch, mesh)
      if factor is None:
        state, metrics = step_function(state, batch)
      else:
        state, metrics = step_function(state, batch, jnp.float32(factor))
      check.add(step, indices, metrics)
      if step == start + 1:
        check.flush()
        logger.info(
          'first step (with compilation) took %.1f s',
          time.monotonic() - window.started,
        )
        writer.write_scalars(step, jax.device_get(metrics))
        window = _Window()
        begun = time.monotonic()  # Compilation is not counted.
      else:
        window.metrics.append(metrics)

      if window.metrics and (
        step % train_config.log_every == 0 or step == total
      ):
        summary = window.summary(train_config.batch_size)
        writer.write_scalars(
          step, summary | {'learning_rate': float(schedule(step))}
        )
        examples_left = (total - step) * train_config.batch_size
        summary['eta_seconds'] = examples_left / summary['examples_per_second']
        _log_line(step, total, summary, schedule)
        window = _Window()

      late = 0 < train_config.seconds < time.monotonic() - begun
      stop = stop_after(step) or late
      if step % train_config.checkpoint_every == 0 or step == total:
        check.flush()
        if checkpoints:
          checkpoints.save(state)
      if validator and validator.due(step) and not stop:
        check.flush()
        window.leave_out(validator.run(state, writer))
      if stop:
        check.flush()
        if checkpoints:
          checkpoints.save(state)
        logger.info(
          'stopped %s after step %d; the state is saved. The same command '
          'resumes from here.',
          'by config.train.seconds' if late else 'by a signal',
          step,
        )
        break
  writer.close()
  # A schedule over time is complete when its time is up.
  over = late and train_config.schedule == 'cosine_seconds'
  return state, over or int(state.step) >= total
