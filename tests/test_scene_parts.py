"""What scenes are made of, each part against what is worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.data.scenes import base
from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import generate
from savos_jax.data.scenes import guidance
from savos_jax.data.scenes import rivals
from savos_jax.data.scenes import sampling

pytestmark = pytest.mark.slow

SIZE = (48, 64)
CONFIG = config_lib.SceneConfig(size=SIZE, frames=3, objects=3, rivals=2)


def drawn(function, count=64):
  """Calls a function with many keys, compiled; arrays [count, ...]."""
  keys = jax.random.split(jax.random.key(0), count)
  return jax.device_get(jax.jit(jax.vmap(function))(keys))


def changed(**fields):
  return dataclasses.replace(CONFIG, **fields)


@pytest.mark.parametrize(
  ('angle', 'pixel', 'expected'),
  [
    (0, (5, 7), (10, 20)),
    (0, (6, 7), (12, 20)),
    (0, (5, 8), (10, 17)),
    # A quarter of a turn: down is to the side, and to the right is up.
    (90, (6, 7), (10, 17)),
    (90, (5, 8), (8, 20)),
  ],
)
def test_a_placement(angle, pixel, expected):
  placement = sampling.Placement(
    10.0, 20.0, 5.0, 7.0, 2.0, -3.0, np.deg2rad(angle)
  )
  for moved in ((0, 0), (2, 1)):
    field = jnp.broadcast_to(jnp.array(moved, jnp.float32), (12, 12, 2))
    found = sampling.coordinates(placement, field)
    y, x = np.subtract(pixel, moved)
    np.testing.assert_allclose([c[y, x] for c in found], expected, atol=1e-5)


@pytest.mark.parametrize(
  ('y', 'x', 'red', 'label', 'share'),
  [
    (0.25, 0.0, 0.25 * 30, 1, 0.75),
    (0.75, 0.0, 0.75 * 30, 0, 0.25),
    (0.0, 0.25, 0.25 * 10, 1, 0.75),
    (0.25, 0.75, 0.25 * 30 + 0.75 * 10, 0, 0.75 * 0.25),
    # Beyond the border is its mirror image, with nothing of the object.
    (-0.4, 0.0, 0.0, 1, 1.0),
    (-0.6, 0.0, 0.0, 1, 0.0),
    (0.0, -0.4, 0.0, 1, 1.0),
    (0.0, -0.6, 0.0, 1, 0.0),
    (2.0, 2.0, 50.0, 1, 0.0),
    (1.4, 2.0, 50.0, 1, 1.0),
    (1.6, 2.0, 50.0, 1, 0.0),
    (1.0, 2.4, 50.0, 1, 1.0),
    (1.0, 2.6, 50.0, 1, 0.0),
  ],
)
def test_what_is_taken_between_pixels(y, x, red, label, share):
  """Of 2x3 pixels of 0, 10, .. 50, the first and the last the object's."""
  pixels = np.arange(0, 60, 10, np.uint32)
  pixels[[0, 5]] |= 1 << 24
  bank = np.concatenate([[99], pixels]).astype(np.uint32)
  taken = sampling.take(
    jnp.asarray(bank),
    jnp.array([1, 2, 3]),
    jnp.array([[y]], jnp.float32),
    jnp.array([[x]], jnp.float32),
    jnp.int32(1),
  )
  assert taken.label[0, 0] == label
  np.testing.assert_allclose(taken.rgb[0, 0], [red, 0, 0], atol=1e-4)
  np.testing.assert_allclose(taken.share[0, 0], share, atol=1e-5)


def _frames(first, length, reference, **fields):
  image = jnp.array([0, 60, 80, first, length, 0])
  config = changed(**fields)
  return drawn(
    lambda key: base._draw_frames(key, image, jnp.int32(reference), config), 256
  )


def test_frames_lie_where_there_is_room():
  assert (_frames(10, 1, 10) == 10).all()  # A photo.
  for reference, side in ((10, 1), (109, -1)):
    frames = _frames(10, 100, reference, max_skip=20, max_gap=4)
    steps = side * np.diff(frames, axis=1)
    assert (frames[:, 0] == reference).all()
    assert set(steps[:, 0]) >= {1, 2, 3, 20}
    assert (steps[:, 0].min(), steps[:, 0].max()) == (1, 20)
    assert set(steps[:, 1:].ravel()) == {1, 2, 3, 4}
    # As many from 1 to 4 as from 5 to 20, but for the rounding.
    assert 0.35 < (steps[:, 0] <= 4).mean() < 0.65
  either = _frames(10, 100, 60, max_skip=20) > 60
  assert 0.4 < either[:, 1].mean() < 0.6
  assert (either[:, 1] == either[:, 2]).all()


def test_what_is_beyond_a_videos_end_is_its_end():
  """To the longer side, where neither has room."""
  for reference, end in ((11, 14), (13, 10)):
    frames = _frames(10, 5, reference, max_skip=1, max_gap=9)
    assert (frames.min(), frames.max()) == tuple(sorted((reference, end)))


@pytest.mark.parametrize(
  ('center', 'reach', 'expected'),
  [(2, 3, 3), (5, 3, 5), (9, 3, 7), (1, 6, 5)],
)
def test_a_window_stays_inside_where_it_can(center, reach, expected):
  found = base._inside(jnp.float32(center), jnp.float32(reach), 11)
  assert found == expected


# Three images of 60x80; the first has object 2, the second 1 and 3, the last
# none.
BANK = {
  'images': jnp.array([(0, 60, 80, i, 1, 0) for i in range(3)]),
  'objects': jnp.array(
    [
      (0, 2, 5, 6, 25, 46, 400, 0),
      (1, 1, 10, 11, 20, 31, 200, 0),
      (1, 3, 30, 31, 50, 61, 600, 0),
    ]
  ),
  'first_object': jnp.array([0, 1, 3]),
  'object_count': jnp.array([1, 2, 0]),
  'paste_objects': jnp.array([0, 1, 2]),
  'group_paste': jnp.array([(0, 1), (1, 2), (0, 0)]),
}


@pytest.mark.parametrize(
  ('image', 'object_id', 'expected'),
  [
    (0, 2, (5, 6, 25, 46)),
    (1, 1, (10, 11, 20, 31)),
    (1, 3, (30, 31, 50, 61)),
    (0, 1, None),  # The next image's.
    (1, 2, None),
    (2, 1, None),
  ],
)
def test_an_object_is_found_in_its_own_image(image, object_id, expected):
  box, found = base._box_of(BANK, jnp.int32(image), object_id)
  assert found == (expected is not None)
  np.testing.assert_array_equal(box, expected or (0, 0, 60, 80))


@pytest.mark.parametrize(
  ('image', 'object_id', 'others'),
  [(0, 2, {0}), (0, 1, {2}), (1, 1, {3}), (1, 2, {1, 3}), (2, 1, {0})],
)
def test_another_object_is_of_the_same_image(image, object_id, others):
  found = drawn(
    lambda key: base._draw_other(key, BANK, jnp.int32(image), object_id)
  )
  assert set(found) == others


def test_a_close_window_follows_the_object_and_others_show_the_frame():
  image, box = BANK['images'][0], jnp.array([20.0, 30.0, 32.0, 46.0])

  def windows(close, found=True):
    return drawn(
      lambda key: base._window(
        key, image, box, jnp.bool_(found), jnp.bool_(close), CONFIG
      ),
      512,
    )

  center, step, fraction = windows(close=True)
  # A quarter of the frame's height, and of its width, in 60x80 as in 48x64.
  np.testing.assert_allclose(fraction * step, 0.25, rtol=1e-5)
  # As large as its range, but no smaller than a quarter of the frame.
  assert fraction.min() == pytest.approx(0.3, abs=0.01)
  assert fraction.max() == pytest.approx(0.7, abs=0.01)
  away = (center - [26, 38]) / (step[:, None] * SIZE)
  assert np.abs(away).max() == pytest.approx(0.15, abs=0.01)
  for far in (windows(close=False), windows(close=True, found=False)):
    center, step, _ = far
    assert step.min() == pytest.approx(0.6 * 1.25, abs=0.01)
    assert step.max() == pytest.approx(1.1 * 1.25, abs=0.01)
    reach = step[:, None] * SIZE / 2
    inside = (center >= reach - 1e-3) & (center <= [59, 79] - reach + 1e-3)
    assert (inside | (2 * reach > [59, 79])).all()


def _rivals(fraction=0.4, group=0, **fields):
  config = changed(rival_probability=1.0, **fields)
  return drawn(
    lambda key: rivals.draw(key, BANK, jnp.int32(group), fraction, config), 128
  )


@pytest.mark.parametrize(
  ('fields', 'absent', 'gone'),
  [
    ({'absent_probability': 0.0, 'gone_probability': 0.0}, False, False),
    ({'absent_probability': 1.0, 'gone_probability': 0.0}, True, False),
    ({'absent_probability': 0.0, 'gone_probability': 1.0}, False, True),
  ],
)
def test_rivals_enter_and_leave(fields, absent, gone):
  hidden = _rivals(**fields).placements.y > 5 * SIZE[0]
  assert (hidden == [absent, gone, gone, gone]).all()


def test_without_rivals_none_is_in_sight():
  config = changed(rival_probability=0.0)
  found = drawn(lambda key: rivals.draw(key, BANK, 0, 0.4, config))
  assert (found.placements.y > 5 * SIZE[0]).all()


@pytest.mark.parametrize(
  ('fraction', 'size'), [(0.4, 0.4), (0.01, 0.08), (1.0, 0.9)]
)
def test_a_rivals_size_is_that_of_the_object(fraction, size):
  found = _rivals(fraction, rival_size=(1.0, 1.0), same_folder_probability=1.0)
  # The only object of the group: number 2 of image 0.
  assert set(zip(found.image, found.object_id, strict=True)) == {(0, 2)}
  # It is 20 high and 40 wide: 0.625 of 64.
  step = np.sqrt(found.placements.step * np.abs(found.placements.step_x))
  np.testing.assert_allclose(step[:, 0], 40 / 64 / size, rtol=1e-5)
  aspect = np.log(found.placements.step / step)
  assert 0.05 < aspect[:, 0].std() < 0.15
  np.testing.assert_allclose(found.placements.source_y, 15.0)
  np.testing.assert_allclose(found.placements.source_x, 26.0)


def test_rivals_are_of_the_same_folder_mirrored_and_behind_as_often_as_said():
  for share in (0.0, 1.0):
    found = _rivals(
      group=1,
      same_folder_probability=share,
      flip_probability=share,
      behind_probability=share,
    )
    of_folder = {1, 3} if share else {1, 2, 3}
    assert set(found.object_id) == of_folder
    assert ((found.placements.step_x < 0) == bool(share)).all()
    assert (found.behind == bool(share)).all()
  # A folder in which nothing can be pasted.
  nothing = _rivals(group=2, same_folder_probability=1.0)
  assert set(nothing.object_id) == {1, 2, 3}


def _perturbed(**fields):
  """Guidance of an object on the left; a rival is on the right."""
  mask = np.zeros((1, *SIZE), np.float32)
  mask[0, 10:34, 6:26] = 1
  others = mask[0].copy()
  others[10:34, 40:60] = 1
  none = dict.fromkeys(
    ('guidance_rival_probability', 'guidance_part_probability',
     'guidance_drop_probability', 'guidance_shift', 'guidance_scale'), 0.0,
  )  # fmt: skip
  config = changed(**{**none, **fields})
  found = drawn(
    lambda key: guidance.perturb(
      key, jnp.asarray(mask), jnp.asarray(others), config
    )[0]
  )
  assert ((found >= 0) & (found <= 1)).all()
  inside = found > 0.5
  own = (inside & (mask[0] > 0)).sum(axis=(1, 2)) / mask.sum()
  rival = inside[:, :, 36:].sum(axis=(1, 2)) / mask.sum()
  return inside, own, rival


def test_guidance_is_the_object_and_nothing_else():
  _, own, rival = _perturbed()
  assert own.min() > 0.7
  assert own.mean() > 0.85
  assert not rival.any()


def test_guidance_has_a_part_of_a_rival_lacks_a_part_or_is_empty():
  _, own, rival = _perturbed(guidance_rival_probability=1.0)
  assert own.min() > 0.7
  assert 0.2 < rival.mean() < 0.8
  _, own, rival = _perturbed(guidance_part_probability=1.0)
  assert 0.2 < own.mean() < 0.7
  assert not rival.any()
  inside, *_ = _perturbed(guidance_drop_probability=1.0)
  assert not inside.any()


def test_guidance_is_moved_and_scaled_by_what_is_said():
  extent = np.sqrt(24 * 20)
  columns = np.arange(SIZE[1])

  def middles(inside):
    return (inside * columns).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))

  still, moved = (_perturbed(guidance_shift=s)[0] for s in (0.0, 0.1))
  assert middles(still).std() < 0.05 * extent
  assert 0.07 < (middles(moved) - middles(still)).std() / extent < 0.13
  scaled = _perturbed(guidance_scale=0.2)[0]
  areas = [np.log(x.sum(axis=(1, 2))) for x in (scaled, still)]
  assert 0.25 < (areas[0] - areas[1]).std() < 0.5


def _choices(**fields):
  labels = np.zeros((10, 100), np.int32)
  labels[:, :20], labels[:, 20:30], labels[:, 30:40] = 1, 2, 256
  labels[0, 99] = 257
  candidates = jnp.array([1, 2, 256, 257, 0])
  config = changed(objects=4, min_area=0.05, **fields)
  return drawn(
    lambda key: generate._chosen(key, jnp.asarray(labels), candidates, config),
    512,
  )


def test_objects_are_chosen_of_those_that_are_seen():
  chosen = _choices(single_probability=0.0)
  assert (np.sort(chosen) == [-1, 1, 2, 256]).all()
  # It beats two others of 0..1 with 0.5..1.5: surely above 1, else by chance.
  share = 0.5 + (1 - 0.5**3) / 3
  assert (chosen[:, 0] == 1).mean() == pytest.approx(share, abs=0.06)
  assert (chosen[:, 3] == -1).all()
  alone = _choices(single_probability=1.0)
  assert (alone[:, 1:] == -1).all()
  assert set(alone[:, 0]) == {1, 2, 256}


@pytest.mark.parametrize('behind', [False, True])
@pytest.mark.parametrize(('gain', 'red'), [(2.0, 200), (5.0, 255)])
def test_a_rival_is_pasted_over_the_frame_or_behind_its_objects(
  behind, gain, red
):
  """The frame's object is on the left; the rival, of 100, is everywhere."""
  bank = {
    'pixels': jnp.full(16, 100 | 1 << 24, jnp.uint32),
    'images': jnp.array([(0, 4, 4, 0, 1, 0)]),
  }
  label = jnp.array([[5, 5, 0, 0]] * 4)
  rival = rivals.Rival(0, 1, None, jnp.bool_(behind), gain)
  rgb, found = generate._paste(
    jnp.zeros((4, 4, 3)), label, bank, rival,
    sampling.Placement(0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    1, jnp.zeros((4, 4, 2)), label,
  )  # fmt: skip
  over = np.array([not behind] * 2 + [True] * 2)
  np.testing.assert_array_equal(found, [np.where(over, 257, 5)] * 4)
  np.testing.assert_allclose(rgb[..., 0], [over * red] * 4, atol=1e-3)
