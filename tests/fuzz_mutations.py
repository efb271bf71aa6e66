"""Damage to files: anywhere, and where their structure makes it hurt.

All of it comes from a NumPy generator: one seed, one file.
"""

from collections.abc import Callable
import io
import json
import os
import pathlib
import re
import struct
from typing import Any
import zipfile
import zlib

import numpy as np

# Around the ends of what numbers in files hold, and what is read into memory.
_NUMBERS = (
  0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 10**6, 10**9, 2**31 - 1, 2**31,
  2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1,
)  # fmt: skip
NAMES = (
  '', '.', '..', '/', '../mine.png', '../../mine.png', '/etc/passwd', 'a/b',
  'a\\b', 'a b', ' a ', 'a\0b', 'a\nb', '\x1b[31m', '\x7f', '-rf', '~', '=1+1',
  '%s%n', '{0}', 'a:b', 'http://a/b', 'file:a', '\u202ea', 'é漢字', 'x' * 240,
  'x' * 300, '\udcff\udcfe', '*', '?', "a'b\"c", 'NUL', '٣', '²',
)  # fmt: skip
_VALUES = (
  None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, -0.5, float('nan'),
  float('inf'), '', 'a', 'x' * 300, [], {}, [[]], [1, 2], {'a': 1}, [None],
  '\0', '\ud800', '../..', '1' * 5000,
)  # fmt: skip
_DEEP = 50_000  # Brackets in brackets: more than Python's own stack takes.
_PNG = b'\x89PNG\r\n\x1a\n'


def _pick(rng: np.random.Generator, items) -> Any:
  return items[int(rng.integers(len(items)))]


def _span(rng: np.random.Generator, size: int) -> tuple[int, int]:
  """Returns where a short part begins and ends; often near either end."""
  near = int(rng.choice([64, 512, 4096, size + 1]))
  start = int(rng.integers(min(near, size) + 1))
  start = size - start if rng.random() < 0.3 else start
  return start, min(size, start + int(rng.integers(1, 65)))


def _number(rng: np.random.Generator, data: bytes) -> bytes:
  """Writes an extreme number over some bytes."""
  start, _ = _span(rng, len(data))
  width = int(rng.choice([1, 2, 4, 8]))
  start -= start % width if rng.random() < 0.7 else 0
  value = _pick(rng, _NUMBERS) & (2 ** (8 * width) - 1)
  order = _pick(rng, ('little', 'big'))
  return data[:start] + value.to_bytes(width, order) + data[start + width :]


def _bits(rng: np.random.Generator, data: bytes) -> bytes:
  changed = bytearray(data)
  for _ in range(int(rng.integers(1, 17)) if data else 0):
    changed[_span(rng, len(data) - 1)[0]] ^= 1 << int(rng.integers(8))
  return bytes(changed)


def _part(rng: np.random.Generator, data: bytes) -> bytes:
  """Zeros, removes, repeats or moves a part."""
  start, end = _span(rng, len(data))
  other, _ = _span(rng, len(data))
  part = data[start:end]
  noise = rng.bytes(int(rng.integers(1, 33)))
  return _pick(rng, (
    data[:start] + bytes(len(part)) + data[end:],
    data[:start] + data[end:],
    data[:other] + part + data[other:],
    data[:other] + part + data[other + len(part) :],
    data[:start] + noise + data[start:],
    data[:start] + part * 50 + data[end:],
  ))  # fmt: skip


def _end(rng: np.random.Generator, data: bytes) -> bytes:
  """Cuts the file off, or has it go on."""
  cut = int(rng.integers(len(data) + 1))
  return _pick(rng, (data[:cut], data[:cut], data + data, data + data[:cut]))


def anywhere(rng: np.random.Generator, data: bytes) -> bytes:
  """Damages any bytes, once or a few times."""
  for _ in range(int(rng.integers(1, 4))):
    data = _pick(rng, (_number, _number, _bits, _part, _end))(rng, data)
  return data


# ---------------------------------------------------------------------------
# What is said in words


def _digits(rng: np.random.Generator, data: bytes) -> bytes:
  """Replaces a number that is written out."""
  found = list(re.finditer(rb'-?\d+', data))
  if not found:
    return anywhere(rng, data)
  match = _pick(rng, found)
  value = _pick(rng, (*map(str, _NUMBERS), '-1', '1e400', 'nan', '1' * 5000))
  return data[: match.start()] + value.encode() + data[match.end() :]


def _line(rng: np.random.Generator, data: bytes) -> bytes:
  """Replaces a line."""
  lines = data.split(b'\n')
  odd = _pick(rng, (
    *(name.encode('utf-8', 'surrogateescape') for name in NAMES),
    b'\xef\xbb\xbf' + lines[0], b'\xff\xfea\0', b'x' * 10**5,
    b'[' * _DEEP, b'[' * 500, b'- &a [*a, *a]', b'{"a":' * 500,
    b'a: &a [x, x, x, x, x, x, x, x, x]\n' + b''.join(
      b'%c: &%c [%s]\n' % (c + 1, c + 1, b', '.join([b'*%c' % c] * 9))
      for c in range(97, 106)),
  ))  # fmt: skip
  lines[int(rng.integers(len(lines)))] = odd
  return b'\n'.join(lines)


def _places(tree: Any) -> list[tuple[Any, Any]]:
  """Lists container and key of all that is in a JSON value."""
  inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
  found = [(tree, key) for key, _ in inside]
  for container, key in list(found):
    if isinstance(container[key], dict | list):
      found += _places(container[key])
  return found


def json_value(rng: np.random.Generator, data: bytes) -> bytes:
  """Exchanges a value of a JSON text for one of another type, or its name."""
  holder = [json.loads(data)]
  container, key = _pick(rng, _places(holder))
  if rng.random() < 0.05:
    container[key] = 'deep'
    deep = b'[' * _DEEP + b']' * _DEEP
    return json.dumps(holder[0]).encode().replace(b'"deep"', deep)
  if isinstance(container, dict) and rng.random() < 0.3:
    container[_pick(rng, NAMES)] = container.pop(key)
  else:
    container[key] = _pick(rng, _VALUES)
  return json.dumps(holder[0]).encode()


def _json_lines(rng: np.random.Generator, data: bytes) -> bytes:
  lines = data.splitlines()
  at = int(rng.integers(len(lines)))
  lines[at] = json_value(rng, lines[at])
  return b'\n'.join(lines) + b'\n'


# ---------------------------------------------------------------------------
# What has a structure


def _png(rng: np.random.Generator, data: bytes) -> bytes:
  """Damages a chunk and puts its checksum right."""
  chunks, position = [], len(_PNG)
  while position < len(data):
    size = int.from_bytes(data[position : position + 4])
    kind = data[position + 4 : position + 8]
    chunks.append((kind, data[position + 8 : position + 8 + size]))
    position += size + 12
  at = int(rng.choice([0, int(rng.integers(len(chunks)))]))
  kind, body = chunks[at]
  if kind == b'IDAT' and rng.random() < 0.5:
    body = zlib.compress(anywhere(rng, zlib.decompress(body)))
  else:
    body = anywhere(rng, body)
  extra = _pick(rng, (b'tRNS', b'PLTE', b'acTL', b'eXIf', b'iCCP', b'zTXt'))
  chunks[at : at + 1] = _pick(rng, (
    [(kind, body)], [(kind, body)], [(kind, body)], [chunks[at]] * 2, [],
    [chunks[at], (extra, rng.bytes(12))],
    [chunks[at], (b'zTXt', b'a\0\0' + zlib.compress(bytes(10**7)))],
  ))  # fmt: skip
  return _PNG + b''.join(
    struct.pack('>I', len(body)) + kind + body
    + struct.pack('>I', zlib.crc32(kind + body))
    for kind, body in chunks
  )  # fmt: skip


def _zip(rng: np.random.Generator, data: bytes) -> bytes:
  """Damages a member, or what the archive says of it, with right checksums."""
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    members = [(info, archive.read(info)) for info in archive.infolist()]
  at = int(rng.integers(len(members)))
  info, content = members[at]
  change = int(rng.integers(10))
  if change == 0:
    info.compress_type = int(
      rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    )
  elif change == 1:
    info.filename = _pick(rng, [n for n in NAMES if '\udcff' not in n]) or 'a'
  elif change == 2:
    members.pop(at)
  elif change > 3:
    content = structured(rng, info.filename, content)
    members[at] = info, content
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, 'w') as archive:
    for info, content in members:
      fresh = zipfile.ZipInfo(info.filename)
      fresh.compress_type = info.compress_type
      archive.writestr(fresh, content)
  damaged = packed.getvalue()
  return _number(rng, damaged) if change == 3 else damaged


def _array(rng: np.random.Generator, data: bytes) -> bytes:
  """Damages what a .npy says of its array."""
  return _digits(rng, data[:128]) + data[128:]


def _safetensors(rng: np.random.Generator, data: bytes) -> bytes:
  size = int.from_bytes(data[:8], 'little')
  header = json_value(rng, data[8 : 8 + size])
  if rng.random() < 0.4 and b'"description"' in header:
    told = json.loads(data[8 : 8 + size])
    metadata = told['__metadata__']
    metadata['description'] = json_value(
      rng, metadata['description'].encode()
    ).decode()
    header = json.dumps(told).encode()
  return len(header).to_bytes(8, 'little') + header + data[8 + size :]


def _hdf5(rng: np.random.Generator, data: bytes) -> bytes:
  """Puts something else in the place of an array."""
  import h5py

  held = io.BytesIO(data)
  with h5py.File(held, 'r+') as file:
    names = []
    file.visititems(
      lambda name, item: names.append(name) if hasattr(item, 'shape') else None
    )
    name = _pick(rng, names)
    shape, group = file[name].shape, file[name].parent
    name = name.rpartition('/')[2]
    del group[name]
    change = int(rng.integers(8))
    if change == 0:
      group.create_dataset(name, (2**28,), 'f4', chunks=(1024,))
    elif change == 1:
      elsewhere = [('../mine.txt', 0, 8)]
      group.create_dataset(name, (2,), 'f4', external=elsewhere)
    elif change == 2:
      layout = h5py.VirtualLayout((2,), 'f4')
      layout[:] = h5py.VirtualSource('../mine.h5', 'a', (2,))
      group.create_virtual_dataset(name, layout)
    elif change == 3:
      group[name] = h5py.ExternalLink('../mine.h5', '/a')
    elif change == 4:
      group[name] = h5py.SoftLink(group.name)
    elif change == 5:
      group.attrs['name'] = _pick(rng, (3, np.zeros(3), b'\xff', 'conv1_conv'))
      group[name] = np.zeros(_pick(rng, ((), (0,), (1,) * 9, (2, 3))), 'f4')
    elif change == 6:
      group[name] = _pick(rng, (np.zeros(shape, 'i8'), b'text', 'text', np.nan))
    else:
      group.create_dataset(name, shape, 'f4', compression='gzip')
  return held.getvalue()


def _onnx(rng: np.random.Generator, data: bytes) -> bytes:
  """Changes a field of a constant or of a node."""
  import onnx

  model = onnx.ModelProto.FromString(data)
  constant = _pick(rng, model.graph.initializer)
  node = _pick(rng, model.graph.node)
  change = int(rng.integers(8))
  if change == 0:
    constant.dims[:] = [int(n) % 2**63 for n in rng.choice(_NUMBERS[:-1], 3)]
  elif change == 1:
    constant.data_type = int(rng.integers(-1, 30))
  elif change == 2:
    constant.raw_data = anywhere(rng, constant.raw_data)
  elif change == 3:
    constant.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (
      ('location', _pick(rng, (*NAMES, 'file.onnx', 'file.onnx.data'))),
      ('offset', str(_pick(rng, (*_NUMBERS, -1, 'a')))),
    ):
      text = value.encode('utf-8', 'replace').decode()
      constant.external_data.add(key=key, value=text)
  elif change == 4:
    odd = _pick(rng, (1, 1.5, 'a', [1], [0, 0], [2**62] * 4, [1.5] * 4))
    name = _pick(rng, ('pads', 'strides', 'group', 'epsilon', 'auto_pad'))
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute(name, odd))
  elif change == 5:
    names = [value for other in model.graph.node for value in other.output]
    node.input[:] = [_pick(rng, (*names, '')) for _ in node.input]
  elif change == 6:
    node.op_type = _pick(rng, ('Identity', 'Cast', 'Constant', 'Pad', 'Add'))
  else:
    del node.output[:]
  return model.SerializeToString()


def structured(rng: np.random.Generator, name: str, data: bytes) -> bytes:
  """Damages a file as its format is built; anywhere, where that fails."""
  suffix = pathlib.PurePath(name).suffix
  known: dict[str, Callable] = {
    '.json': json_value, '.jsonl': _json_lines, '.npy': _array,
    '.safetensors': _safetensors, '.onnx': _onnx, '.txt': _line, '.yml': _line,
    '.xml': _line,
  }  # fmt: skip
  change = known.get(suffix)
  if data.startswith(_PNG):
    change = _png
  elif data.startswith(b'PK\3\4'):
    change = _zip
  elif data.startswith(b'\x89HDF'):
    change = _hdf5
  try:
    return change(rng, data) if change else anywhere(rng, data)
  except Exception:  # Damaged in a way that the format does not allow.
    return anywhere(rng, data)


# ---------------------------------------------------------------------------
# Files


def _no_file(rng: np.random.Generator, path: pathlib.Path) -> None:
  """Puts something in the place of a file that is none."""
  path.unlink()
  change = int(rng.integers(4))
  if change == 0:
    path.mkdir()
  elif change == 1:
    os.mkfifo(path)
  else:
    path.symlink_to((path.name, '/dev/zero')[change - 2])


def damage(rng: np.random.Generator, path: pathlib.Path) -> pathlib.Path:
  """Damages a file, gives it an odd name, or makes it no file.

  Args:
    rng: decides.
    path: the file.

  Returns:
    Where it is now.
  """
  if rng.random() < 0.03:
    _no_file(rng, path)
    return path
  if rng.random() < 0.05:
    try:
      renamed = path.with_name(_pick(rng, NAMES) + path.suffix)
      return path.rename(renamed) if not renamed.exists() else path
    except (OSError, ValueError):  # No name of a file.
      return path
  data = path.read_bytes()
  if rng.random() < 0.5:
    data = structured(rng, path.name, data)
  elif path.suffix in ('.json', '.jsonl', '.txt', '.yml', '.xml'):
    data = _pick(rng, (_digits, _line, anywhere))(rng, data)
  else:
    data = anywhere(rng, data)
  path.write_bytes(data)
  return path
