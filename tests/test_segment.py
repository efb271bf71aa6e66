"""Annotated sequences segmented into folders of masks."""

import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import segment
from tests import tiny_resnets
from tests import tiny_videos


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


@pytest.fixture(scope='module')
def tracker():
  model = tiny_resnets.MODEL
  return tracker_lib.Tracker(model, tiny_resnets.network_params(model))


def test_segment_writes_one_indexed_png_a_frame(tracker, video, tmp_path):
  folder = tmp_path / video.name
  folder.mkdir()
  (folder / '00099.png').write_bytes(b'of an earlier run')
  seen = []
  timing = segment.segment_sequences([tracker], [video], tmp_path, seen.append)
  assert [path.name for path in sorted(folder.iterdir())] == [
    f'{number:05d}.png' for number in range(4)
  ]
  np.testing.assert_array_equal(
    masks.read_mask(folder / '00000.png'), video.labels(0)
  )
  found = np.unique(masks.read_mask(folder / '00003.png'))
  assert set(found) <= {0, 2, 5}
  assert seen == [video] * 4
  assert timing.steady_frames == 2
  assert timing.first > 0
  assert timing.seconds_a_frame == timing.steady / 2 > 0
  assert timing.total > timing.first + timing.steady


def test_a_damaged_frame_is_named_and_no_mask_is_made_up(
  tracker, video, tmp_path
):
  broken = tmp_path / '00002.png'
  broken.write_bytes(video.frames[2].read_bytes()[:200])
  frames = (*video.frames[:2], broken, video.frames[3])
  damaged = sequences.Sequence(
    'video', frames, video.masks, *tiny_videos.SIZE, video.object_ids
  )
  with pytest.raises(errors.SavosError, match=str(broken)):
    segment.segment_sequences([tracker], [damaged], tmp_path / 'out')
  folder = tmp_path / 'out' / 'video'
  assert sorted(path.name for path in folder.iterdir()) == [
    '00000.png', '00001.png',
  ]  # fmt: skip
