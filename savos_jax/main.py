r"""Trains and evaluates SAVOS.

  python -m savos_jax.main --config=configs/davis16.py --workdir=runs/davis16 \
      --config.data.root=/path/to/DAVIS

--config takes a file, or the name of a configuration in savos_jax: davis16.

Every field of the configuration (explained in configs/default.py) can be set on
the command line: --config.train.steps=1000. Started again with the same
--workdir, training resumes from the last checkpoint.
"""

import contextlib
import importlib
import logging
import os
import pathlib
import sys
import traceback

# TensorFlow only feeds data: its start-up messages are noise to the user.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

from absl import app
from absl import flags
from absl import logging as absl_logging
from ml_collections import config_flags

from savos_jax.foundation import errors
from savos_jax.foundation import files

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'The configuration, such as configs/davis16.py.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the config, logs, checkpoints and results.'
)
_MODE = flags.DEFINE_enum(
  'mode',
  'train_and_evaluate',
  ['train_and_evaluate', 'train', 'evaluate'],
  'What to do; evaluate needs the checkpoints of an earlier training run.',
)

_DISTRIBUTED = flags.DEFINE_bool(
  'distributed',
  False,
  'This is one of several processes of a run, all started with these flags. '
  'They find each other through SLURM, Open MPI, Kubernetes or Cloud TPU; '
  'elsewhere '
  'by JAX_COORDINATOR_ADDRESS (host:port of the first), JAX_NUM_PROCESSES and '
  'JAX_PROCESS_ID. See launch/.',
)

# Exit status after SIGTERM or Ctrl-C in training: saved but not finished.
_STOPPED = 143

logger = logging.getLogger('savos_jax')


def configure_logging(workdir: pathlib.Path, is_first: bool = True) -> None:
  """Logs to standard output and to workdir/logs/log.txt.

  Args:
    workdir: the working directory.
    is_first: whether this is the first of several processes; the others only
      log warnings.

  Raises:
    SavosError: the working directory can't be created or written to.
  """
  logger.setLevel(logging.INFO if is_first else logging.WARNING)
  logger.propagate = False
  logger.handlers.clear()
  formatter = logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S')
  if not is_first:
    logger.addHandler(logging.StreamHandler())
    return
  folder = workdir / 'logs'
  try:
    folder.mkdir(parents=True, exist_ok=True)
    log_file = logging.FileHandler(
      folder / 'log.txt', encoding='utf-8', errors='backslashreplace'
    )
  except OSError as error:
    raise errors.SavosError(
      f'{workdir}: not usable as a working directory: {error}.\n'
      '  Expected a --workdir that can be created and written to.'
    ) from None
  for handler in (logging.StreamHandler(sys.stdout), log_file):
    handler.setFormatter(formatter)
    logger.addHandler(handler)


def run(config, workdir: pathlib.Path, mode: str) -> None:
  """Trains, evaluates or both.

  Args:
    config: the configuration.
    workdir: the working directory; created if absent.
    mode: 'train_and_evaluate', 'train' or 'evaluate'.

  Raises:
    SavosError: something that the user can put right.
    SystemExit: a signal ended training early; status 143 tells the caller to
      start it again.
  """
  from savos_jax import evaluate
  from savos_jax import settings
  from savos_jax import validation
  from savos_jax.foundation import allocation
  from savos_jax.foundation import compilation_cache
  from savos_jax.foundation import distributed
  from savos_jax.training import loop

  # Days of training must not end with a typing error in the evaluation.
  settings.check(config, mode)
  allocation.keep()
  compilation_cache.enable()
  if mode != 'evaluate':
    with contextlib.ExitStack() as stack:
      if distributed.is_first():
        stack.enter_context(files.locked(workdir / '.training'))
      if not loop.train(config, workdir, validation.Validator):
        sys.exit(_STOPPED)
  if mode != 'train':
    evaluate.evaluate(config, workdir)


def joined(argv: list[str]) -> list[str]:
  """Joins '--config NAME' on the command line to '--config=NAME'."""
  if '--config' not in argv[:-1]:
    return argv
  at = argv.index('--config')
  return [*argv[:at], f'--config={argv[at + 1]}', *argv[at + 2 :]]


def by_name(argument: str) -> str:
  """Replaces the name of a configuration by the path of its file.

  Args:
    argument: of the command line, such as '--config=davis17' or
      '--config=shipped:held_out'.

  Returns:
    The argument with a path, such as '--config=/.../configs/davis17.py';
    unchanged if it names a file already, or is not --config.

  Raises:
    OSError: there is no such configuration, or the file can't be read.
  """
  flag, equals, value = argument.partition('=')
  name, colon, stage = value.partition(':')
  if flag not in ('-config', '--config') or not equals:
    return argument
  package = importlib.import_module('savos_jax.configs')
  configs = pathlib.Path(package.__path__[0])
  path = configs / f'{name}.py' if name.isidentifier() else pathlib.Path(name)
  found = files.problem(path)
  if found:
    names = sorted(p.stem for p in configs.glob('[a-z]*.py'))
    raise OSError(
      f'--config={name}: {found}.\n  Expected a .py file, or one of '
      f'{", ".join(names)}.'
    )
  return f'{flag}={path}{colon}{stage}'


def _in_config(error: BaseException) -> str:
  """Describes an error in a configuration file, and its place.

  Args:
    error: as raised there, perhaps wrapped by ml_collections.
  """
  while first := error.__cause__ or error.__context__:
    error = first
  if isinstance(error, SyntaxError):
    return f'{error.filename}, line {error.lineno}: {error.msg}.'
  if 'get_config() takes 0 positional' in str(error):
    return 'this configuration has no stages: leave out the ":" and the rest.'
  if isinstance(error, ValueError):  # Our configurations refuse stages so.
    return str(error)
  last = traceback.extract_tb(error.__traceback__)[-1]
  return (
    f'{last.filename}, line {last.lineno}: {type(error).__name__}: {error}.'
  )


def parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags; a misspelt field or file gives a message, no traceback.

  Raises:
    SavosError: a flag, a field or the configuration file is invalid.
  """
  if {'-h', '--help'} & set(argv):  # Absl's own exits with status 1.
    app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
  try:
    arguments = flags.FLAGS(list(map(by_name, joined(argv))))
    _CONFIG.value.lock()  # Any access raises if the file failed to load.
    if not (_WORKDIR.value or '').strip():
      raise OSError('--workdir is empty.')
    return arguments
  except (AttributeError, KeyError) as error:
    # The library's message is quoted twice and may suggest a name.
    text = str(error).strip('\'"').replace("\\'", '').replace('\\n', '. ')
    problem = f'no such field of the configuration: {text}'
    if "'get_config" in str(error) or "'lock'" in str(error):
      problem = (
        'no configuration.\n  Expected a file with get_config(), which returns '
        'a ConfigDict.'
      )
  except OSError as error:
    problem = str(error)
  except flags.Error as error:  # One line a flag.
    problem = str(error).replace('\n', '\n  ')
    if 'Traceback' in problem:
      problem = _in_config(error)
  except Exception as error:  # The file is a program: anything may be raised.
    problem = _in_config(error)
  raise errors.SavosError(
    f'{problem}\n  configs/default.py lists all fields, --help all flags.'
  )


def main(argv: list[str]) -> None:
  """Runs with the parsed flags.

  Raises:
    SavosError: something that the user can put right.
  """
  if len(argv) > 1:
    raise errors.SavosError(
      f'unexpected arguments: {" ".join(argv[1:])}.\n  Expected only flags, '
      'such as --workdir=FOLDER: --help lists them.'
    )
  # Orbax logs errors with tracebacks from each thread; ours are enough.
  absl_logging.set_verbosity(absl_logging.FATAL)
  assert _WORKDIR.value is not None  # It is required.
  workdir = pathlib.Path(_WORKDIR.value).expanduser()
  # JAX takes seconds to import: a mistyped flag should not wait for it.
  from savos_jax import settings
  from savos_jax.foundation import distributed

  settings.check(_CONFIG.value, _MODE.value)  # Before the log is opened.
  if not _DISTRIBUTED.value:
    configure_logging(workdir)
    run(_CONFIG.value, workdir, _MODE.value)
    return
  with distributed.joined():
    configure_logging(workdir, distributed.is_first())
    run(_CONFIG.value, workdir, _MODE.value)


def start(argv: list[str] | None = None) -> None:
  """Parses flags, by default those of the process, and runs.

  Errors are reported without a traceback.
  """
  flags.mark_flags_as_required(['config', 'workdir'])
  with errors.reported():
    app.run(main, argv, flags_parser=parse_flags)


def run_mode(mode: str, arguments: list[str]) -> None:
  """Runs a command of `savos_jax.cli`: 'train' or 'evaluate'."""
  name = f'savos-jax {mode}'
  # Absl's help shows the flags and the docstring of the main module.
  sys.argv[0] = name
  for flag in flags.FLAGS.get_key_flags_for_module(__name__):
    if flag is not flags.FLAGS[_MODE.name]:
      flags.FLAGS.register_key_flag_for_module(name, flag)
  told = __doc__.replace('python -m savos_jax.main', name)
  sys.modules['__main__'].__doc__ = told
  start([name, f'--mode={mode}', *arguments])


if __name__ == '__main__':
  start()
