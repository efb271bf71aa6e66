"""Every program, with paths that can't be what is asked for."""

import os

import av
import numpy as np
from PIL import Image
import pytest

from savos_jax import cli
from savos_jax.foundation import errors
from savos_jax.tools import crf_search
from savos_jax.tools import curves
from savos_jax.tools import dream
from savos_jax.tools import export
from savos_jax.tools import export_checkpoint
from savos_jax.tools import import_backbone
from savos_jax.tools import mask
from savos_jax.tools import pack
from savos_jax.tools import paper
from savos_jax.tools import report
from savos_jax.tools import rival_clips
from savos_jax.tools import score
from savos_jax.tools import segment
from savos_jax.tools import studio
from savos_jax.tools.benchmark import __main__ as benchmark
from savos_jax.video import first_masks
from savos_jax.video import sources

# Program, and what it is given: {} is what it reads, OUT what it would write.
PROGRAMS = {
  'segment': (segment, '--video={} --mask={} --out=OUT'),
  'score': (
    score, '--results={} --annotations={} --protocol=davis2017 --json=OUT',
  ),
  'report': (report, '{} --out=OUT'),
  'crf_search': (crf_search, '--root={} --csv=OUT'),
  'curves': (curves, '{} --csv=OUT'),
  'dream': (dream, '--image={} --mask={} --out=OUT'),
  'import_backbone': (import_backbone, '{} --out=OUT'),
  'export': (export, '--checkpoint={} --out=OUT'),
  'export_checkpoint': (export_checkpoint, '{} --out=OUT'),
  'mask': (mask, '--video={} --out=OUT'),
  'pack': (pack, '--davis={} --out=OUT'),
  'rival_clips': (rival_clips, '{} --out=OUT'),
  'paper': (paper, '--table=generalisation --checkpoint={} --out=OUT'),
  'studio': (studio, '{} --no-browser --out=OUT'),
  'benchmark': (
    benchmark,
    'evaluation --results={} --annotations={} --size 8x8 --json=OUT',
  ),
}  # fmt: skip
NOT_UTF8 = os.fsdecode(b'\xff\xfe')


def _absent(path):
  return path


def _empty_file(path):
  path.touch()
  return path


def _empty_folder(path):
  path.mkdir()
  return path


def _pipe(path):
  os.mkfifo(path)
  return path


def _circle(path):
  path.symlink_to(path.name)
  return path


def _device(_):
  return '/dev/zero'


def _long(path):
  return path.with_name('x' * 300)


def _below_a_file(path):
  path.touch()
  return path / 'below'


def _odd(name):
  def make(path):
    odd = path.with_name(name)
    odd.write_bytes(b'what no program reads')
    return odd

  return make


def _nothing(_):
  return ''


KINDS = {
  'absent': _absent,
  'an empty file': _empty_file,
  'an empty folder': _empty_folder,
  'a pipe': _pipe,
  'a link in a circle': _circle,
  'a device': _device,
  'a long name': _long,
  'below a file': _below_a_file,
  'not UTF-8': _odd(NOT_UTF8),
  'a line feed': _odd('a\nb'),
  'a conversion': _odd('%d%s'),
  'a protocol': _odd('file:x'),
  'no path': _nothing,
}


def _refused(program, given, out, capsys):
  """Returns what a program says that the user can put right."""
  module, call = PROGRAMS[program]
  arguments = [
    word.replace('{}', str(given)).replace('OUT', str(out))
    for word in call.split()
  ]
  with pytest.raises(SystemExit) as ended:
    module.main(arguments)
  assert ended.value.code == 2
  return capsys.readouterr().err


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('program', PROGRAMS)
def test_what_cannot_be_read_is_one_message(program, kind, tmp_path, capsys):
  given, out = KINDS[kind](tmp_path / 'given'), tmp_path / 'out'
  said = _refused(program, given, out, capsys)
  assert 'Traceback' not in said
  if kind == 'no path':
    assert 'empty' in said
  else:
    assert said.startswith('error: ')
    assert errors.shown(given)[:100] in said
    assert '\n  ' in said  # What to do.
  assert not out.exists()


def test_these_are_all_programs():
  modules = {module for module, _ in cli._COMMANDS.values()} - {'main'}
  names = {module.removesuffix('.__main__').split('.')[1] for module in modules}
  assert names == set(PROGRAMS)


_INTO_FOLDERS = {
  'segment',
  'dream',
  'export',
  'mask',
  'rival_clips',
  'paper',
  'studio',
}
WRITING = sorted(PROGRAMS.keys() - _INTO_FOLDERS)


@pytest.mark.parametrize('program', WRITING)
def test_a_file_that_is_there_is_kept(program, davis_folder, tmp_path, capsys):
  """By programs that write one file, whatever else is wrong, or right."""
  root, out = davis_folder(splits={'train': 1, 'val': 1}), tmp_path / 'out'
  out.write_text('mine')
  given = root / 'Annotations' / '480p' if program == 'benchmark' else root
  said = _refused(program, given, out, capsys)
  assert out.read_text() == 'mine'
  # A report reads its results first, which are not there.
  assert program == 'report' or f'{out}: exists already' in said


def _pictures(count=4, size=(48, 64)):
  rng = np.random.default_rng(0)
  return [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def _save_animation(path, format_):
  first, *others = map(Image.fromarray, _pictures())
  first.save(path, format_, save_all=True, append_images=others, duration=100)


@pytest.mark.parametrize('format_', ['GIF', 'WEBP', 'PNG'])
def test_an_animation_is_no_picture(tmp_path, format_):
  """Not its first one either: which is meant, nobody knows."""
  path = tmp_path / '00000.png'  # Whatever its name says.
  _save_animation(path, format_)
  with pytest.raises(errors.SavosError, match='an animation'):
    sources.open_video(tmp_path)
  with pytest.raises(errors.SavosError, match='an animation'):
    first_masks.read([path], (48, 64))


def test_a_gif_is_a_video(tmp_path):
  _save_animation(tmp_path / 'clip.gif', 'GIF')
  video = sources.open_video(tmp_path / 'clip.gif')
  assert (video.height, video.width) == (48, 64)
  assert len(list(video.frames())) == 4


def _stream(path, size):
  """Writes H.264 without a container, which may be laid end to end."""
  with av.open(str(path), 'w', format='mpegts') as container:
    stream = container.add_stream('libx264', rate=10)
    stream.height, stream.width = size
    stream.pix_fmt = 'yuv420p'
    for picture in _pictures(size=size):
      frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path.read_bytes()


def test_frames_that_change_their_size_are_told(tmp_path):
  path = tmp_path / 'clip.ts'
  parts = [_stream(tmp_path / 'part.ts', size) for size in ((48, 64), (64, 96))]
  path.write_bytes(b''.join(parts))
  video = sources.open_video(path)
  taken = []
  with pytest.raises(errors.SavosError, match=r'96x64 pixels.*\n.*64x48'):
    taken.extend(video.frames())
  assert len(taken) == 4
