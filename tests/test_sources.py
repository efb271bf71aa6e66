"""Own videos are read frame by frame, or refused with words that help."""

import fractions
import os
import pathlib
import struct
import subprocess
import sys
import wave

import av
import cv2
import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.video import pixels
from savos_jax.video import sources
from savos_jax.video import video_file

HEIGHT, WIDTH = 48, 64
# Name and codec of every kind of file that the tests make.
KINDS = [
  ('clip.mp4', 'mp4v'),
  ('clip.mp4', 'vp09'),
  ('clip.webm', 'VP80'),
  ('clip.avi', 'MJPG'),
]


def _picture(index):
  """RGB uint8: red says the index, blue marks the left, green the top."""
  frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
  frame[..., 0] = 10 * index
  frame[: HEIGHT // 2, :, 1] = 200
  frame[:, : WIDTH // 2, 2] = 200
  return frame


def _make(path, codec, count=20, fps=10.0):
  writer = cv2.VideoWriter(
    str(path), cv2.VideoWriter_fourcc(*codec), fps, (WIDTH, HEIGHT)
  )
  for index in range(count):
    writer.write(_picture(index)[..., ::-1])
  writer.release()
  return path


def _cut(path, share):
  content = path.read_bytes()
  path.write_bytes(content[: int(share * len(content))])


def _index(frame):
  return round(frame[..., 0].mean() / 10)


def _folder(root, names, size=(HEIGHT, WIDTH)):
  """Images whose red value is 10 times their place in names."""
  root.mkdir(exist_ok=True)
  for index, name in enumerate(names):
    picture = np.zeros((*size, 3), np.uint8)
    picture[..., 0] = 10 * index
    Image.fromarray(picture).save(root / name)
  return root


def _error(path, *words, start=None):
  """Opening and reading path raises; the message begins as it must."""
  with pytest.raises(errors.SavosError) as caught:
    list(sources.open_video(path).frames())
  message = str(caught.value)
  assert message.startswith(f'{start or path}')
  assert '\n  Expected' in message
  for word in words:
    assert word in message
  return message


@pytest.mark.parametrize(('name', 'codec'), KINDS)
def test_a_file_gives_every_frame(tmp_path, name, codec):
  opened = sources.open_video(_make(tmp_path / name, codec))
  assert (opened.height, opened.width) == (HEIGHT, WIDTH)
  assert (opened.length, opened.name) == (20, 'clip')
  assert opened.fps == pytest.approx(10)
  frames = list(opened.frames())
  assert [_index(frame) for frame in frames] == list(range(20))
  for index in (0, 19):
    assert frames[index].dtype == np.uint8
    difference = frames[index].astype(int) - _picture(index)
    assert abs(difference).mean() < 8  # A swap of channels or sides: 50.
  assert opened.names(7) == '00007'


@pytest.mark.parametrize(('name', 'codec'), KINDS)
def test_a_start_is_exact_and_iterations_are_their_own(tmp_path, name, codec):
  opened = sources.open_video(_make(tmp_path / name, codec))
  one, other = opened.frames(), opened.frames(start=13)
  assert _index(next(one)) == 0
  assert [_index(frame) for frame in other] == list(range(13, 20))
  assert _index(next(one)) == 1
  assert _index(opened.frame(0)) == 0
  assert list(opened.frames(start=20)) == []


def test_a_string_will_do_and_a_colon_is_no_protocol(tmp_path, monkeypatch):
  _make(tmp_path / 'clip.mp4', 'mp4v', 3).rename(tmp_path / 'a:b.mp4')
  monkeypatch.chdir(tmp_path)
  assert len(list(sources.open_video('a:b.mp4').frames())) == 3


@pytest.mark.parametrize('name', ['concat:clip.mp4', 'http:', 'a,,b|c.mp4'])
def test_a_name_is_no_address(tmp_path, monkeypatch, name):
  _make(tmp_path / 'clip.mp4', 'mp4v', 3).rename(tmp_path / name)
  monkeypatch.chdir(tmp_path)
  assert len(list(sources.open_video(name).frames())) == 3


@pytest.mark.parametrize(
  'start',
  [b'', b'\xef\xbb\xbf', b' \r\n\t', b'\0\0', b'\xff\xfe', b'\n\xc3\xa9'],
)
@pytest.mark.parametrize(
  'text',
  [
    '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,é\nclip.avi\n',
    '#EXTM3U\n#EXTINF:1,\nclip.avi\n',
    'ffconcat version 1.0\n# é\nfile clip.avi\n',
    'v=0\ns=é\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n',
    '<?xml version="1.0"?><!-- é --><MPD type="static"></MPD>',
    '[playlist]\nFile1=clip.avi\nTitle1=é\n',
  ],
)
def test_a_list_of_files_is_no_video(tmp_path, start, text):
  """Whatever stands before it and behind; FFmpeg would play what it names."""
  _make(tmp_path / 'clip.avi', 'MJPG', 3)
  for name in ('clip.mp4', 'clip.m3u8'):
    path = tmp_path / name
    path.write_bytes(start + text.encode() + bytes(9))
    # Behind other bytes than these no program knows it.
    known = not start.endswith(b'\xa9') or 'MPD' in text
    _error(path, 'a playlist' if known else 'no video in it')


@pytest.mark.parametrize(
  ('name', 'text'),
  [
    ('list.mp4', 'ffconcat version 1.0\nfile clip.avi\n'),
    (
      'list.m3u8',
      '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.avi\n',
    ),
    ('x%03d.tga', 'text'),
  ],
)
def test_no_other_file_is_read(tmp_path, monkeypatch, name, text):
  """Also where our own look at the first bytes sees nothing."""
  monkeypatch.setattr(sources, '_check_is_video', lambda path: None)
  monkeypatch.chdir(tmp_path)
  _make(tmp_path / 'clip.avi', 'MJPG', 3)
  for index in (0, 1):
    Image.new('RGB', (WIDTH, HEIGHT)).save(tmp_path / f'x00{index}.tga')
  (tmp_path / name).write_text(text)
  _error(tmp_path / name, 'no video in it')


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / 'clip.mp4')
  _error(tmp_path / 'clip.mp4', ': a pipe.')
  (tmp_path / 'frames').mkdir()
  os.mkfifo(tmp_path / 'frames' / '1.png')
  _error(tmp_path / 'frames', ': a pipe.', start=tmp_path / 'frames' / '1.png')


def test_rotation_is_applied(tmp_path):
  """A phone stores frames as the sensor has them, and the turn beside."""
  path = _make(tmp_path / 'clip.mp4', 'mp4v', 3)
  content = bytearray(path.read_bytes())
  upright = struct.pack('>9i', 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
  turned = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
  at = content.index(upright, content.index(b'tkhd'))
  content[at : at + len(turned)] = turned
  path.write_bytes(content)
  opened = sources.open_video(path)
  assert (opened.height, opened.width) == (WIDTH, HEIGHT)
  expected = np.rot90(_picture(0), -1)  # Clockwise.
  difference = opened.frame(0).astype(int) - expected
  assert abs(difference).mean() < 8


@pytest.mark.parametrize('stated', [0.0, float('nan'), 90000.0, -1.0])
def test_an_unbelievable_rate_is_replaced(tmp_path, monkeypatch, stated):
  path = _make(tmp_path / 'clip.mp4', 'mp4v', 3)
  monkeypatch.setattr(video_file, '_stated_fps', lambda stream: stated)
  assert sources.open_video(path).fps == 25


@pytest.mark.parametrize(
  ('name', 'codec'), [('clip.webm', 'VP80'), ('clip.avi', 'MJPG')]
)
def test_a_cut_file_gives_what_is_left_and_then_says_so(tmp_path, name, codec):
  path = _make(tmp_path / name, codec)
  _cut(path, 0.6)
  opened = sources.open_video(path)
  seen = []
  with pytest.raises(errors.SavosError) as caught:
    seen.extend(map(_index, opened.frames()))
  assert 3 <= len(seen) < 18
  # The frame that the cut goes through is there in part.
  assert seen[:-1] == list(range(len(seen) - 1))
  message = str(caught.value)
  last = len(seen) - 1
  assert message.startswith(f'{path}: decoding ended after frame {last} ')
  assert f'({last / 10:.2f} s); the file counts 20 frames.' in message
  assert 'Copy it again' in message


@pytest.mark.parametrize('codec', ['mp4v', 'vp09'])
def test_a_cut_mp4_has_lost_its_index(tmp_path, codec):
  path = _make(tmp_path / 'clip.mp4', codec)
  _cut(path, 0.6)
  _error(path, 'no video in it', 'cut off', 'copy it again')


def _index_first(path):
  """Moves the index of an mp4 before its frames, as downloads have it."""
  content = path.read_bytes()
  at = content.index(b'moov') - 4
  data = content.index(b'mdat') - 4
  assert data < at
  index = bytearray(content[at:])
  table = index.index(b'stco') + 4
  (chunks,) = struct.unpack('>I', index[table + 4 : table + 8])
  for entry in range(table + 8, table + 8 + 4 * chunks, 4):
    (offset,) = struct.unpack('>I', index[entry : entry + 4])
    index[entry : entry + 4] = struct.pack('>I', offset + len(index))
  path.write_bytes(content[:data] + index + content[data:at])


def test_a_download_that_broke_off(tmp_path):
  path = _make(tmp_path / 'clip.mp4', 'mp4v')
  _index_first(path)
  assert len(list(sources.open_video(path).frames())) == 20
  _cut(path, 0.8)
  _error(path, 'decoding ended after frame', 'counts 20 frames')


def test_frames_behind_an_edit_list_are_not_missing(tmp_path, caplog):
  """Cutting without encoding again leaves more frames counted than shown."""
  path = _make(tmp_path / 'clip.mp4', 'mp4v')
  content = bytearray(path.read_bytes())
  at = content.index(b'elst')
  scale_at = content.index(b'mdhd') + 16
  (scale,) = struct.unpack('>I', content[scale_at : scale_at + 4])
  # One second, from the first second on; the film's clock has milliseconds.
  content[at + 12 : at + 20] = struct.pack('>Ii', 1000, scale)
  path.write_bytes(content)
  seen = [_index(frame) for frame in sources.open_video(path).frames()]
  assert seen == list(range(10, 20))
  later = [_index(frame) for frame in sources.open_video(path).frames(3)]
  assert later == list(range(13, 20))
  assert len(video_file.index(path).stamps) == 10
  assert '10 frames came out of the 20' in caplog.text


def test_a_frame_or_two_may_be_missing(tmp_path, monkeypatch):
  path = _make(tmp_path / 'clip.avi', 'MJPG')
  claim = 22
  monkeypatch.setattr(video_file, '_claimed', lambda *_: claim)
  assert len(list(sources.open_video(path).frames())) == 20
  claim = 23
  _error(path, 'after frame 19 (1.90 s); the file counts 23 frames')
  claim = 0  # Nothing is known.
  assert sources.open_video(path).length == 0
  assert len(list(sources.open_video(path).frames())) == 20


def test_a_varying_rate_is_not_a_missing_frame(tmp_path, monkeypatch):
  """There the claim is duration times rate, more than there is."""
  path = _make(tmp_path / 'clip.avi', 'MJPG')
  monkeypatch.setattr(video_file, '_claimed', lambda *_: 40)
  monkeypatch.setattr(video_file, '_stated_fps', lambda stream: 20.0)
  assert len(list(sources.open_video(path).frames())) == 20


def _h264(path, count=60):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('libx264', rate=25)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
    stream.options = {'g': '12'}
    for index in range(count):
      picture = np.full((HEIGHT, WIDTH, 3), 4 * index, np.uint8)
      frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


def test_past_damage_frames_keep_their_numbers(tmp_path):
  path = _h264(tmp_path / 'clip.mp4')
  whole = list(sources.open_video(path).frames())
  with av.open(str(path)) as container:
    packets = [p for p in container.demux(video=0) if p.size]
  content = bytearray(path.read_bytes())
  for packet in packets[20:23]:
    for at in range(packet.pos, packet.pos + packet.size):
      content[at] ^= 0xFF
  path.write_bytes(content)
  seen = {}
  with pytest.raises(errors.Incomplete) as caught:
    seen.update((s.index, s) for s in sources.open_video(path).numbered())
  lost = sorted(set(range(60)) - set(seen))
  assert 1 <= len(lost) <= 12
  assert lost[0] >= 12
  # From the next frame that stands for itself on, all is as it was.
  for index in range(36, 60):
    np.testing.assert_array_equal(seen[index].image, whole[index])
    assert seen[index].seconds == pytest.approx(index / 25)
  message = str(caught.value)
  assert message.startswith(f'{path}: {len(lost)} of 60 frames could not be')
  assert str(lost[0]) in message
  with pytest.raises(errors.SavosError, match=f'no frame {lost[0]}'):
    sources.open_video(path).frame(lost[0])


def _raw(path, suffix, codec):
  """Four frames of a video that is not compressed, and their size, bytes."""
  path = path / f'clip{suffix}'
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
    for index in range(4):
      frame = av.VideoFrame.from_ndarray(_picture(index), format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path, WIDTH * HEIGHT * 3 // 2


def test_where_nothing_more_can_be_read_what_was_is_kept(tmp_path):
  path, size = _raw(tmp_path, '.y4m', 'rawvideo')
  content = path.read_bytes()
  third = content.index(b'FRAME') + 2 * (size + len(b'FRAME\n'))
  path.write_bytes(content[:third] + b'NOISE' + content[third + 5 :])
  seen = []
  for start in (0, 1):
    with pytest.raises(errors.Incomplete, match='read after frame 1 '):
      seen.extend(sources.open_video(path).frames(start))
  assert len(seen) == 3


def test_any_error_of_a_decoder_is_damage_of_a_frame(tmp_path):
  """Each has its own: this one does not say that the data are invalid."""
  path, size = _raw(tmp_path, '.avi', 'rawvideo')
  content = bytearray(path.read_bytes())
  second = content.index(b'00dc', content.index(b'00dc') + 4)
  assert int.from_bytes(content[second + 4 : second + 8], 'little') == size
  content[second + 4 : second + 8] = (size - 100).to_bytes(4, 'little')
  path.write_bytes(content)
  with pytest.raises(errors.Incomplete, match='of 4 frames'):
    list(sources.open_video(path).frames())


def test_what_no_decoder_is_there_for_is_told(tmp_path):
  path = _h264(tmp_path / 'clip.mp4', 3)
  path.write_bytes(path.read_bytes().replace(b'avc1', b'smc1'))
  _error(path, 'Decoder not found')


def _encoded(path, codec, options, stamps, unit):
  """A video with the given time stamps, in shares of a second."""
  rng = np.random.default_rng(0)
  base = cv2.GaussianBlur(
    rng.integers(0, 256, (HEIGHT, 2 * WIDTH, 3), np.uint8), (7, 7), 2
  )
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
    stream.codec_context.time_base = fractions.Fraction(1, unit)
    for index, stamp in enumerate(stamps):
      picture = np.ascontiguousarray(base[:, index : index + WIDTH])
      frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
      frame.pts, frame.time_base = stamp, fractions.Fraction(1, unit)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


@pytest.mark.parametrize(
  ('name', 'codec', 'options'),
  [
    ('clip.mp4', 'libx264', {'g': '12', 'bf': '3'}),
    ('clip.mp4', 'libx264', {'x264-params': 'keyint=12:open-gop=1:bframes=3'}),
    ('clip.mkv', 'libx264', {'g': '250'}),
    ('clip.mp4', 'libx264', {'x264-params': 'intra-refresh=1:keyint=20'}),
    ('clip.webm', 'libvpx-vp9', {'g': '20', 'cpu-used': '8'}),
    ('clip.avi', 'mpeg4', {'g': '10'}),
    ('clip.ts', 'libx264', {'g': '15'}),
    ('clip.mp4', 'libx265', {'x265-params': 'keyint=12:log-level=none'}),
  ],
)
def test_a_jump_lands_on_the_very_frame(tmp_path, name, codec, options):
  """Of any coding, with a rate that varies where the container has time."""
  steady = name.endswith(('avi', 'ts'))
  steps, unit = ([1] * 48, 25) if steady else ([40, 40, 20, 100] * 12, 1000)
  path = tmp_path / name
  _encoded(path, codec, options, np.cumsum([0, *steps[:-1]]).tolist(), unit)
  opened = sources.open_video(path)
  whole = list(opened.numbered())
  assert [shown.index for shown in whole] == list(range(48))
  for start in (1, 11, 12, 13, 30, 47):
    found = list(opened.numbered(start))
    assert [shown.index for shown in found] == list(range(start, 48))
    for shown, expected in zip(found, whole[start:], strict=True):
      np.testing.assert_array_equal(shown.image, expected.image)
      assert shown.seconds == expected.seconds


def test_a_jump_saves_decoding(tmp_path, monkeypatch):
  path = _h264(tmp_path / 'clip.mp4')
  calls = []
  original = video_file._decoded
  monkeypatch.setattr(
    video_file, '_decoded', lambda p: calls.append(p) or original(p)
  )
  opened = sources.open_video(path)
  calls.clear()
  opened.frame(50)
  assert len(calls) < 20


def test_what_is_missing_before_the_start_is_not_told(tmp_path, monkeypatch):
  path = _h264(tmp_path / 'clip.mp4')
  with av.open(str(path)) as container:
    packets = [p for p in container.demux(video=0) if p.size]
  content = bytearray(path.read_bytes())
  for at in range(packets[20].pos, packets[20].pos + packets[20].size):
    content[at] ^= 0xFF
  path.write_bytes(content)
  _error(path, 'could not be decoded')
  for jumps in (True, False):
    if not jumps:
      monkeypatch.setattr(video_file, 'index', lambda path: None)
    found = [s.index for s in sources.open_video(path).numbered(40)]
    assert found == list(range(40, 60))


def test_no_other_file_is_opened_even_where_a_list_is_read(
  tmp_path, monkeypatch
):
  _make(tmp_path / 'clip.mp4', 'mp4v', 3)
  path = tmp_path / 'list.mp4'
  path.write_text('ffconcat version 1.0\nfile clip.mp4\n')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(video_file, '_DEMUXERS', 'concat,mov')
  with pytest.raises(errors.SavosError, match='no video in it'):
    video_file.probe(path)
  monkeypatch.setattr(video_file, '_ALONE', {})
  assert video_file.probe(path).height == HEIGHT


@pytest.mark.parametrize('size', [(720, 1280), (480, 640)])
def test_colours_are_as_players_show_them(size):
  """Where a file does not tell: BT.709 if large, BT.601 if not.

  Y 100, Cb 90, Cr 160 by either matrix, of limited range.
  """
  frame = av.VideoFrame(size[1], size[0], 'yuv420p')
  for plane, value in zip(frame.planes, (100, 90, 160), strict=True):
    plane.update(bytes([value]) * plane.buffer_size)
  luma, blue, red = 255 / 219 * (100 - 16), 90 - 128, 160 - 128
  kr, kb = (0.2126, 0.0722) if size[0] >= 720 else (0.299, 0.114)
  scale = 255 / 112
  r, b = luma + scale * (1 - kr) * red, luma + scale * (1 - kb) * blue
  g = (luma - kr * r - kb * b) / (1 - kr - kb)
  found = pixels.Converter().rgb(frame)[10, 10]
  np.testing.assert_allclose(found, np.clip((r, g, b), 0, 255), atol=3)


def test_ranges_are_short():
  assert video_file._ranges([3, 5, 6, 7, 9]) == '3, 5 to 7, 9'
  assert video_file._ranges(list(range(0, 40, 2))).endswith('14, ...')


@pytest.mark.parametrize(
  'content',
  [
    b'#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n',
    b'\xef\xbb\xbf#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n\xff\xfe\0',
    b'ffconcat version 1.0\nfile {clip}\n\0\0\xff',
    b'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n\xff',
    b'<?xml version="1.0"?><MPD><BaseURL>{clip}</BaseURL></MPD>\xff',
  ],
)
def test_a_playlist_is_no_video_whatever_follows(tmp_path, content):
  clip = _make(tmp_path / 'clip.mp4', 'mp4v', 3)
  path = tmp_path / 'list.mp4'
  path.write_bytes(content.replace(b'{clip}', str(clip).encode()))
  with pytest.raises(errors.SavosError) as caught:
    sources.open_video(path)
  assert 'Expected a video file' in str(caught.value)


@pytest.mark.parametrize('name', [b'\xff\xfe.mp4', 'Видео 🎬.mp4'.encode()])
def test_any_name_will_do(tmp_path, name):
  clip = _make(tmp_path / 'clip.mp4', 'mp4v', 3)
  path = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b'/' + name))
  clip.rename(path)
  assert len(list(sources.open_video(path).frames())) == 3


@pytest.mark.parametrize('name', ['clip.mp4', 'clip.txt', 'clip'])
def test_a_text_is_no_video(tmp_path, name):
  """FFmpeg would show a .txt as a terminal does."""
  path = tmp_path / name
  path.write_text('<html>404</html>\n' * 40)
  _error(path, 'text, not a video', 'mp4, mov')


def test_sound_alone_is_no_video(tmp_path):
  path = tmp_path / 'sound.mp4'
  with wave.open(str(path), 'wb') as sound:
    sound.setnchannels(1)
    sound.setsampwidth(2)
    sound.setframerate(8000)
    sound.writeframes(bytes(16000))
  _error(path, 'no video in it (16044 bytes)')


def test_an_empty_file_a_missing_one_and_an_image(tmp_path):
  path = tmp_path / 'clip.mp4'
  _error(path, 'no such file', 'a folder with one image for each frame')
  path.touch()
  _error(path, 'an empty file', 'Copy it again')
  folder = _folder(tmp_path / 'images', ['a.JPG'])
  _error(folder / 'a.JPG', 'a single image', 'name the folder')


def test_a_broken_file_is_quiet():
  """Nothing but our own words, also from C; in a process of its own."""
  code = (
    'import pathlib, tempfile\n'
    'from savos_jax.foundation import errors\n'
    'from savos_jax.video import sources\n'
    'with tempfile.TemporaryDirectory() as folder:\n'
    '  path = pathlib.Path(folder) / "a.mp4"\n'
    '  path.write_bytes(bytes(range(256)) * 40)\n'
    '  with errors.reported():\n'
    '    sources.open_video(path)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True
  )
  assert done.returncode == 2
  assert done.stderr.startswith('error: ')
  assert len(done.stderr.splitlines()) == 2


def test_folder_in_natural_order(tmp_path):
  names = ['1.png', '2.jpg', '10.PNG', 'a2b1.jpeg', 'a2b03.webp', 'A10.bmp']
  root = _folder(tmp_path / 'clip.v2', names)
  (root / 'notes.txt').write_text('no frame')
  (root / '._1.png').write_text('macOS')
  (root / 'masks').mkdir()
  opened = sources.open_video(root)
  assert (opened.length, opened.fps, opened.name) == (6, None, 'clip.v2')
  assert (opened.height, opened.width) == (HEIGHT, WIDTH)
  stems = ['1', '2', '10', 'a2b1', 'a2b03', 'A10']
  assert [opened.names(i) for i in range(6)] == stems
  assert [_index(frame) for frame in opened.frames()] == list(range(6))
  assert [_index(frame) for frame in opened.frames(start=4)] == [4, 5]
  assert _index(opened.frame(0)) == 0


def test_frames_are_found_by_name_or_number(tmp_path):
  folder = _folder(tmp_path / 'a', ['x10.png', 'x15.png', 'end.png'])
  video = sources.open_video(folder)
  assert [video.find(n) for n in ('x15', '15', '010', 'end')] == [2, 2, 1, 0]
  for name in ('1', '-1', 'x', '1' * 5000, ''):
    with pytest.raises(errors.SavosError, match=r'end, x10, \.\.\., x15'):
      video.find(name)
  mixed = _folder(tmp_path / 'b', ['a1.png', 'b1.png'])
  with pytest.raises(errors.SavosError, match='no frame'):
    sources.open_video(mixed).find('1')


def test_frames_of_a_file_are_counted(tmp_path, monkeypatch):
  video = sources.open_video(_make(tmp_path / 'v.mp4', 'mp4v', 20))
  assert video.count() == 20
  assert video.find('00019') == video.find('19') == 19
  monkeypatch.setattr(video_file, 'index', lambda path: None)
  assert video.count() == 20
  with pytest.raises(errors.SavosError, match='no frame'):
    video.find('20')


def test_a_folder_must_hold_images(tmp_path):
  root = tmp_path / 'clip'
  root.mkdir()
  _error(root, 'a folder without images; it holds nothing')
  (root / 'frames').mkdir()
  (root / 'b.mp4').touch()
  _error(root, 'it holds b.mp4, frames.', 'name the folder that holds')


def test_two_images_of_one_name_would_share_a_result(tmp_path):
  root = _folder(tmp_path / 'clip', ['1.png', '2.png', '2.jpg'])
  _error(root, 'both 2.jpg and 2.png', 'Remove one')


def test_an_image_of_another_size(tmp_path):
  root = _folder(tmp_path / 'clip', ['1.png', '2.png'])
  _folder(root, ['3.png'], (20, 30))
  frames = sources.open_video(root).frames()
  assert _index(next(frames)) == 0
  _error(root, '30x20 pixels', 'Expected 64x48', start=root / '3.png')


def test_a_damaged_image_is_named(tmp_path):
  root = _folder(tmp_path / 'clip', ['1.png', '2.png'])
  _cut(root / '2.png', 0.7)
  _error(root, 'damaged image', 'Copy it again', start=root / '2.png')


def test_every_kind_of_image_becomes_rgb(tmp_path):
  path = tmp_path / 'frame.png'
  grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
  expected = np.repeat(grey[..., None], 3, axis=-1)
  indexed = Image.fromarray(grey)
  indexed.putpalette(np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
  kinds = {
    'L': Image.fromarray(grey),
    'I;16': Image.fromarray(grey.astype(np.uint16) * 257),
    'LA': Image.fromarray(np.stack([grey, 255 - grey], axis=-1)),
    'RGBA': Image.fromarray(np.dstack([expected, grey])),
    'P': indexed,
  }
  for mode, image in kinds.items():
    image.save(path, transparency=bytes(256) if mode == 'P' else None)
    with Image.open(path) as saved:
      assert saved.mode == mode
    found = sources.read_image(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected, err_msg=mode)


def test_a_jpeg_is_turned_as_it_says(tmp_path):
  root = tmp_path / 'clip'
  root.mkdir()
  exif = Image.Exif()
  exif[0x0112] = 6  # Shown after a quarter turn clockwise.
  Image.fromarray(_picture(0)).save(root / '1.jpg', exif=exif, quality=95)
  opened = sources.open_video(root)
  assert (opened.height, opened.width) == (WIDTH, HEIGHT)
  difference = opened.frame(0).astype(int) - np.rot90(_picture(0), -1)
  assert abs(difference).mean() < 8
  assert masks.read_frame(root / '1.jpg').shape == (HEIGHT, WIDTH, 3)
