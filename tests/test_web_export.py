"""The folder of a page that segments, and where its libraries come from."""

import base64
import functools
import hashlib
import http.server
import io
import json
import pathlib
import re
import shutil
import tarfile
import threading
import typing

import pytest

from savos_jax import network
from savos_jax.exporting import npm
from savos_jax.exporting import web
from savos_jax.foundation import errors
from savos_jax.tools import export
from tests import tiny_resnets

MODEL = tiny_resnets.LOOKING_BACK


def archive(package):
  """Returns an archive in which each file holds its own name."""
  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode='w:gz') as tar:
    for path in package.files:
      info = tarfile.TarInfo(f'package/{path}')
      info.size = len(path)
      tar.addfile(info, io.BytesIO(path.encode()))
  return buffer.getvalue()


@pytest.fixture
def packed(tmp_path, monkeypatch):
  """A folder of archives which are those that are expected, and no cache."""
  return pack(tmp_path / 'packed', monkeypatch)


def pack(folder, monkeypatch):
  folder.mkdir()
  found = []
  for package in npm.PACKAGES:
    data = archive(package)
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    fields = package.name, package.version, digest, package.files
    found.append(npm.Package(*fields))
    (folder / package.archive).write_bytes(data)
  monkeypatch.setattr(npm, 'PACKAGES', tuple(found))
  monkeypatch.setenv('XDG_CACHE_HOME', str(folder.parent / 'cache'))
  npm.load.cache_clear()
  return folder


@pytest.fixture(autouse=True, scope='module')
def nothing_remembered():
  """What is no real library is not what other tests get."""
  yield
  npm.load.cache_clear()


def written(path, evaluated=None):
  params = tiny_resnets.network_params(MODEL)
  config = {'eval': evaluated or {}}
  network.write(path, network.Trained(MODEL, params, 7, False, config))
  return path


def export_to(out, checkpoint, packed, *flags):
  where = f'--checkpoint={checkpoint}', f'--npm={packed}', f'--out={out}'
  export.main(['--format=web', *where, *flags])


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  """What the program has written; not to be changed."""
  folder = tmp_path_factory.mktemp('site')
  with pytest.MonkeyPatch.context() as monkeypatch:
    packed = pack(folder / 'packed', monkeypatch)
    checkpoint = written(folder / 'savos.safetensors')
    export_to(folder / 'site', checkpoint, packed)
  return folder / 'site'


def test_the_folder_is_whole_and_asks_nobody_else(site):
  for name in web.FILES:
    assert (site / name).is_file(), name
  told = json.loads((site / 'network/savos.json').read_text('utf-8'))
  assert told['weights'] == 'weights.safetensors'
  assert len(list((site / 'page').rglob('*.js'))) > 30
  pattern = re.compile(r"""(?:from |import\(|src=|href=)['"]([^'"#]+)['"]""")
  seen = 0
  for path in [site / 'index.html', *(site / 'page').rglob('*.js')]:
    text = path.read_text('utf-8')
    elsewhere = set(re.findall(r'https?://[\w.]+', text))
    assert elsewhere <= {'http://www.w3.org'}, path  # The namespace of SVG.
    for found in pattern.findall(text):
      seen += 1
      assert not found.startswith('/'), path
      assert (path.parent / found).is_file(), (path, found)
  assert seen > 60
  # Who needs a licence's text has it.
  for library in ('onnxruntime-web', 'mediabunny'):
    assert (site / library / 'LICENSE').is_file()


def test_the_policy_comes_first_and_allows_no_other_origin(site):
  text = (site / 'index.html').read_text('utf-8')
  policy = re.search(
    r'http-equiv="Content-Security-Policy" content="(.*)"', text
  )
  assert policy
  assert policy.start() < text.index('<link') < text.index('<script')
  allowed = {word for part in policy[1].split(';') for word in part.split()[1:]}
  assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", 'blob:', 'data:'}
  assert policy[1].startswith("default-src 'none'")
  headers = (site / '_headers').read_text('utf-8')
  assert policy[1] in headers
  assert 'Cross-Origin-Embedder-Policy: require-corp' in headers
  assert 'Cross-Origin-Opener-Policy: same-origin' in headers


def test_what_is_not_ours_is_not_replaced(site, packed, tmp_path, capsys):
  checkpoint = written(tmp_path / 'savos.safetensors')
  own = tmp_path / 'site'
  shutil.copytree(site, own)
  (own / 'index.html').write_text('mine')
  with pytest.raises(SystemExit):
    export_to(own, checkpoint, packed)
  said = capsys.readouterr().err
  assert 'index.html' in said
  assert 'serve.py' not in said  # This is ours.
  assert (own / 'index.html').read_text() == 'mine'


@pytest.mark.parametrize(
  ('flags', 'evaluated', 'said'),
  [
    (['--size=256x448'], {}, '--size'),
    (['--objects=2'], {}, '--objects'),
    ([], {'flip': True}, 'flip=True'),
    ([], {'scales': [0.5, 1.0]}, 'scales='),
    ([], {'background': 'merged'}, 'merged'),
  ],
)
def test_what_the_page_can_not_do_is_said_first(
  flags, evaluated, said, packed, tmp_path, capsys
):
  checkpoint = written(tmp_path / 'savos.safetensors', evaluated)
  with pytest.raises(SystemExit):
    export_to(tmp_path / 'site', checkpoint, packed, *flags)
  assert said in capsys.readouterr().err
  assert not (tmp_path / 'site').exists()


def test_an_archive_that_is_another_is_refused(packed):
  first, second = (packed / each.archive for each in npm.PACKAGES)
  second.write_bytes(first.read_bytes())
  with pytest.raises(errors.SavosError, match='SHA-512'):
    npm.load(packed)
  second.unlink()
  with pytest.raises(errors.SavosError, match='no such file'):
    npm.load(packed)


class Registry(http.server.SimpleHTTPRequestHandler):
  """npm's, of the archives in a folder."""

  asked: typing.ClassVar[list[str]] = []

  def log_message(self, *arguments):
    pass

  def translate_path(self, path):
    self.asked.append(path)
    return str(pathlib.Path(self.directory, pathlib.Path(path).name))


@pytest.fixture
def registry(packed, monkeypatch):
  Registry.asked = []
  handler = functools.partial(Registry, directory=packed)
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    monkeypatch.setenv('npm_config_registry', f'{address}/')
    yield Registry
    server.shutdown()


def test_archives_are_fetched_once(packed, registry, capsys):
  found = npm.load()
  assert [pathlib.Path(path).parts[1] for path in registry.asked] == [
    'onnxruntime-web',
    'mediabunny',
  ]
  assert capsys.readouterr().out.count('fetching http://127.0.0.1') == 2
  assert found['mediabunny/LICENSE'] == b'LICENSE'
  npm.load.cache_clear()
  assert npm.load() == found
  assert len(registry.asked) == 2


def test_what_is_fetched_is_checked(packed, registry):
  path = packed / npm.PACKAGES[0].archive
  path.write_bytes(path.read_bytes() + b' ')
  with pytest.raises(errors.SavosError, match='SHA-512'):
    npm.load()
  # It is not kept, either.
  with pytest.raises(errors.SavosError, match='SHA-512'):
    npm.load()
  assert len(registry.asked) == 2


@pytest.mark.parametrize(
  ('registry', 'said'),
  [('http://127.0.0.1:9', 'cannot be fetched'), ('file:///etc', 'https://')],
)
def test_without_the_net(registry, said, packed, monkeypatch):
  monkeypatch.setenv('npm_config_registry', registry)
  with pytest.raises(errors.SavosError, match=said):
    npm.load()
