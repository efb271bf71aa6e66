"""The fuzz program catches what it must; a few files of the quick kinds."""

import os
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest

from savos_jax.foundation import errors
from tests import fuzz
from tests import fuzz_inputs
from tests import fuzz_mutations

# Of these reading needs neither JAX nor a network.
QUICK = ('frame', 'mask', 'video', 'list', 'pack')


def make(folder):
  (folder / 'case').mkdir()
  (folder / 'case' / 'a.txt').write_text('1 2 3\n' * 9)


def is_good(case):
  return case.path.is_file() and case.path.read_bytes() == b'1 2 3\n' * 9


def refuses(case):
  if not is_good(case):
    raise errors.SavosError(f'{case.path}: damaged.')


def asks_for_it(case):
  if not is_good(case):
    {}[case.path]


def crashes(case):
  if not is_good(case):
    os.kill(os.getpid(), 11)


def sleeps(case):
  if not is_good(case):
    time.sleep(60)


def fills_the_memory(case):
  if not is_good(case):
    held = np.ones(1 << 25)
    time.sleep(60)
    del held


def writes_elsewhere(case):
  if not is_good(case):
    (case.folder.parent / 'home' / 'mine.txt').write_text('yours')


def starts_a_program(case):
  if not is_good(case):
    subprocess.run([sys.executable, '-c', ''], check=True)


def ends(case):
  if not is_good(case):
    sys.exit(1)


# Reader -> what must be said of it; nothing of one that refuses.
FAILURES = {
  refuses: '',
  asks_for_it: 'KeyError at test_fuzz.py',
  crashes: 'crashes: SIGSEGV',
  sleeps: 'takes more than 3 s',
  fills_the_memory: 'takes more than 64 MiB',
  writes_elsewhere: 'changes ',
  starts_a_program: 'starts a program',
  ends: 'ends: exit status 1',
}


@pytest.mark.slow
def test_what_must_not_be_is_caught_and_kept(tmp_path, monkeypatch):
  monkeypatch.setattr(fuzz, 'SECONDS', 3.0)
  monkeypatch.setattr(fuzz, '_WAITING', 1)
  monkeypatch.setattr(fuzz, '_MEMORY', 64 << 20)
  kinds = [
    fuzz_inputs.Kind(use.__name__, make, ('a.txt',), (use,), 1)
    for use in FAILURES
  ]
  numbers = range(2 * len(kinds))
  outcomes = list(fuzz.run(tmp_path, kinds, numbers, 1, readers=1))
  assert sorted(outcome.number for outcome in outcomes) == list(numbers)
  for use, expected in FAILURES.items():
    own = [o for o in outcomes if o.kind == use.__name__]
    assert {o.failure[: len(expected)] for o in own} - {''} <= {expected}
    assert any(o.failure if expected else o.refused for o in own), use
    for outcome in own:
      kept = tmp_path / 'kept' / f'{outcome.kind}-{outcome.number}'
      assert kept.is_dir() == bool(outcome.failure)
  assert fuzz.table(outcomes).splitlines()[-1].split()[:2] == ['all', '16']
  # A kept one is read as it is.
  monkeypatch.setattr(fuzz_inputs, 'KINDS', kinds)
  (tmp_path / 'again').mkdir()
  kept = next((tmp_path / 'kept').glob('asks_for_it-*'))
  assert 'KeyError' in fuzz.again(tmp_path / 'again', kept).failure


def test_a_file_is_that_of_its_seed_and_number(tmp_path):
  (tmp_path / 'good').mkdir()
  make(tmp_path / 'good')
  kind = fuzz_inputs.Kind('text', make, ('a.txt',), ())
  contents = []
  for number in (3, 3, 4):
    folder = tmp_path / f'{len(contents)}'
    case = fuzz.make_case(kind, tmp_path / 'good', folder, 0, number)
    contents.append(case.path.read_bytes())
  assert contents[0] == contents[1] != contents[2]


def test_damage_of_a_picture_passes_its_checksums():
  data = cv2.imencode('.png', np.zeros((9, 9), np.uint8))[1].tobytes()
  changed = 0
  for seed in range(20):
    rng = np.random.default_rng(seed)
    damaged = fuzz_mutations.structured(rng, 'a.png', data)
    changed += damaged != data
    position = 8
    while position < len(damaged):
      size = int.from_bytes(damaged[position : position + 4])
      end = position + 8 + size
      found = int.from_bytes(damaged[end : end + 4])
      assert found == zlib.crc32(damaged[position + 4 : end])
      position = end + 4
  assert changed > 15


def test_files_of_all_quick_kinds_are_read_or_refused(tmp_path):
  kinds = [kind for kind in fuzz_inputs.KINDS if kind.name in QUICK]
  outcomes = list(fuzz.run(tmp_path, kinds, range(60), 0, readers=1))
  assert not [outcome for outcome in outcomes if outcome.failure]
  assert {outcome.kind for outcome in outcomes} == set(QUICK)
  refused = sum(outcome.refused for outcome in outcomes)
  assert 10 < refused < 55
