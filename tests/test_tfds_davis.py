"""DAVIS out of a prepared TFDS builder equals DAVIS from its own files."""

import json
import shutil

import numpy as np
from PIL import Image
import pytest

from savos_jax import opening
from savos_jax.configs import default
from savos_jax.datasets import davis
from savos_jax.datasets import tfds_davis
from savos_jax.foundation import errors

VERSION = '2.1.0'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """(source folder, data_dir): TFDS' own davis builder, from drawn clips."""
  return _prepare(tmp_path_factory.mktemp('prepared'))


def _write_source(root):
  """Three clips of different sizes and object counts, in the DAVIS layout."""
  rng = np.random.default_rng(0)
  clips = {
    # TFDS hands out yak before cow (by a hash); the lists must not.
    'yak': ('train', (30, 44), 5, 3),
    'cow': ('train', (41, 33), 4, 1),
    'mole': ('val', (36, 48), 4, 2),
  }
  (root / 'ImageSets/2017').mkdir(parents=True)
  for name, (split, size, frames, objects) in clips.items():
    with (root / f'ImageSets/2017/{split}.txt').open('a') as lines:
      lines.write(f'{name}\n')
    (root / 'JPEGImages/480p' / name).mkdir(parents=True)
    (root / 'Annotations/480p' / name).mkdir(parents=True)
    for t in range(frames):
      pixels = rng.integers(0, 256, (*size, 3), np.uint8)
      labels = np.zeros(size, np.uint8)
      for k in range(objects):
        labels[4 + t : 20 + t, 3 + 9 * k : 10 + 9 * k] = k + 1
      if (name, t) == ('yak', 2):
        labels[0] = 255  # Void: TFDS must hand it through, not make it 1.
      Image.fromarray(pixels).save(
        root / f'JPEGImages/480p/{name}/{t:05d}.jpg', quality=80
      )
      mask = Image.fromarray(labels)
      mask.putpalette(list(range(256)) * 3)
      mask.save(root / f'Annotations/480p/{name}/{t:05d}.png')


def _prepare(folder):
  # Slow to import.
  tfds = pytest.importorskip(
    'tensorflow_datasets', reason='tensorflow-datasets is not installed'
  )
  from tensorflow_datasets.video.davis import davis as tfds_source

  source = folder / 'source'
  data_dir = folder / 'data_dir'
  _write_source(source)

  class Davis(tfds_source.Davis, skip_registration=True):
    """Everything of the real builder but the download."""

    def _split_generators(self, dl_manager):
      lists = source / 'ImageSets' / '2017'
      return {
        tfds.Split.TRAIN: self._generate_examples(lists / 'train.txt'),
        tfds.Split.VALIDATION: self._generate_examples(lists / 'val.txt'),
      }

  builder = Davis(config='480p', data_dir=data_dir)
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(try_download_gcs=False)
  )
  return source, data_dir


def _contents(folder):
  """Path -> (bytes, time of change) of every file below a folder."""
  return {
    path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
    for path in folder.rglob('*')
    if path.is_file()
  }


def _copied_builder(prepared, tmp_path):
  """A data_dir of its own, to be damaged; returns it and the builder folder."""
  data_dir = tmp_path / 'copy'
  shutil.copytree(prepared[1], data_dir)
  return data_dir, data_dir / 'davis' / '480p' / VERSION


def _assert_only(folder, *names):
  assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_export_equals_the_source(prepared, tmp_path):
  source, data_dir = prepared
  root = tmp_path / 'deep' / 'export'
  assert tfds_davis.export(data_dir, root) == root
  _assert_only(root.parent, 'export')  # No half-made folder is left.

  expected_frames = sorted((source / 'JPEGImages').rglob('*.jpg'))
  frames = sorted((root / 'JPEGImages').rglob('*.*'))
  assert [f.relative_to(root) for f in frames] == [
    f.relative_to(source) for f in expected_frames
  ]
  assert [f.read_bytes() for f in frames] == [
    f.read_bytes() for f in expected_frames
  ]
  expected_masks = sorted((source / 'Annotations').rglob('*.png'))
  mask_files = sorted((root / 'Annotations').rglob('*.*'))
  assert [m.relative_to(root) for m in mask_files] == [
    m.relative_to(source) for m in expected_masks
  ]
  for mask, expected in zip(mask_files, expected_masks, strict=True):
    with Image.open(mask) as image, Image.open(expected) as expected_image:
      assert image.mode == 'P'
      np.testing.assert_array_equal(image, expected_image, err_msg=str(mask))


def test_image_lists_and_marker(prepared, tmp_path):
  root = tfds_davis.export(prepared[1], tmp_path / 'export')
  lists = root / 'ImageSets'
  _assert_only(lists, '2017')
  _assert_only(lists / '2017', 'train.txt', 'val.txt')
  assert (lists / '2017/train.txt').read_text() == 'cow\nyak\n'
  assert (lists / '2017/val.txt').read_text() == 'mole\n'
  assert json.loads((root / tfds_davis.MARKER).read_text()) == {
    'name': 'davis',
    'config': '480p',
    'version': VERSION,
  }


def test_load_gives_the_records_of_the_source(prepared, tmp_path):
  source, data_dir = prepared
  root = tmp_path / 'export'
  for split, names in (('train', ['cow', 'yak']), ('val', ['mole'])):
    records = tfds_davis.load(data_dir, split, root)
    assert [r.name for r in records] == names
    expected = {r.name: r for r in davis.load(source, split)}
    for record in records:
      other = expected[record.name]
      assert record.object_ids == other.object_ids
      assert not record.merge_objects
      assert (record.height, record.width) == (other.height, other.width)
      assert len(record) == len(other)
      for t in range(len(record)):
        np.testing.assert_array_equal(record.frame(t), other.frame(t))
        np.testing.assert_array_equal(record.labels(t), other.labels(t))
  ids = {r.name: r.object_ids for r in tfds_davis.load(data_dir, 'train', root)}
  assert ids == {'cow': (1,), 'yak': (1, 2, 3)}


def test_the_configuration_s_source(prepared, tmp_path):
  config = default.get_config()
  config.data.source = 'tfds'
  config.data.root = str(prepared[1])
  (record,) = opening.load_split(config, tmp_path, 'val')
  assert record.name == 'mole'
  assert record.frames[0].is_relative_to(tmp_path / 'tfds_davis')


def test_second_export_reads_and_writes_nothing(
  prepared, tmp_path, monkeypatch
):
  root = tfds_davis.export(prepared[1], tmp_path / 'export')
  before = _contents(root)

  def refuse(*args):
    raise AssertionError('the builder was opened again')

  monkeypatch.setattr(tfds_davis, '_open_builder', refuse)
  assert tfds_davis.export(prepared[1], root) == root
  assert _contents(root) == before
  _assert_only(tmp_path, 'export')


def test_builder_folder_itself_and_text_paths(prepared, tmp_path):
  builder_dir = prepared[1] / 'davis' / '480p' / VERSION
  (tmp_path / 'export').mkdir()  # An empty folder is as good as none.
  records = tfds_davis.load(str(builder_dir), 'val', str(tmp_path / 'export'))
  assert [r.name for r in records] == ['mole']


def test_newest_prepared_version_is_taken(prepared, tmp_path):
  data_dir, builder_dir = _copied_builder(prepared, tmp_path)
  newer = builder_dir.with_name('10.1.0')  # By letters, 2.1.0 would be.
  shutil.copytree(builder_dir, newer)
  info = newer / 'dataset_info.json'
  info.write_text(info.read_text().replace(VERSION, '10.1.0'))
  builder_dir.with_name('11.0.0').mkdir()  # Not prepared: no info file.
  builder_dir.with_name('3.0.0.incompleteABC').mkdir()
  root = tfds_davis.export(data_dir, tmp_path / 'export')
  marker = json.loads((root / tfds_davis.MARKER).read_text())
  assert marker['version'] == '10.1.0'


@pytest.mark.parametrize('config', ['480p', 'full_resolution'])
def test_not_prepared(config, tmp_path):
  data_dir = tmp_path / 'empty'
  with pytest.raises(errors.SavosError) as caught:
    tfds_davis.export(data_dir, tmp_path / 'export', config)
  message = str(caught.value)
  assert (
    'python -c "import tensorflow_datasets as tfds; '
    f"tfds.builder('davis/{config}', data_dir='{data_dir}')"
    '.download_and_prepare()"'
  ) in message
  assert str(data_dir / 'dataset_info.json') in message
  assert str(data_dir / 'davis' / config) in message
  assert not (tmp_path / 'export').exists()


def test_a_configuration_that_is_not_there(prepared, tmp_path):
  """480p is prepared: it is not taken in the place of full_resolution."""
  with pytest.raises(errors.SavosError, match='builder davis/full_res'):
    tfds_davis.export(prepared[1], tmp_path / 'export', 'full_resolution')
  builder_dir = prepared[1] / 'davis' / '480p' / VERSION
  with pytest.raises(errors.SavosError, match='the builder is davis/480p'):
    tfds_davis.export(builder_dir, tmp_path / 'export', 'full_resolution')
  with pytest.raises(errors.SavosError, match="TFDS config '1080p'"):
    tfds_davis.export(prepared[1], tmp_path / 'export', '1080p')


def test_foreign_folder_is_left_alone(prepared, tmp_path):
  root = tmp_path / 'photos'
  root.mkdir()
  (root / 'holiday.jpg').write_bytes(b'mine')
  before = _contents(root)
  with pytest.raises(errors.SavosError) as caught:
    tfds_davis.export(prepared[1], root)
  message = str(caught.value)
  assert message.startswith(f'{root}: exists')
  assert tfds_davis.MARKER in message
  assert 'Name another folder' in message
  assert _contents(root) == before
  _assert_only(tmp_path, 'photos')


def test_export_of_another_version_is_left_alone(prepared, tmp_path):
  root = tfds_davis.export(prepared[1], tmp_path / 'export')
  marker = root / tfds_davis.MARKER
  marker.write_text(marker.read_text().replace(VERSION, '2.0.0'))
  before = _contents(root)
  with pytest.raises(errors.SavosError) as caught:
    tfds_davis.export(prepared[1], root)
  assert str(caught.value).startswith(f'{marker}: ')
  assert '2.0.0' in str(caught.value)
  assert VERSION in str(caught.value)
  assert _contents(root) == before


def test_root_is_a_file(prepared, tmp_path):
  root = tmp_path / 'file'
  root.write_text('mine')
  with pytest.raises(errors.SavosError, match='Name another folder'):
    tfds_davis.export(prepared[1], root)
  assert root.read_text() == 'mine'


def test_root_below_a_file_cannot_be_written(prepared, tmp_path):
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(errors.SavosError, match='could not be written'):
    tfds_davis.export(prepared[1], tmp_path / 'file' / 'export')


@pytest.mark.parametrize('damage', ['cut', 'gone'])
def test_damaged_records_leave_no_folder(damage, prepared, tmp_path):
  data_dir, builder_dir = _copied_builder(prepared, tmp_path)
  (shard,) = builder_dir.glob('*validation*')
  if damage == 'cut':
    shard.write_bytes(shard.read_bytes()[:-100])
  else:
    shard.unlink()
  with pytest.raises(errors.SavosError) as caught:
    tfds_davis.export(data_dir, tmp_path / 'export')
  assert str(builder_dir) in str(caught.value)
  assert 'prepare it again' in str(caught.value)
  _assert_only(tmp_path, 'copy')


@pytest.mark.parametrize(
  'edit',
  [
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"version"', '"edition"'),
    lambda text: '[]',
  ],
)
def test_damaged_info_file(edit, prepared, tmp_path):
  data_dir, builder_dir = _copied_builder(prepared, tmp_path)
  info = builder_dir / 'dataset_info.json'
  info.write_text(edit(info.read_text()))
  with pytest.raises(errors.SavosError, match=r'json: unreadable') as caught:
    tfds_davis.export(data_dir, tmp_path / 'export')
  assert str(info) in str(caught.value)


def test_builder_of_another_data_set(prepared, tmp_path):
  _, builder_dir = _copied_builder(prepared, tmp_path)
  info = builder_dir / 'dataset_info.json'
  info.write_text(info.read_text().replace('"davis"', '"mnist"'))
  with pytest.raises(errors.SavosError, match='the builder is mnist/480p'):
    tfds_davis.export(builder_dir, tmp_path / 'export')


def test_builder_without_validation_split(prepared, tmp_path):
  data_dir, builder_dir = _copied_builder(prepared, tmp_path)
  info = builder_dir / 'dataset_info.json'
  content = json.loads(info.read_text())
  content['splits'] = [s for s in content['splits'] if s['name'] == 'train']
  info.write_text(json.dumps(content))
  with pytest.raises(errors.SavosError, match='no split validation'):
    tfds_davis.export(data_dir, tmp_path / 'export')


def test_builder_without_features(prepared, tmp_path):
  data_dir, builder_dir = _copied_builder(prepared, tmp_path)
  (builder_dir / 'features.json').unlink()
  with pytest.raises(errors.SavosError, match='cannot open it'):
    tfds_davis.export(data_dir, tmp_path / 'export')


def test_another_process_may_be_faster(prepared, tmp_path, monkeypatch):
  root = tmp_path / 'export'
  first = tfds_davis.export(prepared[1], tmp_path / 'first')
  write_all = tfds_davis._write_all

  def write_while_another_finishes(*args):
    write_all(*args)
    shutil.copytree(first, root)

  monkeypatch.setattr(tfds_davis, '_write_all', write_while_another_finishes)
  assert tfds_davis.export(prepared[1], root) == root
  _assert_only(tmp_path, 'first', 'export')


def test_frame_suffix_follows_the_bytes(tmp_path):
  pixels = np.zeros((2, 3, 3), np.uint8)
  for kind, suffix in (('JPEG', '.jpg'), ('PNG', '.png')):
    path = tmp_path / kind
    Image.fromarray(pixels).save(path, format=kind)
    assert tfds_davis._frame_suffix(path.read_bytes(), 'here') == suffix
  with pytest.raises(errors.SavosError, match='here: a frame is neither'):
    tfds_davis._frame_suffix(b'GIF89a', 'here')


def test_segmentation_must_hold_ids(tmp_path):
  path = tmp_path / 'rgb.png'
  Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)
  with pytest.raises(errors.SavosError, match='here: a segmentation of shape'):
    tfds_davis._decode_labels(path.read_bytes(), 'here')
  with pytest.raises(errors.SavosError, match='here, a segmentation: damaged'):
    tfds_davis._decode_labels(path.read_bytes()[:20], 'here')
