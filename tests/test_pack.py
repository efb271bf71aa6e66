"""Packs: what comes back, how large it is, and every damage told by name."""

import json
import pickle
import zipfile

import numpy as np
import pytest
import sampling_videos
import tiny_videos

from savos_jax.datasets import held_out_photos
from savos_jax.datasets import masks
from savos_jax.datasets import pack
from savos_jax.datasets import shrinking
from savos_jax.datasets import stills
from savos_jax.foundation import errors
from savos_jax.tools import pack as tool

BOX = (320, 448)


def photos(folder, count):
  for number in range(count):
    sampling_videos.save_photo(folder, f'{number:02d}', number % 5)
  return stills.load(folder)


@pytest.fixture
def records(tmp_path):
  """Two videos, of 9 and 3 frames, and two photos."""
  return [
    *sampling_videos.open_videos(tmp_path),
    *photos(tmp_path / 'photos', 2),
  ]


def read_error(*paths):
  with pytest.raises(errors.SavosError) as caught:
    pack.read(*paths)
  return str(caught.value)


def check_same(one, other, tolerance):
  assert (one.name, len(one)) == (other.name, len(other))
  for field in ('height', 'width', 'object_ids', 'merge_objects', 'protocol'):
    assert getattr(one, field) == getattr(other, field)
  for i in range(len(one)):
    np.testing.assert_array_equal(one.labels(i), other.labels(i))
    difference = np.abs(one.frame(i).astype(int) - other.frame(i))
    assert difference.mean() <= tolerance


@pytest.mark.parametrize('codec', ['jpeg', 'webp'])
def test_records_come_back_but_for_the_loss_of_the_codec(
  tmp_path, records, codec
):
  path = tmp_path / 'new' / 'a.pack'
  size = pack.write(path, records, BOX, codec, 95)
  assert path.stat().st_size == size
  found = pack.read(path)
  assert len(found) == len(records)
  for one, other in zip(found, records, strict=True):
    check_same(one, other, tolerance=4)


@pytest.mark.parametrize('kind', ['CLIPS', 'DREAMS'])
def test_training_examples_are_those_of_the_folder(tmp_path, records, kind):
  pack.write(tmp_path / 'a.pack', records, BOX, 'jpeg', 100)
  config = getattr(sampling_videos, kind)

  def make(opened):
    return sampling_videos.make(opened[:2], config, stills=opened[2:])

  folder, packed = make(records), make(pack.read(tmp_path / 'a.pack'))
  for index in range(3):
    expected, found = folder.example(index), packed.example(index)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
      if 'frame' not in name:
        np.testing.assert_array_equal(found[name], array)
      else:
        assert found[name].shape == array.shape
        assert np.abs(found[name].astype(int) - array).mean() < 8


def test_another_process_reads_the_file_and_gets_no_copy(tmp_path, records):
  path = tmp_path / 'a.pack'
  pack.write(path, records, BOX)
  opened = pack.read(path)
  sent = pickle.dumps(opened)
  assert len(sent) < path.stat().st_size / 2
  found = pickle.loads(sent)
  assert len({id(record.archive) for record in found}) == 1
  for one, other in zip(found, opened, strict=True):
    check_same(one, other, tolerance=0)
  path.unlink()
  assert opened[0].frame(0).size
  with pytest.raises(errors.SavosError, match=r'a\.pack: cannot be read any'):
    pickle.loads(sent)


def test_merged_objects_stay_merged(tmp_path):
  (tmp_path / 'v').mkdir()
  video = tiny_videos.write(tmp_path / 'v')
  merged = type(video)(
    **{**vars(video), 'merge_objects': True, 'object_ids': (1,)}
  )
  pack.write(tmp_path / 'a.pack', [merged], BOX)
  (found,) = pack.read(tmp_path / 'a.pack')
  check_same(found, merged, tolerance=100)


def test_images_are_shrunk_and_never_enlarged():
  assert shrinking.fitted_size(360, 640, (320, 448)) == (252, 448)
  assert shrinking.fitted_size(640, 360, (320, 448)) == (448, 252)
  assert shrinking.fitted_size(400, 400, (320, 448)) == (320, 320)
  assert shrinking.fitted_size(100, 448, (320, 448)) == (100, 448)
  assert shrinking.fitted_size(1, 9000, (320, 448)) == (1, 448)


def test_a_pixel_gets_the_label_that_covers_most_of_it():
  labels = np.zeros((8, 8), np.uint8)
  labels[:, 0] = 7  # Half of a pixel: the lower label wins, the background.
  labels[:, 3:6] = 5
  frame = np.full((8, 8, 3), 9, np.uint8)
  frame, shrunk = shrinking.shrink(frame, labels, (4, 4))
  np.testing.assert_array_equal(shrunk, [[0, 0, 5, 0]] * 4)
  assert frame.shape == (4, 4, 3)
  assert (frame == 9).all()


def test_what_is_packed_is_shrunk(tmp_path, records):
  pack.write(tmp_path / 'a.pack', records, (45, 80), 'jpeg', 95)
  found = pack.read(tmp_path / 'a.pack')
  assert {(r.height, r.width) for r in found} == {(45, 80)}
  for one, other in zip(found, records, strict=True):
    frame, labels = shrinking.shrink(other.frame(0), other.labels(0), (45, 80))
    np.testing.assert_array_equal(one.labels(0), labels)
    assert np.abs(one.frame(0).astype(int) - frame).mean() < 8


def test_each_nth_frame(tmp_path, records):
  pack.write(tmp_path / 'a.pack', records, BOX, every=2)
  found = pack.read(tmp_path / 'a.pack')
  assert [len(record) for record in found] == [5, 2, 1, 1]
  for i in range(5):
    np.testing.assert_array_equal(found[0].labels(i), records[0].labels(2 * i))


def test_the_same_records_give_the_same_bytes(tmp_path, records, monkeypatch):
  one, other = tmp_path / 'one.pack', tmp_path / 'other.pack'
  pack.write(one, records, BOX)
  monkeypatch.setattr('time.localtime', lambda *_: (2030, 1, 1, 0, 0, 0, 0))
  monkeypatch.setattr('os.cpu_count', lambda: 7)
  pack.write(other, records, BOX)
  assert one.read_bytes() == other.read_bytes()


def test_parts_hold_everything_once_and_are_about_equal(tmp_path):
  records = [
    *sampling_videos.open_videos(tmp_path),
    *photos(tmp_path / 'photos', 20),
  ]
  for count in (1, 2, 3):
    parts = pack.parts(records, count)
    names = [record.name for part in parts for record in part]
    assert sorted(names) == sorted(record.name for record in records)
    frames = [sum(map(len, part)) for part in parts]
    assert max(frames) - min(frames) <= 1
  # No part is without photos, though a video is longer than the other.
  for part in pack.parts(records, 2):
    assert sum(len(record) == 1 for record in part) >= 7


def test_several_packs_are_read_as_one(tmp_path, records):
  paths = [tmp_path / f'{i}.pack' for i in range(2)]
  for path, part in zip(paths, pack.parts(records, 2), strict=True):
    pack.write(path, part, BOX)
  names = [record.name for record in pack.read(*paths)]
  assert sorted(names) == sorted(record.name for record in records)
  assert pack.read() == []


def test_packs_with_a_common_video(tmp_path, records):
  paths = [tmp_path / f'{i}.pack' for i in range(2)]
  pack.write(paths[0], records, BOX)
  pack.write(paths[1], records[:1], BOX)
  message = read_error(*paths)
  assert str(paths[0]) in message
  assert str(paths[1]) in message
  assert records[0].name in message


def test_the_highest_quality_that_fits_is_taken(tmp_path, records):
  sizes = {
    quality: pack.write(tmp_path / f'{quality}', records, BOX, 'jpeg', quality)
    for quality in pack.QUALITIES
  }
  for wanted in (90, 70, 50):
    path = tmp_path / f'within-{wanted}'
    found = pack.write_within(path, records, BOX, 'jpeg', sizes[wanted] + 2000)
    # Where another quality is as near as that, it will do.
    assert sizes[found[0]] == found[1] == path.stat().st_size
    assert sizes[wanted] <= found[1] <= sizes[wanted] + 2000


def test_a_limit_holds_where_the_estimate_is_wrong(
  tmp_path, records, monkeypatch
):
  monkeypatch.setattr(pack, 'choose_quality', lambda *_: 90)
  sizes = {
    quality: pack.write(tmp_path / f'{quality}', records, BOX, 'jpeg', quality)
    for quality in (90, 70, 50)
  }
  path = tmp_path / 'a.pack'
  found = pack.write_within(path, records, BOX, 'jpeg', sizes[70])
  assert found == (70, sizes[70])
  with pytest.raises(errors.SavosError, match='quality 50'):
    pack.write_within(tmp_path / 'b', records, BOX, 'jpeg', sizes[50] - 1)
  assert not list(tmp_path.glob('*b*'))
  assert not list(tmp_path.glob('.*'))


def test_nothing_fits(tmp_path, records):
  with pytest.raises(errors.SavosError, match='quality 50') as caught:
    pack.write_within(tmp_path / 'a.pack', records, BOX, 'jpeg', 1000)
  assert '--max_mb' in str(caught.value)
  assert not (tmp_path / 'a.pack').exists()


def test_an_existing_file_is_not_replaced(tmp_path, records):
  path = tmp_path / 'a.pack'
  path.write_text('dear')
  with pytest.raises(errors.SavosError, match='exists already') as caught:
    pack.write(path, records, BOX)
  assert str(path) in str(caught.value)
  assert path.read_text() == 'dear'


def test_a_damaged_source_leaves_nothing_behind(tmp_path, records):
  records[1].frames[1].write_bytes(b'no image')
  with pytest.raises(errors.SavosError, match='not an image'):
    pack.write(tmp_path / 'new' / 'a.pack', records, BOX)
  assert not list((tmp_path / 'new').iterdir())


@pytest.fixture
def small(tmp_path):
  """A pack of one image of a few pixels."""
  (tmp_path / 'v').mkdir()
  video = tiny_videos.write(tmp_path / 'v')
  path = tmp_path / 'a.pack'
  pack.write(path, [video], (9, 14), every=4)
  return path


def contents(records):
  return [
    (
      record.name,
      record.object_ids,
      record.frame(0).tobytes(),
      record.labels(0).tobytes(),
    )
    for record in records
  ]


def test_a_damaged_byte_is_told_by_file_and_member(small):
  whole = bytearray(small.read_bytes())
  with zipfile.ZipFile(small) as archive:
    for info in archive.infolist():
      changed = whole.copy()
      changed[info.header_offset + 30 + len(info.filename)] ^= 1
      small.write_bytes(changed)
      message = read_error(small)
      assert f'{small}: {info.filename} in it is damaged' in message
      assert 'copy it again' in message


def test_no_byte_can_change_unnoticed_or_give_a_traceback(small):
  whole, expected = small.read_bytes(), contents(pack.read(small))
  noticed = 0
  for place in range(len(whole)):
    changed = bytearray(whole)
    changed[place] ^= 1 << place % 8
    small.write_bytes(changed)
    try:
      found = contents(pack.read(small))
    except errors.SavosError:
      noticed += 1
    else:
      assert found == expected
  # The others are dates and rights of the members, which say nothing.
  assert noticed > 0.8 * len(whole)


def test_a_truncated_file(small):
  whole = small.read_bytes()
  for length in range(0, len(whole), 7):
    small.write_bytes(whole[:length])
    message = read_error(small)
    assert (
      f'{small}: no pack, or its end is missing ({length} bytes)' in message
    )


def test_no_such_file(tmp_path):
  assert f'{tmp_path / "b.pack"}: cannot be read' in read_error(
    tmp_path / 'b.pack'
  )
  assert 'cannot be read: a folder' in read_error(tmp_path)


def test_something_else_than_a_pack(tmp_path):
  path = tmp_path / 'a.pack'
  path.write_text('Not a pack at all.')
  assert 'no pack' in read_error(path)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('word/document.xml', 'text')
  assert 'an archive without index.json' in read_error(path)


def _change_index(path, change):
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  index = json.loads(members['index.json'])
  changed = change(index)
  members['index.json'] = json.dumps(index if changed is None else changed)
  with zipfile.ZipFile(path, 'w') as archive:
    for name, data in members.items():
      archive.writestr(name, data)


def test_another_version(small):
  _change_index(small, lambda index: index.update(version=2))
  message = read_error(small)
  assert f'{small}: a pack of version 2' in message
  assert 'Expected 1' in message


@pytest.mark.parametrize(
  'change',
  [
    lambda index: [index],
    lambda index: index.pop('suffix') and None,
    lambda index: index['records'][0].pop('name') and None,
    lambda index: index['records'][0].update(size=[1, 2, 3]),
    lambda index: index['records'][0].update(first=None),
  ],
)
def test_a_malformed_index(small, change):
  _change_index(small, change)
  assert f'{small}: index.json in it is malformed' in read_error(small)


def test_an_index_with_more_images_than_there_are(small):
  _change_index(small, lambda index: index['records'][0].update(count=2))
  assert f'{small}: i/1.jpg, an image of' in read_error(small)


@pytest.mark.parametrize('count', [10**12, -(10**12), float('inf')])
def test_an_index_is_not_believed(small, count):
  _change_index(small, lambda index: index['records'].append(
    index['records'][0] | {'name': 'b', 'count': count}))  # fmt: skip
  assert f'{small}: index.json in it is malformed' in read_error(small)


def test_a_pack_of_packed_bytes_is_not_unpacked(tmp_path):
  path = tmp_path / 'a.pack'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('index.json', bytes(10_000_000))
  assert 'its members are compressed' in read_error(path)


def test_a_picture_in_a_pack_is_no_bomb(small, monkeypatch):
  (record,) = pack.read(small)
  monkeypatch.setattr(masks, 'MOST_PIXELS', 9)
  for read in (record.frame, record.labels):
    with pytest.raises(errors.SavosError, match='Expected at most'):
      read(0)


def test_an_image_of_another_size_than_the_index_says(small):
  _change_index(small, lambda index: index['records'][0].update(size=[9, 15]))
  (record,) = pack.read(small)
  with pytest.raises(errors.SavosError, match='Expected 15x9'):
    record.frame(0)


def run_tool(*arguments):
  tool.main([str(argument) for argument in arguments])


def test_tool_leaves_held_out_photos_out(tmp_path, capsys):
  everything = photos(tmp_path / 'photos', 60)
  kept = [p.name for p in everything if not held_out_photos.is_held_out(p.name)]
  assert 0 < len(kept) < 60
  source = '--stills', tmp_path / 'photos'
  run_tool(*source, f'--out={tmp_path / "a"}', '--max_mb=1', '--codec=webp')
  assert [r.name for r in pack.read(tmp_path / 'a')] == kept
  told = capsys.readouterr().out
  assert f'0 videos of 0 frames, {len(kept)} photos, webp quality 90' in told
  run_tool(*source, f'--out={tmp_path / "b"}', '--with_held_out')
  assert len(pack.read(tmp_path / 'b')) == 60


def test_tool_writes_parts(tmp_path):
  photos(tmp_path / 'photos', 9)
  paths = [tmp_path / f'{i}' for i in (1, 2)]
  for i, path in enumerate(paths, 1):
    run_tool(
      '--stills', tmp_path / 'photos', f'--part={i}/2', f'--out={path}',
      '--with_held_out',
    )  # fmt: skip
  assert [len(pack.read(path)) for path in paths] == [5, 4]
  assert len(pack.read(*paths)) == 9


def test_tool_refuses_before_it_reads(tmp_path, capsys):
  (tmp_path / 'a').write_text('dear')
  with pytest.raises(SystemExit):
    run_tool('--stills', tmp_path / 'nothing', f'--out={tmp_path / "a"}')
  assert 'exists already' in capsys.readouterr().err


def test_tool_with_more_parts_than_photos(tmp_path, capsys):
  photos(tmp_path / 'photos', 2)
  with pytest.raises(SystemExit):
    run_tool(
      '--stills', tmp_path / 'photos', '--part=3/3', f'--out={tmp_path / "a"}'
    )
  assert '2 videos and photos, for 3 part(s)' in capsys.readouterr().err


@pytest.mark.parametrize(
  'wrong',
  ['--size=3', '--size=0x9', '--part=3/2', '--every=0', '--quality=101',
   '--max_mb=0', '--max_mb=-1', '--codec=gif'],
)  # fmt: skip
def test_tool_with_a_wrong_option(tmp_path, capsys, wrong):
  with pytest.raises(SystemExit):
    run_tool('--stills', tmp_path, f'--out={tmp_path / "a"}', wrong)
  told = capsys.readouterr().err
  assert wrong.split('=')[0] in told
  assert 'Traceback' not in told


def test_tool_without_a_source(tmp_path, capsys):
  with pytest.raises(SystemExit):
    run_tool(f'--out={tmp_path / "a"}')
  assert 'nothing to pack' in capsys.readouterr().err


def test_void_is_background(tmp_path):
  photos(tmp_path / 'photos', 1)
  labels = sampling_videos.draw_labels(0)
  labels[0] = masks.VOID
  masks.write_mask(tmp_path / 'photos' / 'masks' / '00.png', labels)
  pack.write(tmp_path / 'a', stills.load(tmp_path / 'photos'), BOX)
  (record,) = pack.read(tmp_path / 'a')
  assert set(np.unique(record.labels(0))) == {0, 1, 2}
