"""Clips of look-alikes: fair, exact, repeatable, of held-out photos alone."""

import json
import zlib

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import held_out_photos
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.synthetic import rival_clips
from savos_jax.synthetic import rival_scenes
from savos_jax.tools import rival_clips as tool

CLIPS, FRAMES, SIZE = 6, 10, (64, 112)


def stems(folder, held_out, count):
  """The first names in a folder that are held out, or aren't."""
  found, number = [], 0
  while len(found) < count:
    stem = f'photo{number:04d}'
    if held_out_photos.is_held_out(f'{folder}/{stem}') == held_out:
      found.append(stem)
    number += 1
  return found


def write_photo(folder, stem, colour, seed):
  """A photo with one ellipse on noise."""
  rng = np.random.default_rng(seed)
  rows, columns = np.mgrid[:80, :120]
  radii = rng.uniform([14, 18], [22, 26])
  labels = (
    ((rows - 40) / radii[0]) ** 2 + ((columns - 60) / radii[1]) ** 2 < 1
  ).astype(np.uint8)
  picture = rng.integers(0, 60, (80, 120, 3), np.uint8)
  picture[labels > 0] = colour
  for part in ('images', 'masks'):
    (folder / part).mkdir(parents=True, exist_ok=True)
  Image.fromarray(picture).save(folder / 'images' / f'{stem}.png')
  masks.write_mask(folder / 'masks' / f'{stem}.png', labels)


def make_photos(root, held_out=10):
  """Two folders; what is held out is green, what isn't is red."""
  folders = [root / 'horses', root / 'people']
  for k, folder in enumerate(folders):
    for n, stem in enumerate(stems(folder.name, True, held_out)):
      write_photo(folder, stem, (0, 180 + 5 * n, 40 * k), 100 * k + n)
    for n, stem in enumerate(stems(folder.name, False, 3)):
      write_photo(folder, stem, (250, 0, 0), 1000 + n)
  return folders


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """(folders of photos, the clips' folder, what was made)."""
  root = tmp_path_factory.mktemp('rivals')
  folders = make_photos(root / 'stills')
  out = root / 'runs' / 'clips'
  return folders, out, rival_clips.generate(folders, out, CLIPS, FRAMES, SIZE)


def error_of(folders, out, **settings):
  with pytest.raises(errors.SavosError) as caught:
    rival_clips.generate(folders, out, **settings)
  return str(caught.value)


def files_in(root):
  return {
    str(path.relative_to(root)): path.read_bytes()
    for path in sorted(root.rglob('*'))
    if path.is_file()
  }


def test_held_out_rule():
  names = [f'VOC/{n}' for n in range(5000)]
  held_out = [n for n in names if held_out_photos.is_held_out(n)]
  assert held_out == [n for n in names if zlib.crc32(n.encode()) % 25 == 0]
  assert 150 < len(held_out) < 250


def test_layout_and_first_frames(made):
  _, out, summary = made
  records = davis.load(out, 'val', '2017')
  assert len(records) == summary.clips == CLIPS
  assert sum(len(r.object_ids) for r in records) == summary.objects
  for record in records:
    assert (record.height, record.width, len(record)) == (*SIZE, FRAMES)
    assert 2 <= len(record.object_ids) <= 4
    assert record.object_ids == tuple(range(1, len(record.object_ids) + 1))
    assert record.frame(0).shape == (*SIZE, 3)
    first = record.labels(0)
    for object_id in record.object_ids:
      assert (first == object_id).mean() >= rival_scenes.MIN_VISIBLE
    with Image.open(record.masks[0]) as image:
      assert image.mode == 'P'
    for t in range(FRAMES):
      assert record.labels(t).max() <= len(record.object_ids)


def test_masks_fit_the_frames(made):
  _, out, _ = made
  for record in davis.load(out, 'val', '2017'):
    for t in (0, FRAMES - 1):
      inside = record.labels(t) > 0
      red, green, _ = np.moveaxis(record.frame(t).astype(int), -1, 0)
      # Photos are dark noise, but for their object.
      assert np.mean(green[inside] > 100) > 0.9
      # What isn't held out is red.
      assert not np.any(red - green > 120)


def test_only_held_out_photos_play(made):
  _, out, _ = made
  clips = json.loads((out / 'rival_clips.json').read_text())['clips']
  assert len(clips) == CLIPS
  for clip in clips.values():
    pasted = [*clip['objects'].values(), *clip['distractors']]
    names = [clip['background'], *(p.split('#')[0] for p in pasted)]
    assert all(held_out_photos.is_held_out(name) for name in names)
    assert len(set(pasted)) == len(pasted)
  assert any(clip['distractors'] for clip in clips.values())
  assert any(
    clip['background'] in clip['objects']['1'] for clip in clips.values()
  )


def test_objects_are_covered_and_come_back(made):
  _, out, summary = made
  clips = json.loads((out / 'rival_clips.json').read_text())['clips']
  back = []
  for record in davis.load(out, 'val', '2017'):
    areas = np.array(
      [
        [np.mean(record.labels(t) == i) for i in record.object_ids]
        for t in range(FRAMES)
      ]
    )
    shares = areas / areas[0]
    # In each clip something gets in front of something.
    assert shares.min() < 0.75
    gone = shares < 0.05
    back.append(
      any(
        gone[:, k].any()
        and shares[np.flatnonzero(gone[:, k])[-1] :, k].max() > 0.2
        for k in range(areas.shape[1])
      )
    )
  assert clips['rivals-00']['event'] == 'leaves'
  assert back[0]
  assert sum(back) >= CLIPS / 4
  assert max(summary.hidden) >= 1


def test_same_photos_same_files(made, tmp_path):
  folders, out, _ = made
  # In another order; fewer clips are the first ones.
  rival_clips.generate(folders[::-1], tmp_path / 'a', 2, FRAMES, SIZE)
  for path, content in files_in(tmp_path / 'a').items():
    if path.startswith(('JPEGImages', 'Annotations')):
      assert (out / path).read_bytes() == content
  rival_clips.generate(folders, tmp_path / 'b', 2, FRAMES, SIZE)
  assert files_in(tmp_path / 'a') == files_in(tmp_path / 'b')
  rival_clips.generate(folders, tmp_path / 'c', 2, FRAMES, SIZE, seed=1)
  assert files_in(tmp_path / 'a') != files_in(tmp_path / 'c')


def test_what_is_there_is_never_replaced(made, tmp_path):
  folders, out, _ = made
  before = files_in(out)
  message = error_of(folders, out, clips=1)
  assert str(out) in message
  assert 'is not empty' in message
  assert files_in(out) == before
  (tmp_path / 'file').write_text('mine')
  assert 'is no folder' in error_of(folders, tmp_path / 'file')
  (tmp_path / 'empty').mkdir()
  rival_clips.generate(folders, tmp_path / 'empty', 1, FRAMES, SIZE)
  assert len(davis.load(tmp_path / 'empty', 'val')) == 1


def test_too_few_photos(tmp_path):
  folders = make_photos(tmp_path / 'stills', held_out=1)
  message = error_of(folders, tmp_path / 'out')
  assert '8 photos, of which 2 are held out; 2 of those' in message
  assert 'Expected 4 or more' in message
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  ('setting', 'value'),
  [('clips', 0), ('frames', 7), ('size', (64, 63)), ('seed', -1)],
)
def test_values_out_of_range(tmp_path, setting, value):
  message = error_of([tmp_path], tmp_path / 'out', **{setting: value})
  assert f'--{setting} is' in message
  assert 'or more' in message


def test_folders_of_one_name(tmp_path):
  message = error_of([tmp_path / 'a/VOC', tmp_path / 'b/VOC'], tmp_path / 'o')
  assert "a second folder named 'VOC'" in message


def test_no_scene_is_fair(made, tmp_path, monkeypatch):
  monkeypatch.setattr(rival_scenes, 'fairness', lambda *_: 'no')
  monkeypatch.setattr(rival_clips, '_SCENES', 1)
  monkeypatch.setattr(rival_clips, '_CASTS', 1)
  message = error_of(made[0], tmp_path / 'out', size=SIZE, frames=FRAMES)
  assert 'try another --seed' in message
  # Nor is anything left of the attempt.
  assert not list(tmp_path.iterdir())


def test_whole_objects():
  labels = np.zeros((60, 90), np.uint8)
  labels[20:40, 20:50] = 1
  assert rival_clips.is_whole(labels, 1)
  beside = labels.copy()
  beside[20:40, 52:60] = 2
  assert not rival_clips.is_whole(beside, 1)
  cut = labels.copy()
  cut[20:60, 30:40] = 1
  assert not rival_clips.is_whole(cut, 1)
  parted = labels.copy()
  parted[20:40, 34:36] = 0
  parted[30, 34:36] = 1
  assert not rival_clips.is_whole(parted, 1)
  small = np.zeros((60, 90), np.uint8)
  small[20:28, 20:28] = 1
  assert not rival_clips.is_whole(small, 1)


def test_tool(made, tmp_path, capsys):
  folders = [str(folder) for folder in made[0]]
  out = tmp_path / 'clips'
  arguments = [*folders, f'--out={out}', '--clips=1', '--frames=10']
  tool.main([*arguments, '--size=64x112'])
  assert '1 clips of 10 frames' in capsys.readouterr().out
  with pytest.raises(SystemExit) as caught:
    tool.main([*arguments, '--size=64x112'])
  assert caught.value.code == 2
  assert 'is not empty' in capsys.readouterr().err
  with pytest.raises(SystemExit):
    tool.main([*arguments, '--size=64'])
  assert 'HEIGHTxWIDTH' in capsys.readouterr().err


def test_real_photos(savos_data, tmp_path):
  folder = savos_data / 'stills' / 'WeizmannHorse'
  if not folder.is_dir():
    pytest.skip(f'{folder}: not here')
  made = rival_clips.generate([folder], tmp_path / 'clips', 2, FRAMES, SIZE)
  assert made.clips == len(davis.load(tmp_path / 'clips', 'val')) == 2
  assert min(made.areas) >= rival_scenes.MIN_VISIBLE
