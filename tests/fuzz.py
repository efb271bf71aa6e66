r"""Damages files of all kinds and hands them to what reads them.

  python tests/fuzz.py --files=5000 --seed=0 [--seconds=60] [--kinds=mask,video]

Every file is either read or refused in words of ours. A traceback, a crash of
the interpreter, more than 20 seconds of computing or 120 by the clock, more
than a gibibyte of memory, a program that is started, and a file outside of the
results that is made, changed or gone are failures: the damaged file is kept,
and the exit status is 1.

  python tests/fuzz.py --again=KEPT

hands a kept one over once more.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import faulthandler
import hashlib
import json
import multiprocessing
from multiprocessing import connection
import os
import pathlib
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from typing import Any

import numpy as np
import tqdm

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from savos_jax.foundation import errors
from tests import fuzz_inputs
from tests import fuzz_mutations

SECONDS = 20.0  # Of computation, that a file may take.
_WAITING = 6  # Times as long it may take by the clock: a machine may be busy.
_MEMORY = 1 << 30  # Bytes that it may take, and what it may ask for.
_ADDRESSES = 8 << 30
_PAUSE = 0.05  # Between looks at what is running, seconds.
_TOLD = 'fuzzed.json'  # In a kept folder: the kind, and what was damaged.
# Compiles little, and on any machine the same.
_ENVIRONMENT = {
  'JAX_PLATFORMS': 'cpu',
  'TF_CPP_MIN_LOG_LEVEL': '3',
  'ORT_DISABLE_TELEMETRY': '1',
  'XLA_FLAGS': '--xla_backend_optimization_level=0',
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.2',
}
# Names of Python's own words for what no reading needs.
_STARTS = ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn',
           'socket.connect')  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What came of a file.

  Attributes:
    kind: of it.
    number: of it.
    failure: '' if it was read or refused.
    refused: whether one of those that read it refused it.
  """

  kind: str
  number: int
  failure: str = ''
  refused: bool = False


def _copy(source: str, target: str) -> None:
  if stat.S_ISFIFO(os.stat(source).st_mode):
    os.mkfifo(target)
  else:
    shutil.copy(source, target)


def _copy_folder(source: pathlib.Path, target: pathlib.Path) -> None:
  shutil.copytree(source, target, symlinks=True, copy_function=_copy)


def _undamaged(folder, kind, rng: np.random.Generator) -> fuzz_inputs.Case:
  paths = sorted(
    path
    for pattern in kind.damaged
    for path in folder.glob(pattern)
    if path.is_file()
  )
  return fuzz_inputs.Case(folder, paths[int(rng.integers(len(paths)))])


def make_case(
  kind: fuzz_inputs.Kind,
  good: pathlib.Path,
  folder: pathlib.Path,
  seed: int,
  number: int,
) -> fuzz_inputs.Case:
  """Damages a file of a case: the same one for a seed and a number.

  Args:
    kind: of the files.
    good: what `kind.make` made; or a kept case, which stays as it is.
    folder: gets the case; must not be there.
    seed: of the run.
    number: of the file.
  """
  rng = np.random.default_rng([seed, number])
  cases = sorted(good.iterdir())
  _copy_folder(cases[int(rng.integers(len(cases)))], folder)
  told = folder / _TOLD
  if told.exists():
    return fuzz_inputs.Case(folder, folder / json.loads(told.read_text())[1])
  case = _undamaged(folder, kind, rng)
  return fuzz_inputs.Case(folder, fuzz_mutations.damage(rng, case.path))


# ---------------------------------------------------------------------------
# In a process that may crash


def _snapshot(folder: pathlib.Path) -> dict[str, Any]:
  """Returns what is in a folder and is nobody's results."""
  found = {}
  for place, folders, names in os.walk(folder):
    if 'out' in folders:
      folders.remove('out')
    for name in names:
      path = os.path.join(place, name)
      facts = os.lstat(path)
      content = None
      if stat.S_ISREG(facts.st_mode):
        with open(path, 'rb') as file:
          content = hashlib.file_digest(file, 'sha256').digest()
      found[path] = facts.st_mode, facts.st_ino, content
  return found


def _changes(before: dict[str, Any], after: dict[str, Any]) -> str:
  paths = before.keys() | after.keys()
  changed = sorted(p for p in paths if before.get(p) != after.get(p))
  return f'changes {", ".join(map(ascii, changed[:3]))}' if changed else ''


def _use(case: fuzz_inputs.Case, uses) -> tuple[str, bool]:
  """Returns what went wrong, if anything, and whether one refused the case."""
  refused = False
  for use in uses:
    try:
      with errors.reported():
        try:
          use(case)
        except MemoryError as error:
          raise RuntimeError('asks for gigabytes') from error
    except SystemExit as end:
      if end.code not in (None, 0, 2, 3):
        return f'{use.__name__}: exit status {end.code}', False
      refused |= bool(end.code)
    except BaseException as error:
      traceback.print_exc()
      where = traceback.extract_tb(error.__traceback__)[-1]
      text = str(error).partition('\n')[0][:150]
      place = f'{pathlib.Path(where.filename).name}:{where.lineno}'
      return f'{type(error).__name__} at {place}: {text}', False
  return '', refused


def _work(pipe, kinds, good, folder, seed) -> None:
  """Reads files by their numbers until there are no more."""
  faulthandler.enable()
  root = folder / 'root'
  for part in ('home', 'tmp'):
    (root / part).mkdir(parents=True)
    (root / part / 'mine.txt').write_text('mine')
  os.environ |= {'HOME': str(root / 'home'), 'TMPDIR': str(root / 'tmp')}
  tempfile.tempdir = None
  os.chdir(root)
  started: list[str] = []
  sys.addaudithook(
    lambda event, _: started.append(event) if event in _STARTS else None
  )
  # Once without damage: what is imported and compiled is not a file's fault.
  for kind in kinds:
    for case in sorted((good / kind.name).iterdir())[:2]:
      if not (case / _TOLD).exists():
        _copy_folder(case, root / 'first')
        rng = np.random.default_rng(0)
        failure, _ = _use(_undamaged(root / 'first', kind, rng), kind.uses)
        if failure:
          raise RuntimeError(f'{kind.name}, undamaged: {failure}')
        shutil.rmtree(root / 'first')
  with open('/proc/self/statm') as file:
    limit = int(file.read().split()[0]) * resource.getpagesize() + _ADDRESSES
  resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
  pipe.send(None)
  while (task := pipe.recv()) is not None:
    kind, number = task
    os.ftruncate(1, 0)
    case = make_case(
      kinds[kind], good / kinds[kind].name, root / 'case', seed, number
    )
    started.clear()
    before = _snapshot(root)
    pipe.send('begins')
    failure, refused = _use(case, kinds[kind].uses)
    failure = failure or _changes(before, _snapshot(root))
    if started and not failure:
      failure = f'starts a program or a connection: {started[0]}'
    sys.stdout.flush()
    pipe.send((failure, refused))
    shutil.rmtree(root / 'case')


def _begin(printed: pathlib.Path, *arguments) -> None:
  """Has all that is printed go to a file, also by C."""
  descriptor = os.open(printed, os.O_RDWR | os.O_CREAT | os.O_APPEND)
  os.dup2(descriptor, 1)
  os.dup2(descriptor, 2)
  _work(*arguments)


# ---------------------------------------------------------------------------
# Around it


class _Reader:
  """A process that reads files, and what is known of it from outside."""

  def __init__(self, folder, kinds, good, seed):
    """Starts it."""
    self.printed = folder.with_suffix('.txt')
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    context = multiprocessing.get_context('spawn')
    self.pipe, theirs = context.Pipe()
    self._process = context.Process(
      target=_begin, args=(self.printed, theirs, kinds, good, folder, seed)
    )
    self._process.start()
    theirs.close()
    self.task: tuple[int, int] | None = None
    self._ready = False
    self.alive = True  # Whether it can read more.
    self._began = self._memory = self._before = 0.0

  def give(self, task: tuple[int, int]) -> None:
    self.task, self._began, self.alive = task, 0.0, False
    self.pipe.send(task)

  def _resident(self) -> float:
    with (
      contextlib.suppress(OSError, IndexError),
      open(f'/proc/{self._process.pid}/statm') as file,
    ):
      return int(file.read().split()[1]) * resource.getpagesize()
    return 0.0

  def _computed(self) -> float:
    """Returns the seconds that it has computed, on all cores."""
    with (
      contextlib.suppress(OSError, IndexError),
      open(f'/proc/{self._process.pid}/stat') as file,
    ):
      ticks = file.read().rpartition(')')[2].split()[11:13]
      return sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK')
    return 0.0

  @property
  def idle(self) -> bool:
    return self._ready and self.task is None

  def look(self) -> tuple[str, bool] | None:
    """Returns what came of the task; None while it works."""
    try:
      while self.pipe.poll():
        message = self.pipe.recv()
        if message is None:
          self._ready = True
        elif message == 'begins':
          self._began, self._memory = time.monotonic(), self._resident()
          self._before = self._computed()
        else:
          self.alive = True
          return message
    except (EOFError, ConnectionError):
      self._process.join()
      status = self._process.exitcode or 0
      if self.task is None:
        raise RuntimeError(self.printed.read_text()[-3000:]) from None
      name = signal.Signals(-status).name if status < 0 else status
      return f'crashes: {name}', False
    if self._began:
      waited = time.monotonic() - self._began
      if max(waited / _WAITING, self._computed() - self._before) > SECONDS:
        return f'takes more than {SECONDS:g} s', False
      if self._resident() - self._memory > _MEMORY:
        return f'takes more than {_MEMORY >> 20} MiB', False
    return None

  def end(self) -> None:
    self._process.kill()
    self._process.join()


def _order(kinds: Sequence[fuzz_inputs.Kind], seed: int) -> list[int]:
  """Returns a round of kinds, each as often as its share says."""
  shares = [kind.share for kind in kinds]
  order = np.repeat(np.arange(len(kinds)), shares)
  return np.random.default_rng(seed).permutation(order).tolist()


def run(
  folder: pathlib.Path,
  kinds: Sequence[fuzz_inputs.Kind],
  numbers: Iterable[int],
  seed: int,
  readers: int = 2,
) -> Iterator[Outcome]:
  """Damages files and has them read.

  Args:
    folder: gets good files, damaged ones, and a folder `kept` with those that
      failed.
    kinds: of files.
    numbers: of the files; each is of a kind of its own.
    seed: decides on all of them.
    readers: processes that read.

  Yields:
    What came of each, as they end.
  """
  good = folder / 'good'
  for kind in kinds:
    if not (good / kind.name).exists():
      (good / kind.name).mkdir(parents=True)
      kind.make(good / kind.name)
  order, left = _order(kinds, seed), iter(numbers)
  running = [
    _Reader(folder / f'reader{i}', kinds, good, seed) for i in range(readers)
  ]
  try:
    while running:
      connection.wait([reader.pipe for reader in running], _PAUSE)
      for place, reader in reversed(list(enumerate(running))):
        found = reader.look()
        if found:
          kind, number = reader.task
          failure, refused = found
          if failure:
            _keep(folder, kinds[kind], seed, number, reader.printed)
          if not reader.alive:
            reader.end()
            reader = running[place] = _Reader(
              folder / f'reader{place}', kinds, good, seed
            )
          reader.task = None
          yield Outcome(kinds[kind].name, number, failure, refused)
        if reader.idle:
          number = next(left, None)
          if number is None:
            running.remove(reader)
            reader.end()
          else:
            reader.give((order[number % len(order)], number))
  finally:
    for reader in running:
      reader.end()


def _kept(folder: pathlib.Path, kind: str, number: int) -> pathlib.Path:
  return folder / 'kept' / f'{kind.replace(" ", "_")}-{number}'


def _keep(folder, kind, seed, number, printed) -> None:
  """Makes a damaged file once more, where it stays."""
  kept = _kept(folder, kind.name, number)
  kept.parent.mkdir(exist_ok=True)
  case = make_case(kind, folder / 'good' / kind.name, kept, seed, number)
  told = kind.name, os.path.relpath(case.path, kept)
  (kept / _TOLD).write_text(json.dumps(told))
  _copy(printed, kept / 'printed.txt')


def again(folder: pathlib.Path, kept: pathlib.Path) -> Outcome:
  """Has a kept file read again."""
  name, _ = json.loads((kept / _TOLD).read_text())
  (folder / 'good' / name).mkdir(parents=True)
  _copy_folder(kept, folder / 'good' / name / 'case')
  kinds = [kind for kind in fuzz_inputs.KINDS if kind.name == name]
  (outcome,) = run(folder, kinds, [0], 0, readers=1)
  return outcome


def _within(seconds: float, numbers: Iterable[int]) -> Iterator[int]:
  """Yields numbers for so long, from the first on."""
  end = None
  for number in numbers:
    end = end or time.monotonic() + seconds
    if time.monotonic() > end:
      return
    yield number


def table(outcomes: Sequence[Outcome]) -> str:
  """Returns a line a kind."""
  lines = ['kind            files     read  refused  failures']
  kinds = list(dict.fromkeys(outcome.kind for outcome in outcomes))
  for kind in [*sorted(kinds), 'all']:
    own = [o for o in outcomes if kind in (o.kind, 'all')]
    failed = sum(bool(o.failure) for o in own)
    refused = sum(o.refused for o in own)
    read = len(own) - failed - refused
    lines.append(f'{kind:12} {len(own):8} {read:8} {refused:8} {failed:9}')
  return '\n'.join(lines)


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  names = [kind.name for kind in fuzz_inputs.KINDS]
  add = parser.add_argument
  add('--files', type=int, default=5000, help='at most so many')
  add('--seed', type=int, default=0, help='decides on all of them')
  add('--seconds', type=float, default=float('inf'), help='at most so long')
  add('--readers', type=int, default=2, help='processes that read')
  add('--kinds', default=','.join(names), help='of files; default: %(default)s')
  add('--again', type=pathlib.Path, metavar='KEPT', help='a file that is kept')
  return parser.parse_args()


def main() -> None:
  """Reads the flags, damages files, and prints what came of them."""
  arguments = _parse()
  for name, value in _ENVIRONMENT.items():
    os.environ.setdefault(name, value)
  folder = pathlib.Path(tempfile.mkdtemp(prefix='savos_jax_fuzz_'))
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(folder / 'compiled'))
  if arguments.again:
    failure = again(folder, arguments.again.resolve()).failure
    shutil.rmtree(folder)
    print(failure or 'no failure')
    sys.exit(bool(failure))
  wanted = arguments.kinds.split(',')
  kinds = [kind for kind in fuzz_inputs.KINDS if kind.name in wanted]
  for kind in kinds:
    if not kind.is_here:
      print(f'{kind.name}: not tried, {" or ".join(kind.needs)} is missing')
  kinds = [kind for kind in kinds if kind.is_here]
  numbers = _within(arguments.seconds, range(arguments.files))
  outcomes = []
  for outcome in tqdm.tqdm(
    run(folder, kinds, numbers, arguments.seed, arguments.readers),
    total=arguments.files, unit='file', disable=None,
  ):  # fmt: skip
    outcomes.append(outcome)
    if outcome.failure:
      tqdm.tqdm.write(f'{outcome.kind} {outcome.number}: {outcome.failure}')
  print(table(outcomes))
  failed = [outcome for outcome in outcomes if outcome.failure]
  for outcome in failed:
    kept = _kept(folder, outcome.kind, outcome.number)
    print(f'python tests/fuzz.py --again={kept}')
  if not failed:
    shutil.rmtree(folder)
  sys.exit(bool(failed))


if __name__ == '__main__':
  main()
