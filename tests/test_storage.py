"""Files with a URL."""

import pytest

from savos_jax.foundation import errors
from savos_jax.foundation import storage


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('s3://b/a', True), ('file:///a', True), ('s3://', False), ('a/b', False),
    ('/s3://b', False), ('C:/a', False), ('4=s3://b', False),
  ],
)  # fmt: skip
def test_what_is_a_url(text, expected):
  assert storage.is_url(text) == expected


def test_there_and_back(tmp_path):
  url = f'file://{tmp_path}/store'
  (tmp_path / 'made' / 'masks').mkdir(parents=True)
  (tmp_path / 'made' / 'masks' / '0.png').write_bytes(b'0')
  assert storage.listed(url) == []
  assert storage.read(storage.join(url, 'done')) is None
  storage.put(tmp_path / 'made', ['masks/0.png'], url)
  storage.write(storage.join(url, 'done'), 'é')
  assert sorted(storage.listed(url)) == ['done', 'masks/0.png']
  assert storage.read(f'{url}/done') == 'é'
  (tmp_path / 'here').mkdir()
  for part in ('masks', 'masks/0.png'):
    copy = storage.fetch(f'{url}/{part}', tmp_path / 'here')
    file = copy / '0.png' if copy.is_dir() else copy
    assert file.read_bytes() == b'0'
    copy.rename(tmp_path / part.replace('/', '_'))
  storage.remove(url, ['done', 'absent'])
  assert storage.listed(url) == ['masks/0.png']


def test_a_version_changes_with_the_content(tmp_path):
  (tmp_path / 'a').mkdir()
  for name in ('1', '2'):
    (tmp_path / 'a' / name).write_text(name)
  found = [storage.version(f'file://{tmp_path}/a{p}') for p in ('', '/1', '/2')]
  assert len(set(found)) == 3
  assert storage.version(f'file://{tmp_path}/a') == found[0]
  (tmp_path / 'a' / '2').write_text('22')
  changed = [
    storage.version(f'file://{tmp_path}/a{p}') for p in ('', '/1', '/2')
  ]
  assert [a == b for a, b in zip(found, changed, strict=True)] == [
    False, True, False,
  ]  # fmt: skip


def test_a_version_is_the_same_however_a_store_is_asked():
  alone = {'size': 3, 'ETag': '"a"', 'LastModified': 1, 'metadata': {}}
  listed = {'size': 3, 'ETag': 'a', 'Key': 'b', 'mtime': 9}
  assert storage.stamp(alone) == storage.stamp(listed)
  for other in ({**listed, 'ETag': 'b'}, {**listed, 'size': 4}):
    assert storage.stamp(alone) != storage.stamp(other)


@pytest.mark.parametrize(
  ('url', 'expected'),
  [
    ('file://{}/absent', 'absent: no such file'),
    ('file://{}/..', 'not a valid name'),
    ('memory://a', 'single process'),
    ('nowhere://a', 'nowhere'),
  ],
)
def test_mistakes_are_explained(tmp_path, url, expected):
  url = url.format(tmp_path)
  with pytest.raises(errors.SavosError, match=expected):
    storage.fetch(url, tmp_path)
