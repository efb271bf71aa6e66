r"""Kills a training again and again, and compares what comes out in the end.

  python -m tests.fault_injection --kills=30 [--processes=2] [--seed=0]

A training is run once in peace. Then the same one, with a checkpoint a step, is
started and killed (SIGKILL) at random moments, anywhere from its start to its
end, so many times, and then left to finish. Every start must go on from a
checkpoint that was whole, none may be behind the one before, and the state in
the end must be that of the undisturbed training, bit for bit.
"""

import argparse
import dataclasses
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import tqdm

from savos_jax import network
from savos_jax.weights import fingerprints

REPOSITORY = pathlib.Path(__file__).parents[1]
_STARTED = re.compile(r'resuming from the checkpoint of step (\d+)')
_FLAGS = (
  '--config=configs/smoke.py',
  '--mode=train',
  '--config.sampling.clip_frames=1',
  '--config.train.checkpoint_every=1',
  '--config.train.log_every=1',
)


@dataclasses.dataclass
class Outcome:
  """What came of it.

  Attributes:
    kills: how many starts were killed.
    steps: at which each start went on; 0 from the beginning.
    same: whether the final state is the undisturbed one's.
    errors: what was printed by starts that failed by themselves.
  """

  kills: int
  steps: list[int]
  same: bool
  errors: list[str]

  @property
  def good(self) -> bool:
    """Whether nothing was lost and nothing is wrong."""
    return self.same and not self.errors and self.steps == sorted(self.steps)


def _start(workdir: pathlib.Path, steps: int, processes: int):
  """Starts the training; its output goes to a file in the folder."""
  flags = [*_FLAGS, f'--workdir={workdir}', f'--config.train.steps={steps}']
  command = [sys.executable, '-m', 'savos_jax.main', *flags]
  if processes > 1:
    batch = f'--config.train.batch_size={2 * processes}'
    command = ['launch/local_processes.sh', str(processes), *flags, batch]
  output = (workdir / 'output.txt').open('w')
  environment = os.environ | {'JAX_PLATFORMS': 'cpu', 'PYTHON': sys.executable}
  with output:
    return subprocess.Popen(
      command,
      cwd=REPOSITORY,
      env=environment,
      stdout=output,
      stderr=subprocess.STDOUT,
      start_new_session=True,  # So that all its processes can be killed.
    )


def _kill(process) -> None:
  os.killpg(process.pid, signal.SIGKILL)
  process.wait()


def _kill_one(process, rng: random.Random) -> None:
  """Kills one of several processes; the launcher ends the others."""
  children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')
  found = [int(number) for number in children.read_text().split()]
  os.kill(rng.choice(found), signal.SIGKILL)
  process.wait()


def _seconds_to_first_step(process, workdir: pathlib.Path) -> float:
  began = time.monotonic()
  output = workdir / 'output.txt'
  while process.poll() is None and 'first step' not in output.read_text():
    time.sleep(0.05)
  return time.monotonic() - began


def _state(workdir: pathlib.Path) -> str:
  return fingerprints.fingerprint(network.load(workdir).params)


def inject(
  folder: pathlib.Path, kills: int, steps: int, processes: int, seed: int
) -> Outcome:
  """Runs the undisturbed training and the killed one.

  Args:
    folder: gets both working directories.
    kills: how many starts are killed.
    steps: of the training.
    processes: that take part; with several one of them is killed at a time.
    seed: of the moments.
  """
  rng = random.Random(seed)
  peaceful, victim = folder / 'peaceful', folder / 'victim'
  for workdir in (peaceful, victim):
    workdir.mkdir()
  process = _start(peaceful, steps, processes)
  until_stepping = _seconds_to_first_step(process, peaceful)
  if process.wait():
    raise RuntimeError((peaceful / 'output.txt').read_text())
  outcome = Outcome(0, [], False, [])
  with tqdm.tqdm(total=kills, desc='kills', disable=None) as bar:
    while not outcome.errors:
      began = time.monotonic()
      process = _start(victim, steps, processes)
      if outcome.kills < kills:
        # Some before the first step, some while steps are taken and saved.
        moment = rng.uniform(0.1, 1.6) * until_stepping
        while time.monotonic() - began < moment and process.poll() is None:
          time.sleep(0.01)
      if outcome.kills < kills and process.poll() is None:
        _kill_one(process, rng) if processes > 1 else _kill(process)
        outcome.kills += 1
        bar.update()
      status = process.wait()
      output = (victim / 'output.txt').read_text()
      if found := _STARTED.search(output):
        outcome.steps.append(int(found[1]))
      if 'Traceback' in output or re.search(r'^error:', output, re.MULTILINE):
        outcome.errors.append(output[-500:])
      elif status == 0:
        break
  outcome.same = not outcome.errors and _state(victim) == _state(peaceful)
  return outcome


def main() -> None:
  """Reads the flags, injects, and prints what came of it."""
  parser = argparse.ArgumentParser(
    prog='python -m tests.fault_injection',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  for name, default, text in (
    ('kills', 30, 'starts that are killed'),
    ('steps', 600, 'of the training: enough for the kills to fall into it'),
    ('processes', 1, 'that take part; with several one of them is killed'),
    ('seed', 0, 'of the moments'),
  ):
    parser.add_argument(f'--{name}', type=int, default=default, help=text)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory(prefix='savos_jax_') as folder:
    outcome = inject(pathlib.Path(folder), **vars(arguments))
  print(
    f'{outcome.kills} kills; {len(outcome.steps)} starts went on from steps '
    f'{outcome.steps}; {len(outcome.errors)} errors; the final state is '
    + ('the same' if outcome.same else 'ANOTHER')
  )
  for text in outcome.errors:
    print(text)
  sys.exit(0 if outcome.good else 1)


if __name__ == '__main__':
  main()
