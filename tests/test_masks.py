"""Every form of mask gives the right ids; every broken file says so."""

import os
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors

# The first colours of the PASCAL VOC colour map, as its devkit prints them.
PASCAL = [
  (0, 0, 0),
  (128, 0, 0),
  (0, 128, 0),
  (128, 128, 0),
  (0, 0, 128),
  (128, 0, 128),
  (0, 128, 128),
  (128, 128, 128),
  (64, 0, 0),
  (192, 0, 0),
]

# Not square and not symmetric: a transposed mask cannot pass.
LABELS = np.array([[0, 1, 1, 2], [0, 0, 2, 2], [3, 0, 0, 1]], np.uint8)
BINARY = (LABELS > 0).astype(np.uint8)


def _save(tmp_path, values, mode=None) -> pathlib.Path:
  """Saves an array (or a PIL image) as mask.png, optionally converted."""
  image = values if isinstance(values, Image.Image) else Image.fromarray(values)
  path = tmp_path / 'mask.png'
  (image.convert(mode) if mode else image).save(path)
  return path


def _palette_image(values):
  image = Image.fromarray(values)
  # Two indices of one colour: only the indices tell them apart.
  image.putpalette([0, 0, 0] + [9, 9, 9] * 255)
  return image


def _ellipse():
  """A grey 0/255 mask, uint8 [40, 60]."""
  rows, columns = np.mgrid[:40, :60]
  inside = ((rows - 20) / 10) ** 2 + ((columns - 30) / 15) ** 2 < 1
  return inside.astype(np.uint8) * np.uint8(255)


def _assert_labels(path, expected):
  labels = masks.read_mask(path)
  assert labels.dtype == np.uint8
  np.testing.assert_array_equal(labels, expected)


def _error(function, path) -> str:
  """The message of the SavosError that reading path gives."""
  with pytest.raises(errors.SavosError) as caught:
    function(path)
  message = str(caught.value)
  assert message.startswith(f'{path}: ')
  assert 'Expected' in message
  return message


def test_palette_gives_indices(tmp_path):
  path = _save(tmp_path, _palette_image(LABELS))
  with Image.open(path) as image:
    assert image.mode == 'P'
  _assert_labels(path, LABELS)


def test_palette_with_transparency_and_few_bits(tmp_path):
  path = tmp_path / 'mask.png'
  _palette_image(LABELS).save(path, bits=2, transparency=1)
  _assert_labels(path, LABELS)


def test_palette_with_large_ids(tmp_path):
  """Indices are ids whatever their size, 255 apart."""
  values = np.array([[0, 200], [101, 254]], np.uint8)
  _assert_labels(_save(tmp_path, _palette_image(values)), values)


def test_palette_void_is_background(tmp_path):
  values = np.where(LABELS == 3, 255, LABELS).astype(np.uint8)
  path = _save(tmp_path, _palette_image(values))
  _assert_labels(path, np.where(LABELS == 3, 0, LABELS))


def test_indexed_0_255_is_one_object_too(tmp_path):
  image = Image.fromarray(BINARY * np.uint8(255))
  image.putpalette([0, 0, 0] + [9, 9, 9] * 255)
  image.save(tmp_path / 'binary.png')
  _assert_labels(tmp_path / 'binary.png', BINARY)


def test_grey_0_255_is_one_object(tmp_path):
  path = _save(tmp_path, BINARY * np.uint8(255))
  with Image.open(path) as image:
    assert image.mode == 'L'
  _assert_labels(path, BINARY)


def test_grey_ids(tmp_path):
  _assert_labels(_save(tmp_path, LABELS), LABELS)
  _assert_labels(_save(tmp_path, BINARY), BINARY)


def test_grey_void_beside_ids_is_background(tmp_path):
  values = np.where(LABELS == 3, 255, LABELS).astype(np.uint8)
  _assert_labels(_save(tmp_path, values), np.where(LABELS == 3, 0, LABELS))


@pytest.mark.parametrize('value', [0, 255])
def test_grey_of_one_value(tmp_path, value):
  path = _save(tmp_path, np.full((3, 4), value, np.uint8))
  _assert_labels(path, np.full((3, 4), value // 255))


def test_largest_grey_id(tmp_path):
  values = np.array([[0, 100]], np.uint8)
  _assert_labels(_save(tmp_path, values), values)
  message = _error(masks.read_mask, _save(tmp_path, values + np.uint8(1)))
  assert '1, 101' in message


@pytest.mark.parametrize(
  ('values', 'expected'), [(BINARY * np.uint8(255), BINARY), (LABELS, LABELS)]
)
def test_alpha_is_dropped(tmp_path, values, expected):
  alpha = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
  path = _save(tmp_path, np.stack([values, alpha], axis=-1))
  with Image.open(path) as image:
    assert image.mode == 'LA'
  _assert_labels(path, expected)


def test_one_bit(tmp_path):
  path = _save(tmp_path, BINARY * np.uint8(255), '1')
  with Image.open(path) as image:
    assert image.mode == '1'
  _assert_labels(path, BINARY)


def test_sixteen_bit(tmp_path):
  path = _save(tmp_path, LABELS.astype(np.uint16))
  with Image.open(path) as image:
    assert image.mode.startswith('I')
  _assert_labels(path, LABELS)
  # 256 and 512 must not wrap to 0.
  message = _error(
    masks.read_mask, _save(tmp_path, LABELS.astype(np.uint16) * 256)
  )
  assert 'values up to 768' in message


def test_colour_picture_is_refused(tmp_path):
  for mode in ('RGB', 'RGBA'):
    path = _save(tmp_path, _palette_image(LABELS), mode)
    message = _error(masks.read_mask, path)
    assert f'a {mode} picture' in message
    assert 'save it as indexed PNG' in message


@pytest.mark.parametrize(
  'resample', [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]
)
def test_anti_aliased_mask_is_refused(tmp_path, resample):
  mask = _ellipse()
  image = Image.fromarray(mask).resize((47, 31), resample)
  message = _error(masks.read_mask, _save(tmp_path, image))
  assert 'anti-aliased' in message
  assert 'nearest' in message
  nearest = Image.fromarray(mask).resize((47, 31), Image.Resampling.NEAREST)
  _assert_labels(_save(tmp_path, nearest), np.asarray(nearest) // 255)


def test_jpeg_mask_is_refused(tmp_path):
  path = tmp_path / 'mask.jpg'
  Image.fromarray(_ellipse()).save(path, quality=70)
  assert 'save as JPEG' in _error(masks.read_mask, path)


def test_write_mask_round_trip(tmp_path):
  path = tmp_path / 'mask.png'
  labels = np.arange(255, dtype=np.uint8).reshape(15, 17)
  masks.write_mask(path, labels)
  _assert_labels(path, labels)
  with Image.open(path) as image:
    assert (image.format, image.mode) == ('PNG', 'P')
    np.testing.assert_array_equal(np.asarray(image), labels)


def test_write_mask_of_a_view(tmp_path):
  """A transposed view is not contiguous in memory."""
  path = tmp_path / 'mask.png'
  masks.write_mask(path, LABELS.T)
  _assert_labels(path, LABELS.T)


def test_written_palette_is_pascals(tmp_path):
  path = tmp_path / 'mask.png'
  masks.write_mask(path, np.arange(256, dtype=np.uint8).reshape(16, 16))
  with Image.open(path) as image:
    found = np.array(image.getpalette()).reshape(256, 3)
  np.testing.assert_array_equal(found[:10], PASCAL)
  assert 191 not in found
  np.testing.assert_array_equal(found[255], (224, 224, 192))


def test_pascal_palette():
  palette = masks.pascal_palette()
  assert palette.shape == (256, 3)
  assert palette.dtype == np.uint8
  np.testing.assert_array_equal(palette[:10], PASCAL)
  assert len(np.unique(palette, axis=0)) == 256


def test_write_mask_replaces_and_leaves_nothing_beside(tmp_path):
  path = tmp_path / 'mask.png'
  path.write_bytes(b'old')
  masks.write_mask(path, LABELS)
  _assert_labels(path, LABELS)
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('step', ['save', 'replace'])
def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch, step):
  path = tmp_path / 'mask.png'
  path.write_bytes(b'old')

  def fail(*args, **kwargs):
    raise OSError('No space left on device')

  if step == 'save':
    # Fails when some bytes are on the disk already.
    def save(self, where, format):
      pathlib.Path(where).write_bytes(b'half')
      fail()

    monkeypatch.setattr(Image.Image, 'save', save)
  else:
    monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(errors.SavosError, match='No space left') as caught:
    masks.write_mask(path, LABELS)
  assert str(caught.value).startswith(f'{path}: ')
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


def test_file_appears_whole(tmp_path, monkeypatch):
  """Nothing stands under the final name until the bytes are all written."""
  path = tmp_path / 'mask.png'
  replaced = []
  replace = os.replace

  def check(source, target):
    assert not path.exists()
    with Image.open(source) as image:
      np.testing.assert_array_equal(np.asarray(image), LABELS)
    # The same folder: a rename across disks is no rename.
    assert pathlib.Path(source).parent == path.parent
    replaced.append(target)
    replace(source, target)

  monkeypatch.setattr(os, 'replace', check)
  masks.write_mask(path, LABELS)
  assert replaced == [path]


def test_write_mask_makes_its_folder(tmp_path):
  masks.write_mask(tmp_path / 'absent' / 'mask.png', LABELS)
  _assert_labels(tmp_path / 'absent' / 'mask.png', LABELS)


def test_write_mask_where_no_folder_can_be(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  path = tmp_path / 'file' / 'mask.png'
  with pytest.raises(errors.SavosError, match='could not be written') as caught:
    masks.write_mask(path, LABELS)
  assert str(caught.value).startswith(f'{path}: ')


def test_read_frame(tmp_path):
  pixels = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
  path = tmp_path / 'frame.png'
  Image.fromarray(pixels).save(path)
  frame = masks.read_frame(path)
  assert frame.dtype == np.uint8
  np.testing.assert_array_equal(frame, pixels)
  Image.fromarray(pixels[..., 0]).save(path)  # Grey.
  np.testing.assert_array_equal(
    masks.read_frame(path), np.repeat(pixels[..., :1], 3, axis=2)
  )


def test_image_size_is_height_and_width(tmp_path):
  path = tmp_path / 'frame.jpg'
  Image.new('RGB', (7, 5)).save(path)
  assert masks.image_size(path) == (5, 7)


READERS = [masks.read_frame, masks.read_mask, masks.image_size]


@pytest.mark.parametrize('reader', READERS)
def test_missing_file(tmp_path, reader):
  assert 'no such file' in _error(reader, tmp_path / 'absent.png')


@pytest.mark.parametrize('reader', READERS)
def test_empty_file(tmp_path, reader):
  path = tmp_path / 'empty.jpg'
  path.touch()
  assert 'not an image (0 bytes)' in _error(reader, path)


@pytest.mark.parametrize('reader', READERS)
def test_text_file_named_png(tmp_path, reader):
  path = tmp_path / 'text.png'
  path.write_text('<html>404</html>')
  message = _error(reader, path)
  assert 'not an image (16 bytes)' in message
  assert 'Copy the file again' in message


@pytest.mark.parametrize('reader', READERS)
def test_folder_in_place_of_a_file(tmp_path, reader):
  path = tmp_path / 'folder.png'
  path.mkdir()
  assert ': a folder.' in _error(reader, path)


@pytest.mark.parametrize('reader', READERS)
def test_a_pipe_is_not_waited_for(tmp_path, reader):
  path = tmp_path / 'pipe.png'
  os.mkfifo(path)
  assert ': a pipe.' in _error(reader, path)
  assert ': a device.' in _error(reader, pathlib.Path('/dev/zero'))


@pytest.mark.parametrize('reader', READERS)
def test_no_program_is_started_for_an_image(tmp_path, reader, monkeypatch):
  """Pillow has Ghostscript draw an EPS, by its content."""
  started = tmp_path / 'started'
  (tmp_path / 'gs').write_text(f'#!/bin/sh\ntouch {started}\n')
  (tmp_path / 'gs').chmod(0o755)
  monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
  path = tmp_path / 'mask.png'
  Image.new('RGB', (4, 4)).save(path, format='EPS')
  assert 'not an image' in _error(reader, path)
  assert not started.exists()


@pytest.mark.parametrize('format_', masks.FORMATS)
def test_a_format_is_told_by_content(tmp_path, format_):
  path = tmp_path / 'frame'
  Image.new('RGB', (7, 5), (9, 9, 9)).save(path, format=format_)
  assert masks.image_size(path) == (5, 7)
  np.testing.assert_allclose(masks.read_frame(path), 9, atol=2)


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('size', [(1 << 14, (1 << 13) + 1), (30_000, 30_000)])
def test_an_image_may_not_declare_any_size(tmp_path, reader, size):
  """Pillow warns of the first, if at all, and raises at the second."""
  path = tmp_path / 'bomb.png'
  Image.new('1', (1, 1)).save(path)
  content = bytearray(path.read_bytes())
  content[16:24] = struct.pack('>2I', *size)
  content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
  path.write_bytes(content)
  assert 'at most 134 million pixels' in _error(reader, path)


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('format_', ['GIF', 'PNG', 'WEBP', 'TIFF'])
def test_of_several_pictures_none_is_chosen(tmp_path, reader, format_):
  path = tmp_path / 'several.png'
  first, second = (Image.new('L', (7, 5), value) for value in (0, 255))
  first.save(path, format_, save_all=True, append_images=[second])
  message = _error(reader, path)
  assert f'a {format_} of several pictures' in message
  assert 'as a video file' in message


def test_what_a_phone_puts_behind_a_photo_is_no_second_picture(tmp_path):
  path = tmp_path / 'photo.jpg'
  first, second = (Image.new('RGB', (7, 5), (v, v, v)) for v in (0, 255))
  first.save(path, 'MPO', save_all=True, append_images=[second])
  assert not masks.read_frame(path).any()


def test_images_in_memory_are_checked_alike(tmp_path):
  path = tmp_path / 'frame.png'
  Image.new('L', (7, 5), 3).save(path)
  content = path.read_bytes()
  assert masks.decode_image(content, 'here').size == (7, 5)
  masks.check_image(content[:-9], 'here')
  for check in (masks.decode_image, masks.check_image):
    with pytest.raises(errors.SavosError, match='here: not an image'):
      check(b'%!PS-Adobe-3.0 EPSF-3.0', 'here')
  with pytest.raises(errors.SavosError, match='here: damaged image'):
    masks.decode_image(content[:-30], 'here')


def test_indices_without_their_palette(tmp_path):
  path = tmp_path / 'frame.png'
  _palette_image(LABELS).save(path, transparency=1)
  content = path.read_bytes()
  start = content.index(b'PLTE') - 4
  (length,) = struct.unpack('>I', content[start : start + 4])
  path.write_bytes(content[:start] + content[start + 12 + length :])
  assert 'damaged image' in _error(masks.read_frame, path)


def test_damage_anywhere_gives_no_traceback(tmp_path):
  """Whatever Pillow raises on it; and a damaged image may well be read."""
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (8, 9, 3), np.uint8)
  path = tmp_path / 'frame'
  refused = 0
  for format_ in masks.FORMATS:
    Image.fromarray(pixels).save(path, format_)
    whole = path.read_bytes()
    for _ in range(60):
      content = bytearray(whole)
      for place in rng.integers(0, min(400, len(whole)), 2):
        content[place] = rng.integers(0, 256)
      path.write_bytes(content)
      try:
        masks.read_frame(path)
      except errors.SavosError:
        refused += 1
  assert refused > 50


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('reader', [masks.read_frame, masks.read_mask])
def test_truncated_file(tmp_path, reader, suffix):
  """Also leaves no file open: pytest turns that warning into an error."""
  path = tmp_path / f'cut{suffix}'
  pixels = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
  Image.fromarray(pixels).save(path)
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  message = _error(reader, path)
  assert 'damaged image' in message
  assert 'Copy it again' in message
  assert masks.image_size(path) == (60, 80)  # The header is whole.


def test_damaged_header(tmp_path):
  path = tmp_path / 'frame.jpg'
  Image.new('RGB', (7, 5)).save(path)
  path.write_bytes(path.read_bytes()[:30])
  _error(masks.image_size, path)
  path = tmp_path / 'frame.png'
  Image.new('RGB', (7, 5)).save(path)
  content = bytearray(path.read_bytes())
  content[18] ^= 0xFF  # In the width: the chunk's checksum is wrong.
  path.write_bytes(content)
  _error(masks.image_size, path)
