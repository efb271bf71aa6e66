"""What a program did not make is neither replaced nor removed."""

import json
import multiprocessing
import os

import pytest

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests


def write(path, text='ours'):
  with files.replacing(path) as partial:
    partial.write_text(text)


@pytest.fixture
def folder(tmp_path):
  """A folder of results: a.txt and in/b.txt are ours, c.txt is not."""
  folder = tmp_path / 'results'
  with files.claimed(folder):
    write(folder / 'a.txt')
    write(folder / 'in' / 'b.txt')
  (folder / 'c.txt').write_text('theirs')
  return folder


def names(paths):
  return sorted(path.name for path in paths)


def test_ours_is_known_by_a_later_run(folder):
  with files.claimed(folder) as manifest:
    assert names(manifest.written()) == ['a.txt', 'b.txt']
    manifest.check(folder / name for name in ('a.txt', 'in/b.txt', 'absent'))
    write(folder / 'a.txt', 'ours again')
    assert manifest.owns(folder / 'a.txt')
  assert (folder / 'a.txt').read_text() == 'ours again'


@pytest.mark.parametrize(
  'line',
  ['3', 'true', '"a"', '[' * 10**5, '["c.txt", 6]', '["c.txt", "6", "a"]', '{'],
)
def test_lines_that_are_none_are_passed_over(folder, line):
  with (folder / manifests.FILE).open('a') as file:
    file.write(f'{line}\n')
  with files.claimed(folder) as manifest:
    assert names(manifest.written()) == ['a.txt', 'b.txt']


@pytest.mark.parametrize('lead', ['../', 'in/../../', ''])
def test_what_lies_elsewhere_is_never_ours(folder, lead):
  theirs = folder.parent / 'theirs.txt'
  theirs.write_text('ours')
  name = f'{lead}{theirs.name}' if lead else str(theirs)
  with (folder / manifests.FILE).open('r+') as file:
    _, *stamp = json.loads(file.readline())
    file.seek(0, os.SEEK_END)
    file.write(f'{json.dumps([name, *stamp])}\n')
  with files.claimed(folder) as manifest:
    manifest.clear()
  assert theirs.exists()
  assert not (folder / 'a.txt').exists()


def test_links_in_a_circle_are_theirs(folder):
  path = folder / 'd.txt'
  path.symlink_to(path)
  with (
    files.claimed(folder, [path]) as manifest,
    pytest.raises(errors.SavosError, match=r'd\.txt'),
  ):
    manifest.check([path])


@pytest.mark.parametrize('how', ['foreign', 'changed', 'link', 'folder'])
def test_theirs_is_refused_and_stays(folder, how):
  path = folder / 'a.txt'
  if how == 'foreign':
    path = folder / 'c.txt'
  if how == 'changed':
    path.write_text('OURS')  # As long as before.
  if how == 'link':
    target = folder.parent / 'elsewhere.txt'
    target.write_text('ours')
    path.unlink()
    path.symlink_to(target)
  if how == 'folder':
    path.unlink()
    path.mkdir()
  with files.claimed(folder) as manifest:
    with pytest.raises(errors.SavosError, match=f'did not write.*{path.name}'):
      manifest.check([path])
    with pytest.raises(errors.SavosError, match=path.name):
      write(path)
    manifest.remove([path])
    assert os.path.lexists(path)
    if path.is_file():
      assert path.read_text() in ('theirs', 'OURS', 'ours')


def test_many_are_counted(folder):
  for number in range(9):
    (folder / f'{number}.txt').write_text('theirs')
  with (
    files.claimed(folder) as manifest,
    pytest.raises(errors.SavosError, match=r'0\.txt.* and 4 more'),
  ):
    manifest.check(sorted(folder.glob('[0-9].txt')))


def test_without_a_claim_the_manifest_holds(folder):
  """A later program that writes into the folder respects it, and is noted."""
  manifests._known.clear()
  with pytest.raises(errors.SavosError, match=r'c\.txt'):
    write(folder / 'c.txt')
  write(folder / 'in' / 'more' / 'd.txt')
  with files.claimed(folder) as manifest:
    assert names(manifest.written()) == ['a.txt', 'b.txt', 'd.txt']


def test_what_is_read_is_not_replaced(folder):
  link = folder.parent / 'link'
  link.symlink_to(folder / 'in')
  with files.claimed(folder, [link, folder.parent]) as manifest:
    for act in (
      lambda: write(folder / 'in' / 'b.txt'),
      lambda: manifest.remove([folder / 'in' / 'b.txt']),
    ):
      with pytest.raises(errors.SavosError, match=r'b\.txt: is read by'):
        act()
    write(folder / 'a.txt')


def test_a_killed_run_loses_and_leaves_nothing(folder):
  left = folder / 'in' / '.b.0123456789ab.part.txt'
  left.write_text('half')
  mine = folder / '.b.part.txt'
  mine.write_text('theirs')
  # Killed between the word that a file will be another and the deed.
  with files.claimed(folder) as manifest:
    mine_next = folder / 'next'
    mine_next.write_text('never in place')
    manifest.record(folder / 'a.txt', mine_next)
  with (folder / manifests.FILE).open('a') as file:
    file.write('["cut o')
  with files.claimed(folder) as manifest:
    assert manifest.owns(folder / 'a.txt')
  assert not left.exists()
  assert mine.exists()


def test_the_manifest_does_not_grow_with_the_writes(folder):
  for number in range(20):
    with files.claimed(folder):
      write(folder / 'a.txt', f'ours {number}')
  lines = (folder / manifests.FILE).read_text().splitlines()
  assert len(lines) <= 4


def _claim(folder, found):
  try:
    with files.claimed(folder):
      found.put('claimed')
  except errors.SavosError as error:
    found.put(str(error))


def test_one_process_at_a_time(folder):
  context = multiprocessing.get_context('spawn')
  found = context.SimpleQueue()
  with files.claimed(folder):
    process = context.Process(target=_claim, args=(folder, found))
    process.start()
    assert 'another process is using it' in found.get()
    process.join()


def test_processes_of_one_run_know_each_others_files(folder):
  first, second = manifests.Manifest(folder), manifests.Manifest(folder)
  path, partial = folder / 'speed.json', folder / 'partial'
  for manifest, text in ((first, 'one'), (second, 'other')):
    manifest.check([path])
    partial.write_text(text)
    manifest.record(path, partial)
    os.replace(partial, path)
  assert first.owns(path)


def test_a_shared_folder_forgets_nothing_when_another_process_begins(folder):
  """As `begin` does, which writes the manifest anew."""
  added = folder / manifests.FILE
  before = added.read_bytes()
  manifests.share(folder)
  assert added.read_bytes() == before
  manifests.share(folder / 'a' / 'b')
  assert (folder / 'a' / 'b' / manifests.FILE).read_bytes() == b''


def test_what_can_be_made_again_is_replaced_though_it_was_changed(folder):
  path, theirs = folder / 'a.txt', folder / 'c.txt'
  path.write_text('damaged')
  for changed in (path, theirs):
    with pytest.raises(errors.SavosError, match=changed.name):
      write(changed)
  with files.replacing(path, even_changed=True) as partial:
    partial.write_text('again')
  with (
    pytest.raises(errors.SavosError, match=theirs.name),
    files.replacing(theirs, even_changed=True),
  ):
    pass
  assert (path.read_text(), theirs.read_text()) == ('again', 'theirs')
  assert manifests.of(path).owns(path)


def test_what_else_is_in_a_home_is_none_of_it(folder):
  """Results may be written into a home; its other folders go on as before."""
  config = folder / 'runs' / 'config.json'
  config.parent.mkdir()
  config.write_text('of an earlier training')
  manifests._known.clear()
  write(config, 'of this one')
  assert config.read_text() == 'of this one'
  with files.claimed(folder), pytest.raises(errors.SavosError, match='config'):
    write(config)  # It is what this run fills.


def test_a_folder_that_was_made_at_once_knows_every_file(tmp_path):
  partial, folder = tmp_path / '.part', tmp_path / 'DAVIS'
  (partial / 'in').mkdir(parents=True)
  for name in ('a.txt', 'in/b.txt'):
    (partial / name).write_text('ours')
  manifests.begin_with_all(partial)
  partial.rename(folder)
  (folder / 'c.txt').write_text('theirs')
  assert names(manifests.of(folder / 'a.txt').written()) == ['a.txt', 'b.txt']
