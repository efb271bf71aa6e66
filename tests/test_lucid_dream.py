"""Lucid dreaming: whole dreams."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from savos_jax.data import lucid
from savos_jax.data.lucid import splitting
from tests import lucid_scenes

STILL = lucid_scenes.STILL
SIZE = lucid_scenes.SIZE
generator = lucid_scenes.generator
ellipse = lucid_scenes.ellipse
scene = lucid_scenes.scene


def three_objects():
  labels = ellipse(center=(60, 50), value=3)
  labels = np.maximum(labels, ellipse(center=(170, 60), angle=80, value=7))
  return np.maximum(labels, ellipse(center=(110, 130), angle=0, value=200))


def test_a_dream_has_the_stated_form_and_ids():
  labels = three_objects()
  frame = scene(labels)
  seen, moved = set(), 0
  for seed in range(12):
    dream = lucid.dream(frame, labels, generator(seed), targets=3)
    assert dream.reference_frame.shape == (*SIZE, 3)
    assert dream.frames.shape == (3, *SIZE, 3)
    assert dream.labels.shape == (3, *SIZE)
    assert dream.previous_labels.shape == SIZE
    for name in ('reference_labels', 'labels', 'previous_labels'):
      array = getattr(dream, name)
      assert array.dtype == np.uint8
      assert set(np.unique(array)) <= {0, 3, 7, 200}
      seen |= set(np.unique(array))
    moved += (dream.labels[0] != dream.labels[1]).any()
  assert seen == {0, 3, 7, 200}
  assert moved == 12


def test_unmoved_objects_keep_their_shape():
  labels = three_objects()
  still = dataclasses.replace(STILL, scale=(0.85, 0.85))
  dream = lucid.dream(
    scene(labels), labels, generator(), still, moving=[7]
  )  # fmt: skip
  hidden = dream.labels[0] == 7
  for i in (3, 200):
    expected = (labels == i) & ~hidden
    np.testing.assert_array_equal(dream.labels[0] == i, expected)


def test_given_background_gives_the_same_dream():
  labels = three_objects()
  frame = scene(labels)
  config = lucid.LucidConfig()
  background = lucid.inpaint(frame, labels, [3, 200], config)
  a = lucid.dream(frame, labels, generator(), config, moving=[3, 200])
  b = lucid.dream(
    frame, labels, generator(), config, moving=[3, 200], background=background
  )
  np.testing.assert_array_equal(a.frames, b.frames)


def digest():
  labels = three_objects()
  dream = lucid.dream(scene(labels), labels, generator(5), targets=2)
  total = hashlib.sha256()
  for field in dataclasses.fields(dream):
    total.update(getattr(dream, field.name).tobytes())
  return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process():
  code = 'from tests import test_lucid_dream; print(test_lucid_dream.digest())'
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == digest()


@pytest.mark.parametrize('merge', lucid.MERGES)
@pytest.mark.parametrize('size', [None, (33, 65), (64, 20)])
@pytest.mark.parametrize('kind', ['empty', 'pixel', 'line', 'full', 'corner'])
def test_no_mask_is_refused(kind, size, merge):
  labels = np.zeros((40, 50), np.uint8)
  if kind == 'pixel':
    labels[20, 20] = 1
  elif kind == 'line':
    labels[20, 5:40] = 1
  elif kind == 'full':
    labels[:] = 1
  elif kind == 'corner':
    labels[:2, :2] = 1
  config = dataclasses.replace(lucid.LucidConfig(), merge=merge)
  for seed in range(8):
    dream = lucid.dream(
      scene(labels), labels, generator(seed), config, size=size
    )
    assert dream.frames.shape == (1, *(size or (40, 50)), 3)
    if kind == 'empty':
      assert not dream.labels.any()
      assert not dream.previous_labels.any()
    if kind == 'full':
      assert dream.reference_labels.mean() > 0.2


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (3, 200), (300, 7)])
def test_frames_of_any_size(shape):
  labels = np.zeros(shape, np.uint8)
  labels[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = 4
  for seed in range(5):
    dream = lucid.dream(scene(labels), labels, generator(seed))
    assert dream.frames.shape == (1, *shape, 3)
    assert dream.labels.max(initial=0) in (0, 4)


def test_nothing_is_black_at_the_border():
  """White everywhere but for the object: no dark pixel may come in."""
  labels = ellipse()
  frame = np.full((*SIZE, 3), 255, np.uint8)
  frame[labels > 0] = (255, 120, 120)
  config = dataclasses.replace(
    lucid.LucidConfig(), illumination_probability=0.0
  )
  for seed in range(30):
    dream = lucid.dream(frame, labels, generator(seed), config)
    assert dream.reference_frame.min() >= 110
    assert dream.frames.min() >= 110


def test_zoom_and_a_smaller_output():
  labels = ellipse((480, 720), (360, 240), (60, 60), 0)
  frame = scene(labels)
  areas = {}
  for zoom in (1.0, 1.5):
    found = [
      lucid.dream(
        frame, labels, generator(seed), STILL, size=SIZE, zoom=zoom
      ).labels[0]
      for seed in range(12)
    ]
    areas[zoom] = max((mask > 0).sum() for mask in found)
  # A third of the size: a ninth of the area, times the zoom's square.
  np.testing.assert_allclose(areas[1.0], (labels > 0).sum() / 9, rtol=0.03)
  np.testing.assert_allclose(areas[1.5] / areas[1.0], 1.5**2, rtol=0.03)


@pytest.mark.parametrize(
  ('size', 'expected'),
  [((160, 240), (240, 360)), ((480, 720), (480, 720))],
)
def test_a_large_frame_is_shrunk_to_half_as_much_again_as_is_shown(
  monkeypatch, size, expected
):
  """The camera enlarges what it sees: no detail may lack then."""
  shapes, split = [], splitting.split

  def spy(frame, labels, moving, config, rng, background):
    shapes.extend((frame.shape[:2], labels.shape, background.shape[:2]))
    return split(frame, labels, moving, config, rng, background)

  monkeypatch.setattr(splitting, 'split', spy)
  labels = ellipse((480, 720), (360, 240), (60, 60), 0)
  lucid.dream(scene(labels), labels, generator(), STILL, size=size)
  assert shapes == [expected] * 3


def test_sizes_that_differ_are_refused():
  labels = ellipse()
  frame = scene(labels)
  with pytest.raises(ValueError, match='sizes differ'):
    lucid.dream(frame, labels[1:], generator())
  with pytest.raises(ValueError, match='sizes differ'):
    lucid.dream(frame, labels, generator(), background=frame[1:])
  with pytest.raises(ValueError, match='zoom'):
    lucid.dream(frame, labels, generator(), zoom=0.5)
