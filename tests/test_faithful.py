"""What a video says of itself is heeded, as docs/reference/video.md tells."""

import gc
import struct

import av
import numpy as np
from PIL import Image
import pytest

from savos_jax.video import pixels
from savos_jax.video import sources
from savos_jax.video import tone_mapping
from tests import made_videos

TIMES = [i / 25 for i in range(12)]
# Kr and Kb by what frames say of their matrix.
MATRICES = {
  1: (0.2126, 0.0722),
  5: (0.299, 0.114),
  6: (0.299, 0.114),
  9: (0.2627, 0.0593),
}


def flat(rgb, matrix, full, bits=8, layout='yuv420p'):
  """A frame of one colour in YUV, by the standard's arithmetic."""
  kr, kb = MATRICES[matrix]
  red, green, blue = rgb
  luma = kr * red + (1 - kr - kb) * green + kb * blue
  cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
  low, luma_range, chroma_range = (0, 255, 255) if full else (16, 219, 224)
  scale = 1 << (bits - 8)
  if full:
    luma_range = chroma_range = ((1 << bits) - 1) / scale
  values = (low + luma_range * luma, 128 + chroma_range * cb,
            128 + chroma_range * cr)  # fmt: skip
  dtype = np.uint8 if bits == 8 else np.uint16
  frame = av.VideoFrame(64, 48, layout)
  for plane, value in zip(frame.planes, values, strict=True):
    count = plane.buffer_size // dtype().itemsize
    plane.update(np.full(count, round(scale * value), dtype).tobytes())
  return frame


def first_pixel(path):
  return sources.open_video(path).frame(0)[20, 20].astype(int)


# ---------------------------------------------------------------------------
# Colours


@pytest.mark.parametrize('matrix', [1, 5, 6, 9])
@pytest.mark.parametrize('full', [False, True])
def test_matrix_and_range_are_as_the_file_says(tmp_path, matrix, full):
  path = tmp_path / 'clip.mp4'
  for rgb in ((0.9, 0.2, 0.1), (0.1, 0.7, 0.9), (0.03, 0.03, 0.03), (1, 1, 1)):
    made_videos.write(
      path, [flat(rgb, matrix, full) for _ in range(2)], TIMES[:2],
      options={'qp': '0'},
      context={
        'colorspace': matrix, 'color_range': 2 if full else 1,
        'color_primaries': 1, 'color_trc': 1,
      },
    )  # fmt: skip
    np.testing.assert_allclose(first_pixel(path), np.multiply(rgb, 255), atol=3)


def test_jpegs_of_full_range(tmp_path):
  """Motion JPEG, yuvj420p: BT.601, of full range, which it need not say."""
  path = tmp_path / 'clip.avi'
  rgb = (0.9, 0.2, 0.05)
  made_videos.write(
    path, [flat(rgb, 5, True, layout='yuvj420p') for _ in range(2)],
    TIMES[:2], 'mjpeg', 'yuvj420p', unit=25, context={'color_range': 2},
  )  # fmt: skip
  np.testing.assert_allclose(first_pixel(path), np.multiply(rgb, 255), atol=5)


def shown(signal, transfer, primaries=9):
  """What is made of a signal, 0..255."""
  found = tone_mapping.to_sdr(np.asarray(signal, float), transfer, primaries)
  return 255 * found


def grey_of(nits):
  return np.full(3, tone_mapping._pq(np.array(float(nits))))


def test_the_curves_are_those_of_the_standards():
  """ST 2084 and BT.2100: their own published points."""
  for nits, signal in ((0, 0), (100, 0.508), (203, 0.581), (1000, 0.752)):
    assert tone_mapping._pq(np.array(float(nits))) == pytest.approx(
      signal, abs=1e-3
    )
    assert tone_mapping._from_pq(np.array(signal)) == pytest.approx(
      nits, abs=0.01 * nits + 1e-6
    )
  for signal, nits in ((0.75, 203), (1, 1000), (0, 0)):
    found = tone_mapping._from_hlg(np.full(3, float(signal)))
    np.testing.assert_allclose(found, nits, rtol=0.01, atol=1e-4)


def test_high_dynamic_range_looks_like_it_in_sdr():
  """Shadows as bright as they are, highlights in order below white."""
  pq = tone_mapping.PQ
  for nits in (1, 5, 26, 80):
    expected = 255 * (nits / 203) ** (1 / 2.4)
    np.testing.assert_allclose(shown(grey_of(nits), pq), expected, atol=1)
  ladder = [shown(grey_of(n), pq)[0] for n in (0, 10, 100, 203, 400, 700, 1000)]
  assert (np.diff(ladder) > 0.2).all()
  assert 215 < ladder[3] < 240
  assert ladder[-1] == pytest.approx(255, abs=0.5)
  assert shown(grey_of(4000), pq)[0] == pytest.approx(255, abs=0.5)
  hlg = shown(np.full(3, 0.75), tone_mapping.HLG)
  np.testing.assert_allclose(hlg, shown(grey_of(203), pq), atol=1)


def test_primaries_become_those_of_bt709():
  """A colour that BT.709 has is that colour, from any primaries."""
  linear = np.array([0.8, 0.3, 0.1])
  for wide in tone_mapping.WIDE:
    change = np.linalg.solve(
      tone_mapping._to_xyz(wide), tone_mapping._to_xyz(1)
    )
    found = shown((change @ linear) ** (1 / 2.4), 14, wide)
    np.testing.assert_allclose(found, 255 * linear ** (1 / 2.4), atol=0.5)
    np.testing.assert_allclose(shown(np.ones(3), 1, wide), 255, atol=0.01)


@pytest.mark.parametrize(
  ('transfer', 'primaries'), [(16, 9), (18, 9), (16, 12), (14, 9), (1, 12)]
)
def test_tagged_video_is_mapped(tmp_path, transfer, primaries):
  """10 bits of HEVC, as phones and discs have it."""
  path = tmp_path / 'clip.mp4'
  rng = np.random.default_rng(0)
  for rgb in (*rng.uniform(0.05, 0.7, (4, 3)), (0.58, 0.58, 0.58)):
    pictures = [flat(rgb, 9, False, 10, 'yuv420p10le') for _ in range(6)]
    made_videos.write(
      path, pictures, TIMES[:6],
      'libx265', 'yuv420p10le', unit=25,
      options={'x265-params': 'qp=2:log-level=none'},
      context={
        'colorspace': 9, 'color_primaries': primaries, 'color_trc': transfer,
        'color_range': 1,
      },
    )  # fmt: skip
    expected = shown(rgb, transfer, primaries)
    # The table has 33 steps: next to the edge of what BT.709 has it is off.
    np.testing.assert_allclose(first_pixel(path), expected, atol=8)


# ---------------------------------------------------------------------------
# Lines of two moments


def fields(index):
  """A frame whose even lines are half a step later, and one of one moment."""

  def at(moment):
    picture = np.full((64, 96, 3), 60, np.uint8)
    picture[16:48, 78:96] = np.arange(32, dtype=np.uint8)[:, None, None] * 4
    left = 8 + int(4 * moment)
    picture[:, left : left + 24] = 220
    return picture

  picture = at(index)
  picture[::2] = at(index + 0.5)[::2]
  return picture, at(index)


def comb(image):
  """How much lines differ from both neighbours, to the same side."""
  lines = image.astype(int).mean(axis=2)
  up, down = lines[1:-1] - lines[:-2], lines[1:-1] - lines[2:]
  return np.where(up * down > 0, np.minimum(abs(up), abs(down)), 0).mean()


def interlaced(path, pictures, interlaced=True):
  return made_videos.write(
    path, pictures, TIMES[: len(pictures)], options={
      'crf': '4', 'g': '6',
      'x264-params': 'bff=1:bframes=2' if interlaced else 'bframes=2',
    },
  )  # fmt: skip


def test_interlaced_frames_are_made_whole_one_for_one(tmp_path):
  pairs = [fields(index) for index in range(12)]
  clip = interlaced(tmp_path / 'clip.mp4', [woven for woven, _ in pairs])
  opened = sources.open_video(clip)
  found = list(opened.numbered())
  assert [s.index for s in found] == list(range(12))
  np.testing.assert_allclose([s.seconds for s in found], TIMES, atol=1e-4)
  for s, (woven, whole) in list(zip(found, pairs, strict=True))[1:-1]:
    assert comb(woven) > 3
    assert comb(s.image) < 1
    # At the moment of the first field.
    assert abs(s.image.astype(int) - whole).mean() < 4
    # What stands still keeps its lines: half of them would be steps of 8.
    ramp = s.image[17:47, 80:94].astype(int).mean(axis=(1, 2))
    assert abs(np.diff(ramp) - 4).max() < 2.5
  for start in (1, 5, 6, 7, 11):
    for a, b in zip(opened.numbered(start), found[start:], strict=True):
      assert (a.index, a.seconds) == (b.index, b.seconds)
      np.testing.assert_array_equal(a.image, b.image)


def test_a_frame_that_is_whole_stays_as_it_is(tmp_path):
  pictures = [fields(index)[0] for index in range(6)]
  clip = interlaced(tmp_path / 'clip.mp4', pictures, interlaced=False)
  for image, picture in zip(
    sources.open_video(clip).frames(), pictures, strict=True
  ):
    assert comb(image) > 3
    assert abs(image.astype(int) - picture).mean() < 4


def test_interlaced_from_some_frame_on(tmp_path):
  """As where one recording is set behind another."""
  parts = [
    interlaced(tmp_path / f'{k}.ts', [fields(i)[0] for i in range(6)], k == 1)
    for k in range(2)
  ]
  path = tmp_path / 'clip.ts'
  with av.open(str(path), 'w') as container:
    stream = None
    for number, part in enumerate(parts):
      with av.open(str(part)) as one:
        stream = stream or container.add_stream_from_template(
          one.streams.video[0], opaque=True
        )
        for packet in one.demux(video=0):
          if packet.size:
            packet.pts += number * 21600
            packet.dts += number * 21600
            packet.stream = stream
            container.mux(packet)
  opened = sources.open_video(path)
  found = list(opened.numbered())
  assert [s.index for s in found] == list(range(12))
  combs = [comb(s.image) for s in found]
  assert min(combs[:6]) > 3
  assert max(combs[7:-1]) < 1
  for start in (5, 6, 7, 9):
    for a, b in zip(opened.frames(start), found[start:], strict=True):
      np.testing.assert_array_equal(a, b.image)


# ---------------------------------------------------------------------------
# Turned and mirrored

# a, b, c, d of the matrix: a pixel at x, y goes to a x + c y, b x + d y.
TURNS = [
  (1, 0, 0, 1), (-1, 0, 0, -1), (0, 1, -1, 0), (0, -1, 1, 0),
  (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0),
]  # fmt: skip


def moved(image, turn):
  """Takes each pixel where the matrix says."""
  a, b, c, d = turn
  height, width = image.shape[:2]
  ys, xs = np.mgrid[:height, :width]
  right, down = a * xs + c * ys, b * xs + d * ys
  right, down = right - right.min(), down - down.min()
  made = np.zeros((down.max() + 1, right.max() + 1, 3), image.dtype)
  made[down, right] = image
  return made


@pytest.mark.parametrize('turn', TURNS)
def test_turned_and_mirrored(tmp_path, turn):
  picture = np.zeros((48, 64, 3), np.uint8)
  picture[:16, :, 0], picture[:, :20, 1], picture[30:, 40:, 2] = 220, 220, 220
  path = made_videos.write(
    tmp_path / 'clip.mp4', [picture] * 3, TIMES[:3],
    context={'sample_aspect_ratio': 2},
  )  # fmt: skip
  content = bytearray(path.read_bytes())
  a, b, c, d = (value << 16 for value in turn)
  at = content.index(
    struct.pack('>9i', 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30),
    content.index(b'tkhd'),
  )
  content[at : at + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
  path.write_bytes(content)
  opened = sources.open_video(path)
  expected = moved(picture, turn)
  assert (opened.height, opened.width) == expected.shape[:2]
  assert abs(opened.frame(0).astype(int) - expected).mean() < 8
  assert opened.pixel_aspect == (2 if turn[0] else 0.5)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_images_of_a_folder_are_turned_as_they_say(tmp_path, orientation):
  picture = np.zeros((48, 64, 3), np.uint8)
  picture[:16, :, 0], picture[:, :20, 1], picture[30:, 40:, 2] = 220, 220, 220
  exif = Image.Exif()
  exif[0x0112] = orientation
  Image.fromarray(picture).save(tmp_path / '1.png', exif=exif)
  # EXIF: which corner the first row and the first column are.
  turn = TURNS[(0, 4, 1, 5, 6, 2, 7, 3)[orientation - 1]]
  found = sources.open_video(tmp_path).frame(0)
  np.testing.assert_array_equal(found, moved(picture, turn))


def test_any_angle_is_a_quarter():
  image = np.arange(6).reshape(2, 3)
  tilted = np.array([60000, 9000, 0, -9000, 60000, 0, 0, 0, 1 << 30], np.int32)
  np.testing.assert_array_equal(pixels.turned(image, tilted.tobytes()), image)
  assert pixels.turned(image, None) is image


# ---------------------------------------------------------------------------
# Kinds of files

LEVELS = tuple(range(20, 236, 18))


@pytest.mark.parametrize('size', [(48, 64), (49, 67)])
@pytest.mark.parametrize(
  ('name', 'codec', 'layout', 'options'),
  [
    ('clip.mp4', 'libx264', 'yuv420p', {}),
    ('clip.mp4', 'libx264', 'yuv444p10le', {}),
    ('clip.mp4', 'libx265', 'yuv420p10le', {'x265-params': 'log-level=none'}),
    ('clip.mp4', 'libsvtav1', 'yuv420p10le', {'preset': '10'}),
    ('clip.webm', 'libvpx-vp9', 'yuv420p', {'cpu-used': '8'}),
    ('clip.mov', 'prores_ks', 'yuv422p10le', {}),
    ('clip.mkv', 'ffv1', 'yuv422p', {}),
    ('clip.mkv', 'ffv1', 'bgr0', {}),
    ('clip.gif', 'gif', 'rgb8', {}),
    ('clip.ts', 'mpeg2video', 'yuv420p', {'q:v': '2'}),
    ('clip.avi', 'mjpeg', 'yuvj420p', {}),
  ],
)
def test_every_kind_gives_every_frame(
  tmp_path, name, codec, layout, options, size
):
  if any(side % 2 for side in size) and codec in ('libx264', 'libx265'):
    layout = 'yuv444p10le'  # These take odd sides so.
  if codec == 'libsvtav1':
    size = (64 + size[0] % 2, 64 + size[1] % 2)  # Its least.
  full = {'color_range': 2} if layout == 'yuvj420p' else {}
  pictures = [made_videos.grey(level, size) for level in LEVELS]
  made_videos.write(
    tmp_path / name, pictures, TIMES[: len(LEVELS)], codec, layout,
    unit=100 if codec == 'gif' else 25, options=options, context=full,
  )  # fmt: skip
  opened = sources.open_video(tmp_path / name)
  assert (opened.height, opened.width) == size
  found = list(opened.numbered())
  assert [s.index for s in found] == list(range(12))
  for s, level in zip(found, LEVELS, strict=True):
    # A GIF has here eight greys.
    assert abs(s.image.mean() - level) < (20 if codec == 'gif' else 4)
  begin = found[0].seconds
  np.testing.assert_allclose(
    [s.seconds - begin for s in found], TIMES, atol=1e-3
  )


@pytest.mark.parametrize('woven', [False, True])
def test_frames_are_let_go(tmp_path, woven):
  """At once: large ones would fill the memory before rubbish is collected."""
  pictures = [fields(index)[0] for index in range(12)]
  clip = interlaced(tmp_path / 'clip.mp4', pictures, woven)
  frames = sources.open_video(clip).frames()
  gc.collect()
  gc.disable()
  try:
    held = []
    for _ in frames:
      everything = gc.get_objects()
      held.append(sum(isinstance(x, av.VideoFrame) for x in everything))
      del everything
  finally:
    gc.enable()
  assert len(held) == 12
  assert max(held) <= 8
