"""Which files of a folder are its images, and their order."""

import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import frame_folder
from savos_jax.datasets import stills
from savos_jax.evaluation import annotations
from savos_jax.evaluation import predictions
from savos_jax.foundation import errors
from savos_jax.video import sources
from tests import davis_folders


def _touch(folder, *names):
  folder.mkdir(exist_ok=True)
  for name in names:
    (folder / name).write_bytes(b'')
  return folder


def _names(folder, suffixes=frame_folder.FRAMES):
  return [path.name for path in frame_folder.read(folder, suffixes).values()]


def test_visible_images_in_order_of_their_numbers(tmp_path):
  folder = _touch(
    tmp_path / 'v', '10.jpg', '2.JPG', '00001.Png', 'frame3.jpeg', '._1.jpg',
    'Thumbs.db', 'notes.txt', '.jpg',
  )  # fmt: skip
  (folder / '5.jpg').mkdir()
  assert _names(folder) == ['00001.Png', '2.JPG', '10.jpg', 'frame3.jpeg']
  assert _names(folder, frame_folder.MASKS) == ['00001.Png']
  assert frame_folder.holds(folder, frame_folder.MASKS)
  assert not frame_folder.holds(folder, ('.bmp',))


@pytest.mark.parametrize('other', ['1.jpg', '00001.png', '00001.JPG'])
def test_two_images_of_one_number_are_refused_by_name(tmp_path, other):
  folder = _touch(tmp_path / 'v', '00001.jpg', other, '00002.jpg')
  first, second = sorted(['00001.jpg', other])
  with pytest.raises(errors.SavosError, match=f'both {first} and {second}'):
    _names(folder)


def test_a_folder_that_is_not_there(tmp_path):
  with pytest.raises(errors.SavosError, match='none: No such file'):
    _names(tmp_path / 'none')


def test_every_program_refuses_them(davis_folder, tmp_path):
  """Segment, training, photos, annotations and results alike."""
  root = davis_folder(splits={'val': 1})
  frames, masks = (
    part(root, 'val0')
    for part in (davis_folders.images, davis_folders.annotations)
  )
  videos = davis.load(root, 'val')
  results = masks.parent
  data = (frames / '00001.jpg').read_bytes()
  (frames / '1.jpg').write_bytes(data)
  mask = (masks / '00001.png').read_bytes()
  (masks / '1.PNG').write_bytes(mask)
  for part, name, content in (
    ('images', 'x.jpg', data),
    ('images', 'x.png', data),
    ('masks', 'x.png', mask),
  ):
    path = tmp_path / 'photos' / part / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  for open_it, names in (
    (lambda: sources.open_video(frames), '00001.jpg and 1.jpg'),
    (lambda: davis.load(root, 'val'), '00001.jpg and 1.jpg'),
    (lambda: stills.load(tmp_path / 'photos'), 'x.jpg and x.png'),
    (
      lambda: annotations.open_annotations(root, 'davis2017'),
      '00001.png and 1.PNG',
    ),
    (
      lambda: predictions.open_folder(results, videos, lambda _: [1, 2]),
      '00001.png and 1.PNG',
    ),
  ):
    with pytest.raises(errors.SavosError, match=f'both {names}'):
      open_it()


def test_numbers_at_the_end_of_names():
  def numbers(*stems):
    return frame_folder.numbers(map(frame_folder.key, stems))

  assert numbers('00001', '2', '10') == [1, 2, 10]
  assert numbers('bear2_00001', 'bear2_3') == [1, 3]
  assert numbers('a1', 'b2') is None
  assert numbers('first') is None


@pytest.mark.parametrize(
  ('row', 'lacks'),
  [
    ([], (0, [])),
    ([7], (0, [])),
    ([0, 5], (0, [])),
    ([0, 1, 2], (0, [])),
    ([0, 5, 10], (0, [])),
    ([0, 1, 4, 5], (2, [2, 3])),
    ([0, 5, 10, 20, 25], (1, [15])),
    ([0, 5, 10, 12, 17], (0, [])),
    ([0, 7, 9], (0, [])),
    ([0, 1, 2, 10**300], (10**300 - 3, [3, 4, 5, 6, 7])),
  ],
)
def test_gaps_of_a_regular_row(row, lacks):
  assert frame_folder.gaps(row) == lacks
