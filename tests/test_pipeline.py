"""The pipeline: the right examples in order, for each host, a few ahead.

Functions that make examples are sent to the processes of one of the loaders:
what they tell is in the examples, or in files.
"""

import contextlib
import importlib.util
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from savos_jax.data import backgrounds
from savos_jax.data import pipeline
from savos_jax.datasets import pack
from savos_jax.foundation import errors
from tests import sampling_videos

SIZE, FRAMES = (6, 8), 3
REPOSITORY = pathlib.Path(__file__).parents[1]


def _of(loader, library):
  missing = importlib.util.find_spec(library) is None
  skip = pytest.mark.skipif(missing, reason=f'{library} is not installed')
  return pytest.param(loader, marks=skip)


TF, GRAIN = _of('tf', 'tensorflow'), _of('grain', 'grain')
in_this_process = pytest.mark.parametrize('loader', [TF, 'threads'])
in_others = pytest.mark.parametrize('loader', [GRAIN])


@pytest.fixture(params=[TF, 'threads', GRAIN])
def loader(request):
  """Each test that asks for it is of all loaders."""
  return request.param


def make_example(index):
  """Every array is filled with the index and its place in the dictionary."""
  return {
    'index': np.int64(index),
    'reference_frame': np.full((*SIZE, 3), index, np.uint8),
    'reference_mask': np.full(SIZE, index + 1, np.uint8),
    'frames': np.full((FRAMES, *SIZE, 3), index + 2, np.uint8),
    'masks': np.full((FRAMES, *SIZE), index + 3, np.uint8),
    'guidance': np.full(SIZE, index + 4, np.uint8),
  }


def batches(loader, make=make_example, batch_size=4, start=0, stop=5, **more):
  settings = {'workers': 2, 'prefetch': 2} | more
  return pipeline.batches(
    make, SIZE, FRAMES, batch_size, start, stop, loader=loader, **settings
  )


def indices(iterator):
  return [batch['index'].tolist() for batch in iterator]


def check_stacked(batch, expected):
  assert batch.keys() == expected[0].keys()
  for name, array in batch.items():
    np.testing.assert_array_equal(
      array, np.stack([example[name] for example in expected]), strict=True
    )


@in_this_process
def test_a_batch_stacks_its_examples(loader):
  (batch,) = batches(loader, batch_size=2, start=3, stop=4)
  check_stacked(batch, [make_example(6), make_example(7)])


def test_real_examples_are_the_same_from_all_loaders(loader, tmp_path):
  videos = sampling_videos.open_videos(tmp_path)
  pack.write(tmp_path / 'a.pack', videos, sampling_videos.SIZE)
  config = sampling_videos.MIXED
  sampler = sampling_videos.make(
    pack.read(tmp_path / 'a.pack'),
    config,
    stills=[sampling_videos.one_frame(videos[0])],
    backgrounds=backgrounds.BackgroundCache(tmp_path / 'cache', config.lucid),
  )
  kinds = {type(sampler.describe(index)) for index in range(4)}
  assert len(kinds) == 2  # Clips and dreams.
  (batch,) = pipeline.batches(
    sampler.example, config.crop_size, config.clip_frames, 4, 0, 1, 2, 1,
    loader=loader,
  )  # fmt: skip
  check_stacked(batch, [sampler.example(index) for index in range(4)])


def test_as_many_work_at_once_as_were_asked_for_and_keep_the_order(
  loader, tmp_path
):
  """Each waits for the others, however few cores there are."""

  def together(index):
    (tmp_path / str(index)).touch()
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 3:
      assert time.monotonic() < deadline
      time.sleep(0.01)
    time.sleep(0.02 if index % 3 == 0 else 0.0)
    return make_example(index)

  found = indices(batches(loader, together, workers=3))
  assert found == [list(range(4 * s, 4 * s + 4)) for s in range(5)]


def test_a_later_start_gives_the_batches_of_an_uninterrupted_run(loader):
  found = indices(batches(loader, start=3, stop=5))
  assert found == [[12, 13, 14, 15], [16, 17, 18, 19]]
  assert not list(batches(loader, start=5, stop=5))


def test_hosts_share_each_batch():
  shares = [
    indices(
      batches('threads', batch_size=6, start=2, host_index=h, host_count=3)
    )
    for h in range(3)
  ]
  assert shares[1][0] == [14, 15]
  together = [[*a, *b, *c] for a, b, c in zip(*shares, strict=True)]
  assert together == indices(batches('threads', batch_size=6, start=2))


def test_hosts_that_cannot_share_are_refused_at_once():
  with pytest.raises(errors.SavosError, match=r'batch_size is 4, on 3 hosts'):
    batches('auto', host_count=3)


@pytest.mark.parametrize(('workers', 'prefetch'), [(1, 1), (2, 3)])
def test_few_examples_are_made_ahead(loader, tmp_path, workers, prefetch):
  def told(index):
    (tmp_path / str(index)).touch()
    return make_example(index)

  def made():
    return len(list(tmp_path.iterdir()))

  iterator = batches(
    loader, told, stop=1000, workers=workers, prefetch=prefetch
  )
  with contextlib.closing(iterator):
    for taken in range(1, 4):
      next(iterator)
      ready = (taken + prefetch) * 4
      deadline = time.monotonic() + 20
      while made() < ready and time.monotonic() < deadline:
        time.sleep(0.01)
      time.sleep(0.2)  # For what should not be made.
      assert ready <= made() <= ready + workers


def test_opencv_has_one_thread_where_examples_are_made(loader):
  def observed(index):
    threads = np.full(SIZE, cv2.getNumThreads(), np.uint8)
    return make_example(index) | {'guidance': threads}

  before = cv2.getNumThreads()
  cv2.setNumThreads(3)
  try:
    iterator = batches(loader, observed, workers=1)
    with contextlib.closing(iterator):
      assert set(next(iterator)['guidance'].ravel()) == {1}
    assert cv2.getNumThreads() == 3
  finally:
    cv2.setNumThreads(before)


def test_the_reader_s_own_error_is_raised(loader):
  def broken(index):
    if index == 6:
      raise errors.SavosError('mask.png: damaged.')
    return make_example(index)

  iterator = batches(loader, broken)
  assert next(iterator)['index'].tolist() == [0, 1, 2, 3]
  with pytest.raises(errors.SavosError) as caught:
    next(iterator)
  assert str(caught.value) == 'mask.png: damaged.'
  # Neither what another error was, nor words of the loader's library.
  assert caught.value.__cause__ is None
  assert not getattr(caught.value, '__notes__', None)
  assert not multiprocessing.active_children()


@in_this_process
def test_an_example_of_another_size_is_an_error(loader):
  def wrong(index):
    return make_example(index) | {'masks': np.zeros((2, *SIZE), np.uint8)}

  with pytest.raises(Exception, match=r'\[3,6,8\]'):
    next(batches(loader, wrong))


@in_others
def test_leaving_early_ends_the_workers(loader):
  """Soon, though examples wait that are larger than what a pipe holds."""

  def large(index):
    return make_example(index) | {'more': np.zeros(2**20, np.uint8)}

  with contextlib.closing(batches(loader, large, stop=99)) as iterator:
    next(iterator)
    time.sleep(1)  # Until no more are made ahead.
    assert multiprocessing.active_children()
    leaving = time.monotonic()
  assert not multiprocessing.active_children()
  assert time.monotonic() - leaving < 15  # After 25 s Grain kills them.


@in_others
def test_a_worker_that_is_killed_is_told(loader):
  def killed(index):
    if index == 9:
      os.kill(os.getpid(), signal.SIGKILL)
    return make_example(index)

  with pytest.raises(errors.SavosError, match=r'exit code -9\.\n.*memory'):
    list(batches(loader, killed))


# Each worker takes a lock; each line read is a batch more.
_TRAINING = """
import fcntl, functools, select, signal, sys
from tests import test_pipeline

def locked(path, index):
  global file
  file = open(path)
  fcntl.flock(file, fcntl.LOCK_SH)
  return test_pipeline.make_example(index)

for number in (signal.SIGINT, signal.SIGTERM):
  signal.signal(number, lambda number, _: print(f'got {number}', flush=True))
make = functools.partial(locked, sys.argv[2])
for batch in test_pipeline.batches(sys.argv[1], make, batch_size=2, stop=99):
  print(batch['index'].tolist(), flush=True)
  # A signal right before a call that waits is handled after it.
  while not select.select([sys.stdin], [], [], 0.1)[0]:
    pass
  sys.stdin.readline()
"""


@in_others
def test_workers_outlive_signals_to_all_but_not_the_training(loader, tmp_path):
  fcntl = pytest.importorskip('fcntl', reason='POSIX has these locks')
  path = tmp_path / 'lock'
  path.touch()
  with (
    path.open() as file,
    subprocess.Popen(
      [sys.executable, '-c', _TRAINING, loader, str(path)],
      cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as program,
  ):  # fmt: skip
    assert program.stdout.readline() == '[0, 1]\n'
    for number in (signal.SIGINT, signal.SIGTERM):
      os.killpg(program.pid, number)
      assert program.stdout.readline() == f'got {number}\n'
    for first in range(2, 20, 2):  # More than were waiting.
      program.stdin.write('\n')
      program.stdin.flush()
      assert program.stdout.readline() == f'[{first}, {first + 1}]\n'

    def free():
      with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True

    assert not free()
    program.kill()
    deadline = time.monotonic() + 20
    while not free():
      assert time.monotonic() < deadline
      time.sleep(0.05)


def _without(monkeypatch, *libraries):
  for name in libraries:
    monkeypatch.setitem(sys.modules, name, None)


def test_without_tensorflow_threads_make_the_examples(monkeypatch):
  _without(monkeypatch, 'tensorflow')
  assert pipeline.installed_loaders()[0] == 'threads'
  assert indices(batches('auto', stop=1)) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
  ('loader', 'library'), [('tf', 'tensorflow'), ('grain', 'grain')]
)
def test_a_loader_whose_library_is_missing(monkeypatch, loader, library):
  _without(monkeypatch, library)
  assert loader not in pipeline.installed_loaders()
  with pytest.raises(errors.SavosError) as caught:
    next(batches(loader))
  assert f"config.data.loader='{loader}'" in str(caught.value)
  assert f'savos_jax[{loader}]' in str(caught.value)
