"""The bank of pixels: as written out by hand, and the same of any source."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import sampling_videos

from savos_jax import opening
from savos_jax.configs import default
from savos_jax.data import bank
from savos_jax.datasets import davis
from savos_jax.datasets import held_out_photos
from savos_jax.datasets import masks
from savos_jax.datasets import pack
from savos_jax.datasets import sequences
from savos_jax.datasets import stills
from savos_jax.datasets import training_images
from savos_jax.foundation import errors

SIZE = (40, 50)


def draw(*boxes, size=SIZE):
  """Labels 1, 2, ... (or the fifth number) in top, left, bottom, right."""
  labels = np.zeros(size, np.uint8)
  for number, (top, left, bottom, right, *label) in enumerate(boxes, 1):
    labels[top:bottom, left:right] = label[0] if label else number
  return labels


def record(folder, name, *drawn):
  """A video, or a photo, of random colours, with these labels."""
  rng = np.random.default_rng(len(name))
  frames, mask_files = [], []
  for number, labels in enumerate(drawn):
    stem = folder / f'{name.replace("/", "-")}{number}'
    frames.append(stem.with_suffix('.png'))
    mask_files.append(stem.with_suffix('.mask.png'))
    frame = rng.integers(0, 256, (*labels.shape, 3), np.uint8)
    cv2.imwrite(str(frames[-1]), frame)
    masks.write_mask(mask_files[-1], labels)
  return sequences.open_sequence(name, frames, mask_files)


@pytest.fixture
def records(tmp_path):
  """Photos of groups b and a about a video; five images in all."""
  return [
    record(tmp_path, 'b/1', draw((5, 6, 15, 26), (20, 0, 30, 10))),
    record(tmp_path, 'v', draw((1, 2, 11, 12)), draw(), draw((2, 3, 40, 13))),
    record(tmp_path, 'a/1', draw((3, 4, 19, 14, 7), (22, 30, 23, 32, 3))),
  ]


def test_the_tables_are_as_written_out_by_hand(records):
  built = bank.build(records)
  p = SIZE[0] * SIZE[1]
  # Groups are numbered by name, and the videos' is the nameless one.
  np.testing.assert_array_equal(
    built.images,
    [
      (0, *SIZE, 0, 1, 2),
      (p, *SIZE, 1, 3, 0),
      (2 * p, *SIZE, 1, 3, 0),
      (3 * p, *SIZE, 1, 3, 0),
      (4 * p, *SIZE, 4, 1, 1),
    ],
  )
  # The object of two pixels is too small: 0.1 % of the image.
  np.testing.assert_array_equal(
    built.objects,
    [
      (0, 1, 5, 6, 15, 26, 200, 0),
      (0, 2, 20, 0, 30, 10, 100, 1),
      (1, 1, 1, 2, 11, 12, 100, 0),
      (3, 1, 2, 3, 40, 13, 380, 1),
      (4, 7, 3, 4, 19, 14, 160, 0),
    ],
  )
  np.testing.assert_array_equal(built.object_count, [2, 1, 0, 1, 1])
  np.testing.assert_array_equal(built.first_object, [0, 2, 3, 3, 4])
  np.testing.assert_array_equal(
    built.image_boxes,
    [
      (5, 0, 30, 26),
      (1, 2, 11, 12),
      (0, 0, *SIZE),
      (2, 3, 40, 13),
      (3, 4, 19, 14),
    ],
  )
  np.testing.assert_array_equal(built.video_objects, [2, 3])
  np.testing.assert_array_equal(built.photo_objects, [0, 1, 4])
  # Whole ones, by group: of a, then of b.
  np.testing.assert_array_equal(built.paste_objects, [4, 0])
  np.testing.assert_array_equal(built.group_paste, [(0, 0), (0, 1), (1, 1)])


def test_a_last_group_without_anything_to_paste_has_its_row(tmp_path):
  whole = record(tmp_path, 'a/1', draw((3, 4, 19, 14)))
  cut_off = record(tmp_path, 'b/1', draw((0, 0, 19, 14)))
  built = bank.build([whole, cut_off])
  np.testing.assert_array_equal(built.group_paste, [(0, 1), (1, 0)])


def test_every_array_has_the_type_that_devices_take(records):
  arrays = bank.build(records).arrays()
  assert arrays.pop('pixels').dtype == np.uint32
  assert {array.dtype for array in arrays.values()} == {np.dtype(np.int32)}
  assert len(arrays) == 9


def test_pixels_hold_colour_and_label(records):
  built = bank.build(records)
  for number, (one, frame) in enumerate(
    [(records[0], 0), *((records[1], i) for i in range(3)), (records[2], 0)]
  ):
    begin, height, width = built.images[number, :3]
    image = built.pixels[begin : begin + height * width].reshape(height, width)
    channels = np.stack([image >> shift & 255 for shift in (0, 8, 16)], -1)
    np.testing.assert_array_equal(channels, one.frame(frame))
    np.testing.assert_array_equal(image >> 24, one.labels(frame))


def test_any_number_of_threads_builds_the_same(records):
  one, many = (bank.build(records, n).arrays() for n in (1, 5))
  for name, array in one.items():
    np.testing.assert_array_equal(array, many[name])


def test_an_iterator_of_records_does(records):
  assert len(bank.build(iter(records)).images) == 5


def test_large_images_are_shrunk_to_the_box(tmp_path):
  large = record(
    tmp_path, 'a/1', draw((180, 360, 540, 720), size=(720, 1280))
  )  # fmt: skip
  built = bank.build([large])
  np.testing.assert_array_equal(built.images, [(0, 360, 640, 0, 1, 0)])
  np.testing.assert_array_equal(
    built.objects, [(0, 1, 90, 180, 270, 360, 180 * 180, 0)]
  )
  assert built.pixels.size == 360 * 640


def test_cut_off_objects_are_pasted_where_none_is_whole(tmp_path):
  photos = [
    record(tmp_path, 'a/1', draw((0, 6, 15, 26))),
    record(tmp_path, 'b/1', draw((20, 0, 30, 10))),
  ]
  built = bank.build(photos)
  np.testing.assert_array_equal(built.paste_objects, [0, 1])
  np.testing.assert_array_equal(built.group_paste, [(0, 1), (1, 1)])
  assert not built.video_objects.size


@pytest.mark.parametrize(
  ('box', 'whole'),
  [((1, 1, 6, 8), 0), ((1, 1, 6, 10), 1), ((1, 1, 38, 40), 0)],
)
def test_pasted_objects_are_neither_tiny_nor_the_whole_photo(
  tmp_path, box, whole
):
  photos = [
    record(tmp_path, 'a/1', draw((5, 6, 15, 26))),
    record(tmp_path, 'b/1', draw(box)),
  ]
  assert len(bank.build(photos).paste_objects) == 1 + whole


def test_no_object_anywhere(tmp_path):
  photo = record(tmp_path, 'a/1', draw((1, 1, 2, 2)))
  with pytest.raises(
    errors.SavosError, match=r'none of 1 (.|\n)*at least 0\.2 %'
  ):
    bank.build([photo])
  with pytest.raises(errors.SavosError, match='none of 0'):
    bank.build([])


def test_more_pixels_than_numbers_for_them(records, monkeypatch):
  monkeypatch.setattr(bank, '_MOST_PIXELS', 9_999)
  with pytest.raises(errors.SavosError, match='5 training images') as caught:
    bank.build(records)
  assert '--every=2' in str(caught.value)


def test_a_damaged_image_is_named(records):
  path = records[1].frames[2]
  path.write_bytes(path.read_bytes()[:-200])
  with pytest.raises(errors.SavosError) as caught:
    bank.build(records)
  assert str(path) in str(caught.value)


def _photos(folder, count=60):
  for number in range(count):
    sampling_videos.save_photo(folder, f'{number:03d}', number % 5)
  return stills.load(folder)


@pytest.fixture
def davis_root(tmp_path):
  """Two videos, of four frames each."""
  root = tmp_path / 'DAVIS'
  (root / 'ImageSets' / '2016').mkdir(parents=True)
  (root / 'ImageSets' / '2016' / 'train.txt').write_text('one\ntwo\n')
  for name in ('one', 'two'):
    for part in ('JPEGImages', 'Annotations'):
      (root / part / '480p' / name).mkdir(parents=True)
    for number in range(4):
      labels = sampling_videos.draw_labels(number)
      frame = sampling_videos.draw_frame(labels, number)
      file = f'480p/{name}/{number:05d}'
      cv2.imwrite(str(root / 'JPEGImages' / f'{file}.png'), frame)
      masks.write_mask(root / 'Annotations' / f'{file}.png', labels)
  return root


def _config(**fields):
  config = default.get_config()
  config.data.year, config.data.workers = '2016', 1
  config.data.held_out = ('one',)
  config.data.update(fields)
  return config


def test_scenes_are_made_without_what_validates(tmp_path, davis_root):
  photos = _photos(tmp_path / 'photos')
  kept = [p for p in photos if not held_out_photos.is_held_out(p.name)]
  assert 0 < len(kept) < len(photos)
  folders = (str(tmp_path / 'photos'),)
  config = _config(root=str(davis_root), stills=folders)
  names = [r.name for r in opening.scene_records(config, tmp_path)]
  assert names == ['two', *(photo.name for photo in kept)]


def test_a_bank_of_packs_is_one_of_folders(tmp_path, davis_root):
  photos = _photos(tmp_path / 'photos')
  videos = davis.load(davis_root, 'train', '2016')
  parts = pack.parts([*videos, *photos], 2)
  files = [str(tmp_path / f'{i}.pack') for i in range(2)]
  for path, part in zip(files, parts, strict=True):
    pack.write(path, part, training_images.BOX, 'jpeg', 95)
  folders = (str(tmp_path / 'photos'),)
  packed, opened = (
    bank.build(opening.scene_records(_config(**fields), tmp_path))
    for fields in (
      {'packs': tuple(files)},
      {'root': str(davis_root), 'stills': folders},
    )
  )
  assert len(packed.images) == len(opened.images)
  # In another order, so what is compared is what there is.
  for name in ('objects', 'image_boxes'):
    one, other = (
      sorted(map(tuple, getattr(b, name)[:, -4:].tolist()))
      for b in (packed, opened)
    )
    assert one == other
  np.testing.assert_array_equal(
    np.bincount(packed.pixels >> 24), np.bincount(opened.pixels >> 24)
  )


def test_a_misspelt_sequence_is_not_trained_on(tmp_path, davis_root):
  path = tmp_path / 'a.pack'
  videos = davis.load(davis_root, 'train', '2016')
  pack.write(path, videos, training_images.BOX, 'jpeg', 9)
  for fields in ({'packs': (str(path),)}, {'root': str(davis_root)}):
    config = _config(held_out=('twoo',), **fields)
    with pytest.raises(errors.SavosError, match='held_out names twoo'):
      opening.scene_records(config, tmp_path)


def test_banks_need_no_packages_but_those_of_the_training_machine():
  code = (
    'import sys\n'
    'for name in ("tensorflow", "clu", "ml_collections", "av", "jax"):\n'
    '  sys.modules[name] = None\n'
    'from savos_jax.data import bank\n'
    'from savos_jax.tools import pack\n'
  )
  subprocess.run([sys.executable, '-c', code], check=True)
