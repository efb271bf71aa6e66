"""Tasks for worker processes, which import this module and little else."""

import logging
import os
import pathlib
import time

from savos_jax.foundation import errors
from savos_jax.foundation import workers


def begin(setup):
  """Returns what handles (name of a function here, arguments)."""
  if setup == 'refuse':
    raise errors.SavosError('refused.\n  Expected nothing.')
  if setup == 'die':
    os._exit(7)

  def handle(task, report):
    name, *arguments = task
    return globals()[name](report, *arguments)

  return handle


def where(report, folder, count):
  """Returns the CPU numbers and the process, when so many are at work."""
  folder, pid = pathlib.Path(folder), os.getpid()
  (folder / str(pid)).touch()
  end = time.monotonic() + 60
  while len(list(folder.iterdir())) < count and time.monotonic() < end:
    time.sleep(0.01)
  report('all are here')
  return frozenset(os.sched_getaffinity(0)), pid


def die(report, folder, times):
  """Ends its process so many times, before it returns how often that was."""
  folder = pathlib.Path(folder)
  before = len(list(folder.iterdir()))
  if before < times:
    (folder / str(before)).touch()
    os._exit(3)
  return before


def fail(report, kind):
  """Raises an error of the user's, of ours, or one that can't be pickled."""
  if kind == 'own':
    raise ZeroDivisionError('of ours')
  if kind == 'odd':
    error = ValueError('odd')
    error.of = lambda: None
    raise error
  raise errors.SavosError('wrong.\n  Expected right.')


def say(report, text):
  """Logs."""
  logging.getLogger('savos_jax.somewhere').warning('%s', text)


def wait(report, folder):
  """Waits for an interruption, and keeps what it has done."""
  path = pathlib.Path(folder) / str(os.getpid())
  try:
    report(os.getpid())
    time.sleep(60)
  except KeyboardInterrupt:
    time.sleep(0.2)  # Another one must not disturb it.
    path.touch()
    raise


def count_threads(report, network):
  """Returns how many threads OpenCV, ONNX Runtime and XLA start."""
  os.environ['XLA_FLAGS'] = ''
  import cv2
  import jax

  from savos_jax.inference import with_onnx

  def running():
    tasks = pathlib.Path('/proc/self/task').iterdir()
    return [(task / 'comm').read_text().strip() for task in tasks]

  before = len(running())
  runtime = with_onnx.Onnx(with_onnx.read(network))
  started = len(running()) - before
  jax.numpy.zeros(1).block_until_ready()
  del runtime
  return cv2.getNumThreads(), started + 1, running().count('tf_XLAEigen')


def main(folder):
  """Has two processes wait."""
  shares = [frozenset([0]), frozenset([0])]
  for event in workers.run(begin, '', [('wait', folder)] * 2, shares):
    if isinstance(event, workers.Told):
      print(event.value, flush=True)
