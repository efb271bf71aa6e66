"""Your own video from the command line."""

import fractions
import json

import cv2
import numpy as np
import pytest

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.inference import tracker as tracker_lib
from savos_jax.tools import segment
from savos_jax.video import both_ways
from savos_jax.video import sources
from tests import made_videos
from tests import tiny_resnets

MODEL = tiny_resnets.MODEL
SIZE = (48, 64)
FRAMES = 6


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """A video, a mask of objects 1 and 2, and a network."""
  folder = tmp_path_factory.mktemp('own')
  rng = np.random.default_rng(0)
  writer = cv2.VideoWriter(
    str(folder / 'clip.mp4'),
    cv2.VideoWriter.fourcc(*'mp4v'),
    10.0,
    SIZE[::-1],
  )
  background = cv2.GaussianBlur(
    rng.integers(0, 256, (*SIZE, 3), np.uint8), (9, 9), 3
  )
  for number in range(FRAMES):
    frame = background.copy()
    frame[10:30, 5 + 2 * number : 25 + 2 * number] = (220, 40, 40)
    writer.write(frame)
  writer.release()
  labels = np.zeros(SIZE, np.uint8)
  labels[10:30, 5:25] = 1
  labels[32:44, 40:60] = 2
  masks.write_mask(folder / 'first.png', labels)
  trained = network.Trained(
    MODEL, tiny_resnets.network_params(MODEL), 7, False, {}
  )
  network.write(folder / 'savos.safetensors', trained)
  return folder


def run(files, out, *flags, mask='first.png'):
  given = [] if '--mask' in ' '.join(flags) else [f'--mask={files / mask}']
  segment.main([
    f'--video={files / "clip.mp4"}', *given,
    f'--checkpoint={files / "savos.safetensors"}', f'--out={out}', *flags,
  ])  # fmt: skip


def test_masks_and_overlay(files, tmp_path, capsys):
  run(files, tmp_path / 'out')
  paths = sorted((tmp_path / 'out' / 'masks').iterdir())
  assert [p.name for p in paths] == [f'{i:05d}.png' for i in range(FRAMES)]
  np.testing.assert_array_equal(
    masks.read_mask(paths[0]), masks.read_mask(files / 'first.png')
  )
  drawn = sources.open_video(tmp_path / 'out' / 'overlay.mp4')
  assert len(list(drawn.frames())) == FRAMES
  assert (drawn.height, drawn.width) == SIZE
  assert drawn.fps == pytest.approx(10.0)
  first = drawn.frame(0).astype(int)
  # The first object, blue in the video, is mixed with its colour.
  assert np.abs(first[15:25, 10:20] - (40, 40, 220)).mean() > 30
  printed = capsys.readouterr().out
  assert 'frames/s' in printed
  assert 'peak memory' in printed


def test_cutouts(files, tmp_path):
  run(files, tmp_path / 'a', '--cutout=png', '--no-overlay')
  pictures = sorted((tmp_path / 'a' / 'cutout').iterdir())
  assert len(pictures) == FRAMES
  first = cv2.imread(str(pictures[0]), cv2.IMREAD_UNCHANGED)
  labels = masks.read_mask(files / 'first.png')
  assert first.shape == (*SIZE, 4)
  assert (first[labels == 0, 3] == 0).all()
  assert (first[14:26, 9:21, 3] == 255).all()
  assert not (tmp_path / 'a' / 'overlay.mp4').exists()
  run(files, tmp_path / 'b', '--cutout=green', '--no-overlay')
  green = sources.open_video(tmp_path / 'b' / 'cutout.mp4').frame(0)
  assert np.abs(green[2, 2].astype(int) - (0, 177, 64)).max() < 40


@pytest.fixture(scope='module')
def clip(files):
  """Pixels twice as wide as high, a rate that varies, and sound."""
  rng = np.random.default_rng(1)
  noise = rng.integers(0, 256, (FRAMES, *SIZE, 3), np.uint8)
  pictures = [cv2.GaussianBlur(picture, (9, 9), 3) for picture in noise]
  return made_videos.write(
    files / 'squeezed.mp4',
    pictures,
    [0.5 + t for t in (0, 0.1, 0.15, 0.4, 0.45, 0.9)],
    context={'sample_aspect_ratio': fractions.Fraction(2)},
    sounds=[{'codec': 'aac', 'at': 0.7}],
  )


def test_films_are_as_the_video_is(files, clip, tmp_path, monkeypatch):
  original, aspects = tracker_lib.Tracker, []

  def tracker(model, params, config, aspect, learner=None):
    aspects.append(aspect)
    return original(model, params, config, aspect, learner)

  monkeypatch.setattr(tracker_lib, 'Tracker', tracker)
  run(files, tmp_path, f'--video={clip}', '--cutout=png')
  assert set(aspects) == {2.0}  # One compiles ahead.
  for kind, decoder in (('prores', 'prores'), ('webm', 'libvpx-vp9')):
    run(files, tmp_path, f'--video={clip}', '--resume', f'--cutout={kind}')
    suffix = {'prores': 'mov', 'webm': 'webm'}[kind]
    found = made_videos.read_alpha(tmp_path / f'cutout.{suffix}', decoder)
    assert len(found) == FRAMES
    for number, picture in enumerate(found):
      path = tmp_path / 'cutout' / f'{number:05d}.png'
      alpha = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3]
      alpha = cv2.resize(alpha, picture.shape[1::-1])
      assert np.abs(picture[..., 3].astype(int) - alpha).mean() < 2
  for name, aspect in (('overlay.mp4', 2), ('cutout.mov', 2)):
    film = sources.open_video(tmp_path / name)
    assert (film.height, film.width, film.pixel_aspect) == (*SIZE, aspect)
    times = [shown.seconds for shown in film.numbered()]
    np.testing.assert_allclose(times, [0, 0.1, 0.15, 0.4, 0.45, 0.9], atol=1e-4)
    assert made_videos.clicks(tmp_path / name) == pytest.approx([0.2], abs=3e-3)
  webm = sources.open_video(tmp_path / 'cutout.webm')
  assert (webm.height, webm.width) == (SIZE[0], 2 * SIZE[1])


def test_interrupted_and_gone_on(files, tmp_path, capsys, monkeypatch):
  run(files, tmp_path / 'whole', '--no-overlay')
  original, calls = masks.write_mask, []

  def interrupted(path, labels):
    original(path, labels)
    calls.append(path)
    if len(calls) == 3:
      raise KeyboardInterrupt

  out = tmp_path / 'out'
  monkeypatch.setattr(masks, 'write_mask', interrupted)
  with pytest.raises(SystemExit, match='130'):
    run(files, out, '--no-overlay')
  assert '--resume goes on' in capsys.readouterr().err
  monkeypatch.setattr(masks, 'write_mask', original)
  # Neither forgotten nor overwritten by mistake.
  with pytest.raises(SystemExit, match='2'):
    run(files, out, '--no-overlay')
  message = capsys.readouterr().err
  assert '--resume' in message
  assert '--overwrite' in message
  with pytest.raises(SystemExit, match='2'):
    run(files, out, '--no-overlay', '--resume', '--flip')
  assert 'flip: False (now True)' in capsys.readouterr().err
  run(files, out, '--no-overlay', '--resume')
  for path in sorted((tmp_path / 'whole' / 'masks').iterdir()):
    np.testing.assert_array_equal(
      masks.read_mask(path), masks.read_mask(out / 'masks' / path.name)
    )
  run(files, out, '--no-overlay', '--overwrite')


def test_a_mistake_costs_no_earlier_results(files, tmp_path, capsys):
  run(files, tmp_path, '--no-overlay')
  before = sorted((tmp_path / 'masks').iterdir())
  with pytest.raises(SystemExit, match='2'):
    run(files, tmp_path, '--overwrite', '--checkpoint=absent.safetensors')
  assert 'absent.safetensors' in capsys.readouterr().err
  assert sorted((tmp_path / 'masks').iterdir()) == before
  assert len(before) == FRAMES


@pytest.mark.parametrize('flag', ['--overwrite', '--resume'])
def test_masks_of_somebody_else_are_neither_removed_nor_replaced(
  files, tmp_path, capsys, flag
):
  run(files, tmp_path, '--no-overlay')
  drawn = tmp_path / 'masks' / '00003.png'
  by_hand = np.zeros(SIZE, np.uint8)
  by_hand[5, 5] = 2
  drawn.unlink()
  cv2.imwrite(str(drawn), by_hand)
  content = drawn.read_bytes()
  with pytest.raises(SystemExit, match='2'):
    run(files, tmp_path, '--no-overlay', flag)
  assert 'masks/00003.png' in capsys.readouterr().err
  assert drawn.read_bytes() == content


def test_the_mask_that_is_read_is_not_replaced(files, tmp_path, capsys):
  run(files, tmp_path, '--no-overlay')
  first = tmp_path / 'masks' / '00000.png'
  content = first.read_bytes()
  with pytest.raises(SystemExit, match='2'):
    segment.main([
      f'--video={files / "clip.mp4"}', f'--mask={first}', f'--out={tmp_path}',
      f'--checkpoint={files / "savos.safetensors"}', '--overwrite',
    ])  # fmt: skip
  assert 'is read by this run' in capsys.readouterr().err
  assert first.read_bytes() == content


def test_results_of_an_earlier_run_go_with_it(files, tmp_path):
  run(files, tmp_path)
  run(files, tmp_path, '--overwrite', '--no-overlay')
  assert not (tmp_path / 'overlay.mp4').exists()


def test_the_network_sees_no_more_than_max_size(files, tmp_path, monkeypatch):
  seen = []
  original = tracker_lib.Tracker

  def tracker(model, params, config, aspect, learner=None):
    seen.append(config)
    return original(model, params, config, aspect, learner)

  monkeypatch.setattr(tracker_lib, 'Tracker', tracker)
  flags = ('--no-overlay', '--overwrite', '--scales', '0.5', '1', '--flip')
  run(
    files,
    tmp_path,
    *flags,
    '--max_size=32',
    '--aggregation=independent',
    '--zoom=2',
  )
  assert seen[0].short_side == 32
  assert seen[0].zoom == 2
  assert seen[0].scales == (0.5, 1.0)
  assert seen[0].flip
  assert seen[0].aggregation == 'independent'
  labels = masks.read_mask(tmp_path / 'masks' / '00003.png')
  assert labels.shape == SIZE


def pointed(files, out, *flags):
  segment.main([
    f'--video={files / "clip.mp4"}', f'--out={out}', '--no-overlay',
    f'--checkpoint={files / "savos.safetensors"}', *flags,
  ])  # fmt: skip


@pytest.mark.parametrize('flag', ['--box=3,8,27,32', '--points=15,20'])
def test_a_box_or_points_in_place_of_a_mask(files, tmp_path, flag):
  pointed(files, tmp_path, flag)
  paths = sorted((tmp_path / 'masks').iterdir())
  assert len(paths) == FRAMES
  found = masks.read_mask(paths[0]) == 1
  drawn = masks.read_mask(files / 'first.png') == 1
  assert (found & drawn).sum() > 0.85 * (found | drawn).sum()


def test_a_mask_and_a_box_of_another_frame(files, tmp_path, capsys):
  mask = f'--mask={files / "first.png"}'
  pointed(files, tmp_path, mask, '--box', '9:9,8,33,32@3')
  third = masks.read_mask(tmp_path / 'masks' / '00003.png')
  assert (third[12:28, 13:29] == 9).mean() > 0.9
  with pytest.raises(SystemExit, match='2'):
    pointed(files, tmp_path / 'other', mask, '--points=15,20')
  told = capsys.readouterr().err
  assert 'frame 00000: both a mask, and a box or points' in told


@pytest.mark.parametrize(
  ('flags', 'expected'),
  [
    ([], ['--mask=FILE', '--box=', '--points=', 'tools.mask']),
    (['--box=1,2,3'], ['argument --box', '1,2,3: not a box']),
    (['--points=9,9+9'], ['argument --points', 'not points']),
    (['--box=0,0,65,9'], ['clip.mp4, frame 00000', 'object 1', '64x48']),
    (['--box=0,0,9,9@77'], ["no frame '77'"]),
  ],
)
def test_what_is_pointed_at_wrongly(files, tmp_path, capsys, flags, expected):
  with pytest.raises(SystemExit, match='2'):
    pointed(files, tmp_path, *flags)
  message = capsys.readouterr().err
  for text in expected:
    assert text in message
  assert 'Traceback' not in message


@pytest.mark.parametrize(
  ('flags', 'expected'),
  [
    (['--max_size=-3'], ['--max_size', 'pixels']),
    (['--zoom=0.5'], ['--zoom', 'from 1 to 100, or 0']),
    (['--scales', '0'], ['--scales', 'above 0']),
    (['--checkpoint=absent.safetensors'], ['absent.safetensors', 'no such']),
    (['--video=absent.mp4'], ['absent.mp4', 'no such file']),
    (['--mask=absent.png'], ['absent.png', 'no such file']),
    (['--mask={files}/large.png'], ['96x72', '64x48', '--resize_mask']),
    (['--mask={files}/clip.mp4'], ['clip.mp4', 'not an image']),
    (['--out={files}/clip.mp4'], ['clip.mp4', 'a file']),
    (['--mask=9=first.png'], ["no frame '9'", '00000, 00001, ..., 00005']),
    (['--mask=3={files}'], ['a folder', 'frame 3']),
    (['--mask={files}'], ['first.png', "no frame 'first'"]),
    (['--from=4', '--to=3'], ['--to=3', '--from=4']),
    (['--from=6'], ["no frame '6'"]),
    (['--mask=3={files}/first.png', '--every=2'], ['00002, ..., 00004']),
    (['--every=0'], ['--every', 'from 1 to']),
  ],
)
def test_mistakes_are_explained(files, tmp_path, capsys, flags, expected):
  masks.write_mask(files / 'large.png', np.ones((72, 96), np.uint8))
  flags = [flag.format(files=files) for flag in flags]
  with pytest.raises(SystemExit, match='2'):
    run(files, tmp_path / 'out', *flags)
  message = capsys.readouterr().err
  for text in expected:
    assert text in message
  assert not (tmp_path / 'out' / 'masks').exists()


def _read(folder):
  return {p.stem: masks.read_mask(p) for p in sorted(folder.glob('*.png'))}


def test_masks_of_any_frames_and_both_ways(files, tmp_path):
  """A folder of masks and a correction; each is as it was given."""
  first = masks.read_mask(files / 'first.png')
  late = np.roll(first, 4, axis=1)
  masks.write_mask(tmp_path / 'given' / '2.png', np.where(first == 1, 1, 0))
  masks.write_mask(tmp_path / 'given' / '3.png', np.zeros(SIZE, np.uint8))
  masks.write_mask(tmp_path / 'late.png', late)
  given = [f'--mask={tmp_path / "given"}', f'--mask=4={tmp_path / "late.png"}']
  run(files, tmp_path / 'forth', *given, '--no-overlay')
  run(files, tmp_path / 'both', *given, '--direction=both')
  forth, both = (_read(tmp_path / way / 'masks') for way in ('forth', 'both'))
  assert list(both) == list(forth) == [f'{i:05d}' for i in range(FRAMES)]
  assert not forth['00001'].any()
  np.testing.assert_array_equal(both['00002'] == 1, first == 1)
  for found in (forth, both):
    np.testing.assert_array_equal(found['00004'], late)
  np.testing.assert_array_equal(both['00005'], forth['00005'])
  assert sorted(p.name for p in (tmp_path / 'both').glob('[!.]*')) == [
    'masks', 'overlay.mp4', 'progress.npz',
  ]  # fmt: skip
  assert not (tmp_path / 'both' / '.backwards').exists()


def test_where_all_is_done_nothing_is_compiled(files, tmp_path, monkeypatch):
  run(files, tmp_path, '--no-overlay')
  monkeypatch.delattr(tracker_lib.Tracker, 'compile_ahead')
  run(files, tmp_path, '--resume', '--no-overlay', '--cutout=png')
  assert len(list((tmp_path / 'cutout').iterdir())) == FRAMES


def test_a_part_of_a_video(files, tmp_path):
  flags = ['--from=1', '--to=5', '--every=2']
  run(files, tmp_path, *flags)
  found = _read(tmp_path / 'masks')
  assert list(found) == ['00001', '00003', '00005']
  np.testing.assert_array_equal(
    found['00001'], masks.read_mask(files / 'first.png')
  )
  film = sources.open_video(tmp_path / 'overlay.mp4')
  assert (len(list(film.frames())), film.fps) == (3, pytest.approx(5.0))


def test_interrupted_on_the_way_backwards(files, tmp_path, capsys, monkeypatch):
  flags = [f'--mask=4={files / "first.png"}', '--direction=both']
  run(files, tmp_path / 'whole', *flags)
  original, left = both_ways.Aside.write, iter(range(2))

  def interrupted(aside, segmented):
    original(aside, segmented)
    if next(left, None) is None:
      raise KeyboardInterrupt

  monkeypatch.setattr(both_ways.Aside, 'write', interrupted)
  with pytest.raises(SystemExit, match='130'):
    run(files, tmp_path / 'out', *flags)
  assert ' masks are in ' in capsys.readouterr().err
  with pytest.raises(SystemExit, match='2'):
    run(files, tmp_path / 'out', *flags)
  run(files, tmp_path / 'out', *flags, '--resume')
  for name in ('overlay.mp4', *(f'masks/{i:05d}.png' for i in range(FRAMES))):
    written = (tmp_path / 'out' / name).read_bytes()
    assert written == (tmp_path / 'whole' / name).read_bytes()


def test_help_is_of_use(capsys):
  with pytest.raises(SystemExit, match='0'):
    segment.main(['--help'])
  printed = capsys.readouterr().out
  for text in ('--video', '--mask', '--out', '--resume', '--cutout', 'Ctrl-C'):
    assert text in printed


def test_formats_of_other_programs_out_and_in(files, tmp_path, capsys):
  out = tmp_path / 'out'
  run(files, out, '--no-overlay')
  # What is asked for later is made from the masks.
  flags = ('--no-overlay', '--format', 'davis', 'coco', 'csv')
  run(files, out, *flags, '--resume')
  told = json.loads((out / 'coco' / 'annotations.json').read_text())
  assert len(told['images']) == FRAMES
  names = [category['name'] for category in told['categories']]
  assert names == ['object_1', 'object_2']
  rows = (out / 'csv' / 'table.csv').read_text().splitlines()
  assert len(rows) == 1 + 2 * FRAMES
  # From the second frame on, as the file tells.
  told['annotations'] = [a for a in told['annotations'] if a['image_id'] == 2]
  (tmp_path / 'marks.json').write_text(json.dumps(told))
  run(
    files, tmp_path / 'again', '--no-overlay', mask=tmp_path / 'marks.json'
  )  # fmt: skip
  again = sorted((tmp_path / 'again' / 'masks').iterdir())
  assert not masks.read_mask(again[0]).any()
  np.testing.assert_array_equal(
    masks.read_mask(again[1]), masks.read_mask(out / 'masks' / '00001.png')
  )
  with pytest.raises(SystemExit, match='2'):
    run(files, out, '--no-overlay', '--format=pdf')
  assert 'coco_polygons' in capsys.readouterr().err


@pytest.mark.usefixtures('library_promotion')  # Optax counts on it.
def test_the_network_learns_where_that_is_asked_for(files, tmp_path, capsys):
  run(files, tmp_path / 'plain', '--no-overlay')
  assert 'online learning' not in capsys.readouterr().out
  flags = '--no-overlay', '--online=2', '--online_every=3'
  run(files, tmp_path / 'learnt', *flags)
  assert 's of online learning' in capsys.readouterr().out
  with pytest.raises(SystemExit):
    run(files, tmp_path / 'learnt', '--no-overlay', '--resume')
  assert "'steps': 2" in capsys.readouterr().err
  with pytest.raises(SystemExit):
    run(files, tmp_path / 'bad', '--online=-1')
  assert '-1: expected a whole number' in capsys.readouterr().err
