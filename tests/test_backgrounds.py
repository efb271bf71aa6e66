"""Backgrounds come from the cache as they would be computed."""

import dataclasses
import logging
import multiprocessing
import threading

import cv2
import numpy as np
import pytest

from savos_jax.data import backgrounds
from savos_jax.data import lucid
from savos_jax.foundation import errors
from savos_jax.foundation import manifests

CONFIG = lucid.LucidConfig()


def picture(seed=0, size=(40, 60)):
  """A frame of noise and labels with objects 1, 2 and 7."""
  frame = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
  labels = np.zeros(size, np.uint8)
  labels[5:12, 10:20] = 1
  labels[20:30, 40:50] = 2
  labels[33:38, 5:9] = 7
  return frame, labels


@dataclasses.dataclass
class Shot:
  """A task that counts how often it is read."""

  seed: int
  subsets: tuple = ((1,), (2, 7))
  reads: int = 0

  @property
  def name(self):
    return f'shot {self.seed}'

  def load(self):
    self.reads += 1
    return *picture(self.seed), self.subsets


@pytest.fixture
def cache(tmp_path):
  return backgrounds.BackgroundCache(tmp_path / 'cache', CONFIG)


@pytest.fixture
def computed(monkeypatch):
  """The `moving` of every background that is computed, in order."""
  calls = []
  inpaint = lucid.inpaint

  def counted(frame, labels, moving, config):
    calls.append(tuple(moving))
    return inpaint(frame, labels, moving, config)

  monkeypatch.setattr(lucid, 'inpaint', counted)
  return calls


def stored(cache):
  paths = (path for path in cache.folder.rglob('*') if path.is_file())
  return sorted(path for path in paths if path.name != manifests.FILE)


@pytest.mark.parametrize('moving', [(1,), (2,), (1, 2, 7)])
def test_what_is_read_is_what_is_computed(cache, computed, moving):
  frame, labels = picture()
  before = frame.copy()
  expected = lucid.inpaint(frame, labels, moving, CONFIG)
  computed.clear()
  first, second = (cache.get(frame, labels, moving) for _ in range(2))
  assert computed == [moving]
  for found in (first, second):
    np.testing.assert_array_equal(found, expected)
  np.testing.assert_array_equal(frame, before)
  second[:] = 0  # It belongs to the caller.
  np.testing.assert_array_equal(cache.get(frame, labels, moving), expected)


def test_only_the_box_that_changed_is_kept(cache):
  frame, labels = picture(size=(480, 640))
  cache.get(frame, labels, [1])
  (path,) = stored(cache)
  # The hole: 7x10 and 7 pixels to each side, where the border lets it.
  assert path.stat().st_size < 20 * 24 * 3 * 1.1 + 200
  assert path.parent.name == path.name[:2]


@pytest.mark.parametrize('size', [(8, 8), (1, 1), (3, 200)])
def test_a_background_that_equals_the_frame_or_is_all_new(cache, size):
  labels = np.ones(size, np.uint8)
  for frame in (np.full((*size, 3), 9, np.uint8), picture(size=size)[0]):
    first, second = (cache.get(frame, labels, [1]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
  assert stored(cache)


def test_without_the_object_the_frame_comes_back(cache, computed):
  frame, labels = picture()
  for ids, moving in ((labels, [3, 0]), (labels, []), (labels * 0, [1])):
    assert cache.has(frame, ids, moving)
    found = cache.get(frame, ids, moving)
    np.testing.assert_array_equal(found, frame)
    assert not np.shares_memory(found, frame)
    assert cache.fill(frame, ids, [moving]) == 0
  assert not computed
  assert not cache.folder.exists()


def test_order_repetition_and_absent_ids_do_not_matter(cache, computed):
  frame, labels = picture()
  cache.get(frame, labels, [7, 1])
  for moving in ([1, 7], (np.uint8(7), 1, 1), {1, 7, 99}):
    assert cache.has(frame, labels, moving)
    cache.get(frame, labels, moving)
  assert computed == [(1, 7)]


def other_frame(frame, labels):
  frame[0, 0, 0] ^= 1
  return frame, labels


def other_labels(frame, labels):
  labels[0, 0] = 2
  return frame, labels


def other_shape(frame, labels):
  return frame.reshape(60, 40, 3), labels.reshape(60, 40)


@pytest.mark.parametrize('change', [other_frame, other_labels, other_shape])
def test_other_pictures_have_another_background(cache, change):
  frame, labels = picture()
  cache.get(frame, labels, [1])
  changed = change(frame.copy(), labels.copy())
  assert not cache.has(*changed, [1])
  np.testing.assert_array_equal(
    cache.get(*changed, [1]), lucid.inpaint(*changed, [1], CONFIG)
  )
  assert cache.has(frame, labels, [1])
  assert len(stored(cache)) == 2


def test_views_count_by_their_content(cache):
  frame, labels = picture()
  cache.get(frame[:, ::-1], labels[:, ::-1], [1])
  turned = np.ascontiguousarray(frame[:, ::-1])
  assert cache.has(turned, np.ascontiguousarray(labels[:, ::-1]), [1])
  assert not cache.has(frame, labels, [1])


def test_settings_and_algorithm_are_part_of_the_key(cache, monkeypatch):
  frame, labels = picture()
  cache.get(frame, labels, [1])

  def has(**fields):
    config = dataclasses.replace(CONFIG, **fields)
    other = backgrounds.BackgroundCache(cache.folder, config)
    return other.has(frame, labels, [1])

  assert has(rotation=5.0)  # Inpainting does not depend on it.
  assert not has(hole_dilation=6)
  monkeypatch.setattr(lucid, 'inpaint_settings', lambda config: ('next', 7))
  assert not has()


def truncate(content):
  return content[: len(content) // 2]


def flip_a_bit(content):
  return content[:-30] + bytes([content[-30] ^ 4]) + content[-29:]


@pytest.mark.parametrize(
  'damage', [truncate, flip_a_bit, lambda _: b'', lambda _: b'\x89PNG' * 99]
)
def test_a_damaged_file_is_made_again(cache, computed, caplog, damage):
  frame, labels = picture()
  expected = cache.get(frame, labels, [1])
  (path,) = stored(cache)
  whole = path.read_bytes()
  path.write_bytes(damage(whole))
  manifests._known.clear()  # A later process.
  with caplog.at_level(logging.INFO):
    assert not cache.has(frame, labels, [1])
    np.testing.assert_array_equal(cache.get(frame, labels, [1]), expected)
  assert str(path) in caplog.text
  assert path.read_bytes() == whole
  assert len(computed) == 2


def test_another_background_under_its_name_is_damage(cache):
  frame, labels = picture()
  cache.get(frame, labels, [1])
  (path,) = stored(cache)
  content = path.read_bytes()
  cache.get(frame, labels, [2])
  (other,) = set(stored(cache)) - {path}
  other.write_bytes(content)
  assert not cache.has(frame, labels, [2])


@pytest.mark.parametrize('how', ['never ours', 'unknown', 'link'])
def test_what_is_somebody_elses_under_our_name_stays(cache, tmp_path, how):
  frame, labels = picture()
  cache.get(frame, labels, [1])
  (path,) = stored(cache)
  theirs = path
  if how == 'never ours':
    cache = backgrounds.BackgroundCache(tmp_path / 'other', CONFIG)
    theirs = cache.folder / path.parent.name / path.name
    theirs.parent.mkdir(parents=True)
  elif how == 'unknown':
    (path.parent / manifests.FILE).unlink()
    manifests._known.clear()
  else:
    path.unlink()
    path.symlink_to(tmp_path / 'elsewhere')
  theirs.write_bytes(b'theirs')
  for act in (
    lambda: cache.get(frame, labels, [1]),
    lambda: cache.fill(frame, labels, [[1]]),
  ):
    with pytest.raises(errors.SavosError, match=f'did not write.*{path.name}'):
      act()
  assert theirs.read_bytes() == b'theirs'
  assert theirs.is_symlink() == (how == 'link')


def test_a_whole_file_is_read_whoever_wrote_it(cache, computed):
  """As one that was copied from another cache."""
  frame, labels = picture()
  cache.get(frame, labels, [1])
  (path,) = stored(cache)
  (path.parent / manifests.FILE).unlink()
  cache.get(frame, labels, [1])
  assert computed == [(1,)]


def test_what_another_host_made_meanwhile_is_no_mistake(cache, monkeypatch):
  """Its file may be seen before its manifest is, where they share a disk."""
  frame, labels = picture()
  expected = cache.get(frame, labels, [1])
  (path,) = stored(cache)
  whole = path.read_bytes()
  for file in (path, path.parent / manifests.FILE):
    file.unlink()
  manifests._known.clear()

  def overtaken(*_):
    path.write_bytes(whole)
    return expected

  monkeypatch.setattr(lucid, 'inpaint', overtaken)
  np.testing.assert_array_equal(cache.get(frame, labels, [1]), expected)


def test_a_folder_in_the_way_of_a_file_is_named(cache):
  frame, labels = picture()
  cache.get(frame, labels, [1])
  (path,) = stored(cache)
  path.unlink()
  path.mkdir()
  with pytest.raises(errors.SavosError, match=path.name):
    cache.get(frame, labels, [1])


def test_an_unwritable_folder_is_named(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  cache = backgrounds.BackgroundCache(tmp_path / 'file' / 'cache', CONFIG)
  with pytest.raises(errors.SavosError, match=r'file/cache.* not be written'):
    cache.get(*picture(), [1])
  threads = cv2.getNumThreads()
  with pytest.raises(errors.SavosError, match='could not be written'):
    backgrounds.prepare(cache, [Shot(0)], workers=2)
  assert cv2.getNumThreads() == threads


def test_preparing_makes_all_and_then_only_checks(cache, computed):
  shots = [Shot(seed) for seed in range(9)]
  assert backgrounds.prepare(cache, shots, workers=3) == 18
  assert sorted(computed) == [(1,)] * 9 + [(2, 7)] * 9
  assert len(stored(cache)) == 18
  stored(cache)[4].write_bytes(b'damaged')
  stored(cache)[7].unlink()
  computed.clear()
  assert backgrounds.prepare(cache, shots, workers=3) == 2
  assert len(computed) == 2
  assert backgrounds.prepare(cache, [], workers=3) == 0


def test_preparing_ends_where_it_is_interrupted_and_resumes(
  cache, computed, monkeypatch
):
  """Ctrl-C in the main thread, which waits for the workers."""
  shots = [Shot(seed) for seed in range(50)]
  started = threading.Event()
  count = lucid.inpaint

  def slow(*args):
    if len(computed) >= 4:
      started.set()
    return count(*args)

  def interrupted(pending):
    assert len(pending) == 50
    started.wait(10)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(lucid, 'inpaint', slow)
    patch.setattr(backgrounds.futures, 'as_completed', interrupted)
    with pytest.raises(KeyboardInterrupt):
      backgrounds.prepare(cache, shots, workers=2)
  done = len(computed)
  assert 4 <= done < 50
  assert len(stored(cache)) == done  # All whole; nothing half.
  assert backgrounds.prepare(cache, shots, workers=2) == 100 - done
  assert len(computed) == 100


def test_what_load_raises_comes_out_and_ends_the_work(cache):
  class Broken(Shot):
    def load(self):
      raise errors.SavosError('00003.jpg: damaged image.')

  rest = [Shot(seed) for seed in range(200)]
  with pytest.raises(errors.SavosError, match=r'^00003.jpg: damaged image.$'):
    backgrounds.prepare(cache, [Broken(0), *rest], workers=1)
  assert sum(shot.reads for shot in rest) < 100


def test_frames_are_read_by_the_workers_alone(cache, monkeypatch):
  """Not ahead: as many are in memory as there are workers."""
  lock = threading.Lock()
  alive = largest = 0

  class Counted(Shot):
    def load(self):
      nonlocal alive, largest
      with lock:
        alive += 1
        largest = max(largest, alive)
      return super().load()

  def fill(*_):
    nonlocal alive
    assert cv2.getNumThreads() == 1
    with lock:
      alive -= 1
    return 0

  monkeypatch.setattr(cache, 'fill', fill)
  threads = cv2.getNumThreads()
  backgrounds.prepare(cache, [Counted(i) for i in range(40)], workers=3)
  assert largest <= 3
  assert cv2.getNumThreads() == threads


def _prepare_in_process(folder, barrier, results):
  cache = backgrounds.BackgroundCache(folder, CONFIG)
  barrier.wait(60)
  backgrounds.prepare(cache, [Shot(seed) for seed in range(12)], workers=2)
  found = [cache.get(*picture(seed), [2, 7]) for seed in range(12)]
  results.put(np.stack(found))


def test_two_processes_fill_one_folder_at_once(cache):
  backgrounds.prepare(cache, [Shot(seed) for seed in range(6)], workers=2)
  for path in stored(cache):
    path.write_bytes(b'damaged')
  context = multiprocessing.get_context('spawn')
  barrier, results = context.Barrier(2), context.Queue()
  arguments = (cache.folder, barrier, results)
  processes = [
    context.Process(target=_prepare_in_process, args=arguments)
    for _ in range(2)
  ]
  for process in processes:
    process.start()
  found = [results.get(timeout=60) for _ in processes]
  for process in processes:
    process.join(60)
    assert process.exitcode == 0
  expected = [
    lucid.inpaint(*picture(seed), [2, 7], CONFIG) for seed in range(12)
  ]
  for backgrounds_found in found:
    np.testing.assert_array_equal(backgrounds_found, expected)
  paths = stored(cache)
  assert len(paths) == 24
  assert not [path for path in paths if path.name.startswith('.')]
  manifests._known.clear()
  assert all(manifests.of(path).owns(path) for path in paths)
