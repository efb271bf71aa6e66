"""The embedded clips: exact masks, honest splits, all or nothing on disk."""

import importlib.resources
import itertools
import json

import numpy as np
import pytest

from savos_jax.data import warp
from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.synthetic import embedded_clips
from savos_jax.synthetic import embedded_photos
from savos_jax.synthetic import embedded_scenes

_SETTINGS = {
  'seed': 3,
  'size': (64, 112),
  'train_clips': 3,
  'val_clips': 4,
  'frames': 12,
}
_TINY = {
  'size': (32, 48),
  'train_clips': 1,
  'val_clips': 1,
  'frames': 2,
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  folder = tmp_path_factory.mktemp('embedded') / 'clips'
  return embedded_clips.generate(folder, **_SETTINGS)


def _contents(root):
  return {
    path.relative_to(root): path.read_bytes()
    for path in root.rglob('*')
    if path.is_file()
  }


def _records(root):
  return [*davis.load(root, 'train'), *davis.load(root, 'val')]


def _all_labels(record):
  return np.stack([record.labels(t) for t in range(len(record))])


def test_davis_reads_the_clips_of_both_years(root):
  for year, split in itertools.product(('2016', '2017'), ('train', 'val')):
    records = davis.load(root, split, year)
    assert len(records) == _SETTINGS[f'{split}_clips']
    for record in records:
      assert len(record) == _SETTINGS['frames']
      assert (record.height, record.width) == _SETTINGS['size']
      assert record.frame(0).shape == (*_SETTINGS['size'], 3)
      assert year == '2017' or record.object_ids == (1,)


def test_numbers_of_objects(root):
  train, val = davis.load(root, 'train'), davis.load(root, 'val')
  assert [len(record.object_ids) for record in train] == [1, 2, 3]
  assert [len(record.object_ids) for record in val] == [1, 2, 1, 3]


def test_ids_and_visibility(root):
  for record in _records(root):
    labels = _all_labels(record)
    ids = range(1, len(record.object_ids) + 1)
    assert record.object_ids == tuple(ids)
    assert set(np.unique(labels)) <= {0, *ids}
    for i in ids:
      shares = (labels == i).mean(axis=(1, 2))
      assert shares[0] >= embedded_scenes.MIN_VISIBLE
      assert np.mean(shares > 0.002) > 0.8


def _mean_iou(first, second):
  union = np.sum(first | second, axis=(-2, -1))
  return np.mean(np.sum(first & second, axis=(-2, -1)) / np.maximum(union, 1))


def test_copying_the_first_mask_is_poor_but_steps_are_small(root):
  copied, followed = [], []
  for record in davis.load(root, 'val'):
    labels = _all_labels(record)
    for i in record.object_ids:
      object_mask = labels == i
      copied.append(_mean_iou(object_mask[:1], object_mask[1:]))
      followed.append(_mean_iou(object_mask[:-1], object_mask[1:]))
  assert np.mean(copied) < 0.6
  assert np.mean(followed) > 0.7


def test_same_settings_give_the_same_bytes(root, tmp_path):
  again = embedded_clips.generate(tmp_path / 'again', **_SETTINGS)
  assert _contents(again) == _contents(root)


def test_seed_matters_and_number_of_clips_does_not(tmp_path):
  two = embedded_clips.generate(tmp_path / '2', **_TINY | {'val_clips': 2})
  one = embedded_clips.generate(tmp_path / '1', **_TINY)
  other = embedded_clips.generate(tmp_path / 'other', **_TINY, seed=1)
  frames = {p: b for p, b in _contents(one).items() if p.suffix == '.jpg'}
  assert frames.items() <= _contents(two).items()
  assert not frames.items() <= _contents(other).items()


def test_splits_share_no_photograph():
  photos = {
    split: {*objects.values(), *embedded_photos.BACKGROUNDS[split]}
    for split, objects in embedded_photos.OBJECTS.items()
  }
  # Both are views of one scene.
  assert not any('motorcycle_right.png' in names for names in photos.values())
  assert photos['train'].isdisjoint(photos['val'])


def test_objects_of_a_clip_are_of_different_photographs():
  for split, photos in embedded_photos.OBJECTS.items():
    casts = embedded_clips.casts(split, 30, np.random.default_rng(0))
    for cast in casts:
      assert len({photos[name] for name in cast}) == len(cast)
    assert {name for cast in casts for name in cast} == set(photos)


def test_every_outline_fits_its_photograph_and_is_documented():
  folder = importlib.resources.files('savos_jax.synthetic') / 'embedded'
  readme = (folder / 'README.md').read_text('utf-8')
  photographs = importlib.resources.files('skimage') / 'data'
  for objects in embedded_photos.OBJECTS.values():
    for name, photo in objects.items():
      mask = masks.read_mask(folder / f'{name}.png')
      assert set(np.unique(mask)) == {0, 1}
      assert mask.shape == masks.image_size(photographs / photo)
      assert f'| `{name}.png` | `{photo}` |' in readme


def test_background_never_shows_its_border():
  photo = np.ones((60, 100, 3), np.float32)
  for seed in range(10):
    rng = np.random.default_rng(seed)
    view, matrices = embedded_scenes._view(photo, (32, 56), 40, rng)
    for matrix in matrices:
      shown = warp.warp_image(view, matrix, (32, 56), border='constant')
      np.testing.assert_allclose(shown, 1, atol=1e-5)


def test_mask_is_where_the_object_is_drawn():
  rng = np.random.default_rng(0)
  y, x = np.mgrid[:60, :60]
  disc = (np.hypot(x - 29.5, y - 29.5) < 28).astype(np.float32)
  white = np.stack([255 * disc] * 3 + [disc], axis=-1)
  points, targets = embedded_scenes._tracks(white, 0.2, (128, 160), 6, rng)
  scene = embedded_scenes._Scene(
    background=np.zeros((128, 160, 3), np.float32),
    views=np.stack([warp.affine_matrix((0, 0), 1, 0, (0, 0))] * 6),
    layers=[white],
    points=[points],
    targets=[targets],
    lights=np.ones((6, 3)),
  )
  for t in range(6):
    image, labels, alone = embedded_scenes._render(scene, t, (128, 160))
    assert labels.shape == (64, 80)
    # To a rounding error: exactly half covered goes either way.
    sure = np.abs(image[..., 0] - 127.5) > 0.1
    np.testing.assert_array_equal((image[..., 0] > 127.5)[sure], labels[sure])
    assert labels.mean() == pytest.approx(alone[0], rel=0.02)


def test_later_objects_hide_earlier_ones():
  solid = np.ones((40, 40, 4), np.float32)
  square = np.array([[0, 0], [40, 0], [0, 40], [40, 40]], np.float64)
  scene = embedded_scenes._Scene(
    background=np.zeros((64, 64, 3), np.float32),
    views=warp.affine_matrix((0, 0), 1, 0, (0, 0))[None],
    layers=[solid, solid],
    points=[square, square],
    targets=[square[None], square[None] + 20],
    lights=np.ones((1, 3)),
  )
  _, labels, _ = embedded_scenes._render(scene, 0, (64, 64))
  assert labels[5, 5] == 1
  assert labels[15, 15] == labels[25, 25] == 2


def test_clean_edges_takes_colours_from_inside():
  mask = np.zeros((30, 30), np.uint8)
  mask[5:25, 5:25] = 1
  image = np.zeros((30, 30, 3), np.float32)
  image[6:24, 6:24] = 200  # One pixel of the old background in the mask.
  cleaned = embedded_photos._clean_edges(image, mask)
  np.testing.assert_array_equal(cleaned, 200)


def test_existing_clips_are_kept(root, monkeypatch):
  monkeypatch.setattr(embedded_clips, '_write_all', None)
  assert embedded_clips.generate(root, **_SETTINGS) == root


def test_other_settings_are_an_error(root):
  with pytest.raises(errors.SavosError, match='other settings'):
    embedded_clips.generate(root, **_SETTINGS | {'frames': 5})


@pytest.mark.parametrize('settings_file', [None, '{"format": '])
def test_foreign_folder_is_an_error(tmp_path, settings_file):
  (tmp_path / 'precious.txt').write_text('keep')
  if settings_file:
    (tmp_path / 'embedded.json').write_text(settings_file)
  with pytest.raises(errors.SavosError, match='in the way'):
    embedded_clips.generate(tmp_path, **_TINY)
  assert (tmp_path / 'precious.txt').read_text() == 'keep'


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
  render = embedded_scenes.render_clip

  def stop_after_one_frame(*args):
    yield next(render(*args))
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(embedded_scenes, 'render_clip', stop_after_one_frame)
    with pytest.raises(KeyboardInterrupt):
      embedded_clips.generate(tmp_path / 'clips', **_TINY)
  assert not any(tmp_path.iterdir())

  # What a killed process leaves is never under the final name.
  (tmp_path / '.clips.0123.part' / 'JPEGImages').mkdir(parents=True)
  done = embedded_clips.generate(tmp_path / 'clips', **_TINY)
  assert len(davis.load(done, 'train')) == 1


def test_two_processes_racing_share_one_result(tmp_path, monkeypatch):
  write = embedded_clips._write_all
  folder = tmp_path / 'clips'

  def be_overtaken(partial, settings):
    write(partial, settings)
    monkeypatch.setattr(embedded_clips, '_write_all', write)
    embedded_clips.generate(folder, **_TINY)

  monkeypatch.setattr(embedded_clips, '_write_all', be_overtaken)
  assert embedded_clips.generate(folder, **_TINY) == folder
  assert [path.name for path in tmp_path.iterdir()] == ['clips']
  settings = json.loads((folder / 'embedded.json').read_text())
  assert settings['size'] == list(_TINY['size'])


def test_missing_photograph_is_named(monkeypatch):
  with pytest.raises(errors.SavosError, match=r'nothing\.png.*\n.*pip'):
    embedded_photos._read('nothing.png')


def test_write_error_is_the_users_to_solve(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.SavosError, match='could not be written'):
    embedded_clips.generate(tmp_path / 'file' / 'clips', **_TINY)
